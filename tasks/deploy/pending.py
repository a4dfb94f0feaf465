"""Whether a deploy has anything to do: most have not, so this module loads and asks no more than that takes."""

from ..host.foresight import refuse_foreseen
from ..host.project import Project
from ..model.stack.verdict import refuse_missing_secrets
from ..release import store
from ..release.plan import release
from . import prepare
from .plan import deploy
from .prepare import DeployRequest, Prepared


def prepare_deploy(project: Project, wish: DeployRequest) -> Prepared:
    """Return the deploy of what the files say now; raises RefusedError or InputError when it cannot be carried out."""
    prepare.reach(project)
    refuse_foreseen(project)
    refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    prepared = prepare.today(project, wish)
    deploy.refuse(prepared.deploy.plan)
    if prepared.deploy.plan.operations:
        deploy.refuse_taken_ports(project.stack, project.profile, prepared.observed.taken_ports)
    return prepared


def has_operations(prepared: Prepared) -> bool:
    """Whether a deploy changes anything."""
    return bool(prepared.deploy.plan.operations)


def unfinished(project: Project, prepared: Prepared) -> bool:
    """Whether an earlier deploy left something to note, record or push."""
    return prepared.unnoted or unrecorded(project, prepared) or _unpublished(project)


def unrecorded(project: Project, prepared: Prepared) -> bool:
    """Whether what runs is not recorded as a release: the deploy that brought it was killed before that."""
    last = release.serving(store.history(project))
    images = store.pinned(project, prepared.observed.images)
    return last is None or prepared.state.unrecorded or bool(release.changed_images(last.images, images))


def _unpublished(project: Project) -> bool:
    if not (project.profile.integer("KEEP_RELEASES") and project.profile.flag("PUBLISH_RELEASES")):
        return False
    from ..release import publish

    return publish.release_to_publish(project) is not None
