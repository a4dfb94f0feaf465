"""The Buildx builder in use, and whether it can do what a build asks of it."""

from ..plan import builder as planner
from ..plan.build import BuildPlan, Options
from ..plan.builder import Builder
from ..plan.errors import RefusedError
from ..plan.registry import environment
from .output import note
from .project import Project
from .runner import capture


def in_use(project: Project) -> Builder:
    """Return the builder that builds go to; raises RefusedError when there is none of that name."""
    answer = capture(planner.inspect(environment(project.profile), project.cwd))
    if answer.exit_code != 0:
        lines = answer.stderr.strip().splitlines() or ["no message"]
        message = project.profile.masked(lines[-1].removeprefix("ERROR: "))
        raise RefusedError(f"the builder does not answer: {message}", "see which there are: docker buildx ls")
    # Only then it matters how the engine keeps its images; `buildx inspect` does not say so.
    return planner.parse(answer.stdout, "io.containerd" in str(project.engine.info().get("DriverStatus")))


def check(project: Project, made: BuildPlan, options: Options) -> None:
    """Refuse what the builder in use cannot do, before it begins. Asks which it is only if that makes a difference."""
    want = planner.wanted([(one.service, one.build.extra) for one in made.targets], project.profile, options.push)
    if not want.special:
        return
    found = in_use(project)
    planner.check(found, want)
    if missing := planner.not_emulated(found, want.platforms):
        note(
            f"builder {found.name} runs no programs of {', '.join(missing)}: a stage that has RUN needs QEMU (binfmt), "
            "or --platform=$BUILDPLATFORM"
        )
