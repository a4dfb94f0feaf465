"""Gathers the facts for the gates of a deploy, and only those that the profile asks for."""

from ...host import git
from ...host.output import note
from ...host.project import Project
from ...model.errors import SlipwayError
from .. import maintenance
from ..plan import gates
from ..plan.deploy import Deploy

_TESTED = "test"  # the environment in which `inv test` runs


def check(project: Project, plan: Deploy, rolled: gates.RolledOut | None = None) -> dict[str, str]:
    """Return the evidence for a deploy; raises RefusedError that names every gate that is not met.

    ``rolled`` is what a deploy to a cluster rolls out; without it the engine is asked.
    """
    facts = _facts(project, plan, rolled)
    gates.refuse_unmet(project.profile, facts)
    return {name: text for name, text in (("tests", facts.tests), ("scan", facts.scan[0])) if text}


def unmet(project: Project, plan: Deploy, rolled: gates.RolledOut | None = None) -> list[tuple[str, str]]:
    """Return every gate of a deploy that is not met, each with what to do about it."""
    return gates.unmet(project.profile, _facts(project, plan, rolled))


def warn_unmet(project: Project, plan: Deploy) -> None:
    """Print which gates a deploy does not meet, for a dry run."""
    show_unmet(unmet(project, plan))


def show_unmet(unmet: list[tuple[str, str]]) -> None:
    """Print gates that are not met, each with what to do about it."""
    for reason, hint in unmet:
        note(f"a deploy would be refused: {reason}")
        note(f"  hint: {hint}")


def _facts(project: Project, plan: Deploy, rolled: gates.RolledOut | None = None) -> gates.GateFacts:
    profile = project.profile
    wanted = gates.evidence(profile)
    checkout = git.facts(project.settings.project_dir) if profile.flag("REQUIRE_CLEAN") else None
    return gates.GateFacts(
        commit=project.version.commit,
        dirty=bool(checkout and checkout.dirty),
        moved=checkout.commit if checkout and checkout.commit != project.version.commit else "",
        branches=git.remote_branches(project.settings.project_dir) if profile.flag("REQUIRE_PUSHED") else (),
        tests=_tests(project) if gates.TESTS in wanted else "",
        scan=_scan(project, plan) if gates.SCAN in wanted else ("", ""),
        unwatched=(_unwatched(project, plan) if rolled is None else rolled.unwatched)
        if profile.flag("REQUIRE_HEALTHCHECK")
        else (),
        mounted=()
        if project.clustered or project.engine.local()
        else gates.mounted_from(project.stack, str(project.settings.root), project.cwd),
        unsigned=_unsigned(project, plan, rolled),
        hidden=maintenance.unmet(project),
    )


def _unsigned(project: Project, plan: Deploy, rolled: gates.RolledOut | None) -> tuple[tuple[str, str], ...]:
    if not project.profile.flag("VERIFY_SIGNATURES"):
        return ()
    from . import signatures  # loads what asks registries

    return signatures.unmet(project, plan) if rolled is None else signatures.unmet_of(project, plan, rolled.images)


def _unwatched(project: Project, plan: Deploy) -> tuple[str, ...]:
    promoted = plan.promotion.images if plan.promotion else {}
    names = []
    for service in (project.stack.service(name) for name in plan.plan.rolled):
        image = promoted.get(service.image) or project.engine.image(service.image)
        by_image = bool(image and image.health_check and not service.health_disabled)
        if not service.health_check and not by_image:
            names.append(service.name)
    return tuple(names)


def _tests(project: Project) -> str:
    """Return the last passing run of the tests for the sources of this checkout, "" when there is none."""
    from ...test.test import last_passing_run

    try:
        return last_passing_run(project.elsewhere(_TESTED))
    except SlipwayError as error:
        note(f"tests: {error.message.splitlines()[0]}")
        return ""


def _scan(project: Project, plan: Deploy) -> tuple[str, str]:
    from .evidence import find  # loaded only when a profile asks for it

    return find(project, plan)
