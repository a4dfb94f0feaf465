"""The Buildx builder in use, and whether it can do what a build asks of it."""

from ..host.output import note
from ..host.project import Project
from ..host.runner import capture
from ..model.compose import docker_env
from ..model.errors import RefusedError
from .plan import builder
from .plan.build import BuildPlan, Options
from .plan.builder import Builder


def in_use(project: Project) -> Builder:
    """Return the builder that builds run on; raises RefusedError when it does not exist or does not answer."""
    answer = capture(builder.inspect(docker_env(project.profile), project.cwd))
    if answer.exit_code != 0:
        lines = answer.stderr.strip().splitlines() or ["no message"]
        message = project.profile.masked(lines[-1].removeprefix("ERROR: "))
        raise RefusedError(f"the builder does not answer: {message}", "see which there are: docker buildx ls")
    # What the engine's own builder can do depends on its image store, which `buildx inspect` does not show.
    return builder.parse(answer.stdout, "io.containerd" in str(project.engine.info().get("DriverStatus")))


def check(project: Project, build: BuildPlan, options: Options) -> None:
    """Raise RefusedError, before the build, for what the builder in use cannot do; inspects it only if that matters."""
    needs = builder.wanted(
        [(target.service, target.build.extra) for target in build.targets], project.profile, options.push
    )
    if not needs.special:
        return
    current = in_use(project)
    builder.check(current, needs)
    if missing := builder.not_emulated(current, needs.platforms):
        note(
            f"builder {current.name} cannot run programs of {', '.join(missing)}: a stage with RUN needs QEMU "
            "(binfmt), or --platform=$BUILDPLATFORM"
        )
