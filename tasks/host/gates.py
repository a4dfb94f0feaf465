"""Gathers what the gates of a deploy are judged by, and no more than the profile asks for."""

from ..plan import gates as planner
from ..plan.deploy import Deploy
from ..plan.errors import SlipwayError
from . import git, verification
from .output import note
from .project import Project

_TESTED = "test"  # the environment in which `inv test` runs


def check(project: Project, plan: Deploy) -> dict[str, str]:
    """Return the evidence for a deploy; raises RefusedError that names every gate that is not met."""
    facts = _facts(project, plan)
    planner.refuse_unmet(project.profile, facts)
    return {name: said for name, said in (("tests", facts.tests), ("scan", facts.scan[0])) if said}


def unmet(project: Project, plan: Deploy) -> list[tuple[str, str]]:
    """Return every gate of a deploy that is not met, each with what to do about it."""
    return planner.unmet(project.profile, _facts(project, plan))


def tell(project: Project, plan: Deploy) -> None:
    """Say which gates are not met, where nothing is carried out."""
    say(unmet(project, plan))


def say(found: list[tuple[str, str]]) -> None:
    """Say which gates are not met, to people."""
    for reason, mend in found:
        note(f"a deploy would be refused: {reason}")
        note(f"  hint: {mend}")


def _facts(project: Project, plan: Deploy) -> planner.Facts:
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


def _unwatched(project: Project, plan: Deploy) -> tuple[str, ...]:
    promoted = plan.promotion.images if plan.promotion else {}
    found = []
    for service in (project.stack.service(name) for name in plan.plan.rolled):
        image = promoted.get(service.image) or project.engine.image(service.image)
        by_image = bool(image and image.health_check and not service.health_disabled)
        if not service.health_check and not by_image:
            found.append(service.name)
    return tuple(found)


def _tests(project: Project) -> str:
    """Return the run of tests that holds for the sources of this checkout, "" when there is none."""
    from .testing import holding

    try:
        return holding(project.elsewhere(_TESTED))
    except SlipwayError as error:
        note(f"tests: {error.message.splitlines()[0]}")
        return ""


def _scan(project: Project, plan: Deploy) -> tuple[str, str]:
    from .scan_evidence import find  # only those who ask for it pay for it

    return find(project, plan)
