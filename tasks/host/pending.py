"""Whether a deploy has anything to do: most have not, and load and ask no more than it takes to say so."""

from ..plan import deploy as planner
from ..plan import release as release_planner
from ..plan.lock import waiting
from ..plan.verdict import refuse_missing_secrets
from . import prepare, records
from .foreseeing import refuse_foreseen
from .plans import nothing_to_do, orphans_note
from .prepare import Prepared, Wish
from .project import Project


def run(
    project: Project, yes: bool, build: bool, json: bool, wait: str = "", interrupt: bool = False, take: bool = False
) -> None:
    """Deploy an environment; raises DeployError (exit code 4) when it began and failed.

    ``interrupt``: also where services could not be reached meanwhile; ``take``: also what another directory deployed.
    """
    patience = waiting(wait)
    found = prepared(project, Wish(build=build))
    orphans_note(found.deploy.plan)
    if not to_do(found) and not unfinished(project, found):
        nothing_to_do(project, found.deploy, json)
        return
    from . import deploys  # with all that it takes to build, to release and to go back

    deploys.carry_out(project, found, yes, build, json, patience, interrupt, take)


def prepared(project: Project, wish: Wish) -> Prepared:
    """Return the deploy of today; raises what would be raised before anything runs."""
    project.reach()
    refuse_foreseen(project)
    refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    found = prepare.today(project, wish)
    planner.refuse(found.deploy.plan)
    if found.deploy.plan.operations:
        planner.refuse_taken_ports(project.stack, project.profile, found.observed.taken_ports)
    return found


def to_do(found: Prepared) -> bool:
    """Whether a deploy changes anything."""
    return bool(found.deploy.plan.operations)


def unfinished(project: Project, found: Prepared) -> bool:
    """Whether there is something to be noted or recorded of what runs, or to be pushed."""
    if found.unnoted or not project.profile.integer("KEEP_RELEASES"):
        return found.unnoted
    return unrecorded(project, found) or _unpublished(project)


def unrecorded(project: Project, found: Prepared) -> bool:
    """Whether what runs is no release yet: the deploy that brought it was killed before it could record it."""
    last = release_planner.serving(records.history(project))
    images = records.pinned(project, found.observed.images)
    return last is None or found.state.unrecorded or bool(release_planner.moved(last.images, images))


def _unpublished(project: Project) -> bool:
    if not project.profile.flag("PUBLISH_RELEASES"):
        return False
    from . import publishing

    return publishing.due(project) is not None
