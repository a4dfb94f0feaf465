"""Gathers what the gates of a deploy are judged by, and no more than the profile asks for."""

from ..plan import deploy as deploy_planner
from ..plan import gates as planner
from ..plan import rollout
from ..plan.errors import SlipwayError
from . import git, verification
from .output import note
from .project import Project

_TESTED = "test"  # the environment in which `inv test` runs


def check(project: Project, plan: deploy_planner.Plan) -> dict[str, str]:
    """Return the evidence for a deploy; raises RefusedError that names every gate that is not met."""
    facts = _facts(project, plan)
    planner.refuse_unmet(project.profile, facts)
    return {name: said for name, said in (("tests", facts.tests), ("scan", facts.scan[0])) if said}


def unmet(project: Project, plan: deploy_planner.Plan) -> list[tuple[str, str]]:
    """Return every gate of a deploy that is not met, each with what to do about it."""
    return planner.unmet(project.profile, _facts(project, plan))


def tell(project: Project, plan: deploy_planner.Plan) -> None:
    """Say which gates are not met, where nothing is carried out."""
    say(unmet(project, plan))


def say(found: list[tuple[str, str]]) -> None:
    """Say which gates are not met, to people."""
    for reason, mend in found:
        note(f"a deploy would be refused: {reason}")
        note(f"  hint: {mend}")


def _facts(project: Project, plan: deploy_planner.Plan) -> planner.Facts:
    profile = project.profile
    wanted = planner.evidence(profile)
    found = git.facts(project.settings.project_dir) if profile.flag("REQUIRE_CLEAN") else None
    return planner.Facts(
        commit=project.version.commit,
        dirty=bool(found and found.dirty),
        moved=found.commit if found and found.commit != project.version.commit else "",
        branches=git.remote_branches(project.settings.project_dir) if profile.flag("REQUIRE_PUSHED") else (),
        tests=_tests(project) if planner.TESTS in wanted else "",
        scan=_scan(project, plan) if planner.SCAN in wanted else ("", ""),
        unwatched=_unwatched(project, plan) if profile.flag("REQUIRE_HEALTHCHECK") else (),
        mounted=()
        if project.engine.local()
        else planner.mounted_from(project.stack, str(project.settings.root), project.cwd),
        unsigned=verification.unmet(project, plan),
    )


def _unwatched(project: Project, plan: deploy_planner.Plan) -> tuple[str, ...]:
    stack = project.stack
    running = {one.service for one in project.engine.containers(stack.project) if one.state == "running"}
    changed = {one.service: one.action for one in plan.changed}
    promoted = plan.promotion.images if plan.promotion else {}
    watched = {
        name
        for name, service in stack.services.items()
        if service.health_check
        or (
            not service.health_disabled
            and (image := promoted.get(service.image) or project.engine.image(service.image))
            and image.health_check
        )
    }
    return tuple(name for name in planner.rolled_out(rollout.moves(stack, changed, running)) if name not in watched)


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
