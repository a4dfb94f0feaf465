"""Gathers what the gates of a deploy are judged by, and no more than the profile asks for."""

from ..plan import deploy as deploy_planner
from ..plan import gates as planner
from ..plan import rollout
from ..plan.errors import SlipwayError
from . import git
from .output import note
from .project import Project

_TESTED = "test"  # the environment in which `inv test` runs


def check(project: Project, plan: deploy_planner.Plan) -> dict[str, str]:
    """Return the evidence for a deploy; raises RefusedError that names every gate that is not met."""
    profile = project.profile
    wanted = planner.evidence(profile)
    found = git.facts(project.settings.project_dir) if profile.flag("REQUIRE_CLEAN") else None
    tests = _tests(project) if planner.TESTS in wanted else ""
    scan = _scan(project, plan) if planner.SCAN in wanted else ("", "")
    planner.refuse_unmet(
        profile,
        planner.Facts(
            commit=project.version.commit,
            dirty=bool(found and found.dirty),
            branches=git.remote_branches(project.settings.project_dir) if profile.flag("REQUIRE_PUSHED") else (),
            tests=tests,
            scan=scan,
            unwatched=_unwatched(project, plan) if profile.flag("REQUIRE_HEALTHCHECK") else (),
            mounted=()
            if project.engine.local()
            else planner.mounted_from(project.stack, str(project.settings.root), project.cwd),
        ),
    )
    return {name: said for name, said in (("tests", tests), ("scan", scan[0])) if said}


def _unwatched(project: Project, plan: deploy_planner.Plan) -> tuple[str, ...]:
    stack = project.stack
    running = {one.service for one in project.engine.containers(stack.project) if one.state == "running"}
    changed = {one.service: one.action for one in plan.changed}
    names = planner.rolled_out(rollout.moves(stack, changed, running))
    return tuple(
        name
        for name in names
        if not stack.services[name].health_check
        and not ((image := project.engine.image(stack.services[name].image)) and image.health_check)
    )


def _tests(project: Project) -> str:
    """Return the run of tests that holds for the sources of this checkout, "" when there is none."""
    from .testing import holding

    try:
        return holding(project.elsewhere(_TESTED))
    except SlipwayError as error:
        note(f"tests: {error.message.splitlines()[0]}")
        return ""


def _scan(project: Project, plan: deploy_planner.Plan) -> tuple[str, str]:
    from .scan_evidence import find  # only those who ask for it pay for it

    return find(project, plan)
