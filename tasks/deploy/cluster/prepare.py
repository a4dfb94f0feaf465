"""Gathers what a deploy to a cluster starts from, and makes the plan."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...host.project import Project
from ...kube.gather import gather, with_images
from ...kube.live.asked import Asked, ask
from ...kube.live.cluster import Cluster
from ...kube.live.history import History
from ...kube.live.inventory import ClusterComparison, released
from ...kube.live.secrets import ProjectSecret
from ...kube.plan.live import difference, revisions, secret_versions, takeover
from ...kube.plan.live.difference import ClusterState, Raw, ServiceDifference
from ...kube.plan.mesh.meshes import shared
from ...kube.plan.names import by_label
from ...kube.plan.secrets import wanted
from ...kube.plan.source import KubeSource
from ...kube.plan.workloads.charts import ChartObjects, of_chart
from ...kube.plan.workloads.kinds import DEPLOYMENT
from ...kube.plan.workloads.slots import other
from ...kube.translated import accepted, translation
from ...model.record import Record
from ...model.stack.extension import BLUE_GREEN
from ...model.stack.readiness import health_timeout
from ...model.stack.stack import Service, Stack
from ...model.stack.verdict import refuse_missing_secrets
from ...reconcile.plan.operation import RECREATE
from ...release import redactions
from ...release.plan.release import Promotion, Release
from ..plan.cluster import ClusterPolicy, plan, rebuilt, unwatched, watched_seconds
from ..plan.deploy import Deploy
from ..plan.gates import RolledOut
from .promotion import pinned

if TYPE_CHECKING:
    from ...build.plan.build import BuildPlan


_ELSEWHERE = ("its Pods are in the other slot",)


class ClusterDeploy(Record):
    """A deploy to a cluster as it was planned: its objects, what is there, and the plan.

    ``moved`` are the Deployments that serve and those that take over in another slot, by service.
    """

    cluster: Cluster
    source: KubeSource
    objects: ChartObjects
    state: ClusterState
    secret: ProjectSecret
    history: History
    deploy: Deploy
    names: Mapping[str, str]
    there: bool = True  # whether the namespace exists
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Whether an earlier deploy was stopped before it ended."""
        return revisions.pending(self.history.revisions) is not None

    @property
    def serving(self) -> int:
        """The revision that serves, 0 for none."""
        found = revisions.serving(self.history.revisions)
        return found.number if found else 0

    @property
    def kept(self) -> Mapping[str, tuple[str, str]]:
        """What of ``moved`` goes on to serve until its followers are proven: nothing where it is not ready itself."""
        return _kept(self.state, self.moved)

    @property
    def content(self) -> str:
        """A digest over the objects of the release: those of equal releases are equal, in whichever slot."""
        objects = _objects(replace(self.source, slots={}), self.secret) if self.source.slots else self.objects
        made = (*objects.always, *objects.at_upgrade)
        return hashlib.sha256(json.dumps(made, sort_keys=True, default=dict).encode()).hexdigest()[:32]

    def timeouts(self) -> list[tuple[Service, float]]:
        """Return the services, and how long each may take to be healthy, in seconds."""
        profile = self.cluster.project.profile
        return [(service, health_timeout(service, profile)) for service in self.stack.services.values()]

    @property
    def rolled(self) -> RolledOut:
        """What the gates of the deploy ask about its Pods."""
        images = {name: service.image for name, service in self.stack.services.items() if service.image}
        return RolledOut(unwatched(self.deploy, self.state), images)

    @property
    def stack(self) -> Stack:
        """The model of the release, typed."""
        return self.source.stack


def prepare(
    project: Project,
    build: bool = False,
    ready: bool = False,
    looking: bool = False,
    promotion: Promotion | None = None,
    asked: Asked | None = None,
) -> ClusterDeploy:
    """Return the deploy of what the files say now; ``build``: build all images, ``ready``: they are built.

    ``looking``: nothing is going to be written, so that secrets need not be here. ``promotion`` has the images that are
    deployed in place of a build. ``asked`` is what the cluster was asked already.

    Raises InputError for what cannot be translated, RefusedError for what the cluster does not allow to look at.
    """
    asked = asked or ask(project)
    project.reach()
    if not looking:
        refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    builds = None if ready else _builds(project, build)
    images = pinned(project.stack, promotion) if promotion else {}
    recorded = with_images(redactions.without_secrets(project), images) if images else None
    source = gather(project, recorded=recorded, to_build=_to_build(project, builds, ready and looking))
    stack, names = source.stack, by_label(source.stack.services)
    canaries = [name for name, service in stack.services.items() if shared(source, service)]
    source = replace(source, slots=takeover.slots(asked.inventory.live, stack, names, canaries))
    secret = ProjectSecret(asked.cluster, wanted(source), asked.secret(), looking)
    made = _objects(source, secret)
    objects = (*made.always, *(made.at_install if asked.history.taken_down else made.at_upgrade))
    compared = _compared(asked, objects, names)
    state, there = compared.state, asked.inventory.there
    found = rebuilt(difference.differences(state, stack.services), builds.causes if builds else {}, stack, state)
    if following := _following(source, found, state):
        made = _objects(replace(source, slots={**source.slots, **following}), secret)
    moved = _moved(state, made.always)
    policy = _policy(project, stack, state, secret.changed, there, moved)
    deploy = Deploy(plan(stack, found, policy, compared.refusals, compared.warnings), builds, promotion)
    return ClusterDeploy(asked.cluster, source, made, state, secret, asked.history, deploy, names, there, moved)


def _objects(source: KubeSource, secret: ProjectSecret) -> ChartObjects:
    return of_chart(secret_versions.stamped(accepted(translation(source)).objects, secret.name, secret.after.versions))


def _compared(asked: Asked, objects: Sequence[Raw], names: Mapping[str, str]) -> ClusterComparison:
    serving = revisions.serving(asked.history.revisions)
    return asked.inventory.compare(objects, names, serving.number if serving else 0)


def _following(source: KubeSource, found: Sequence[ServiceDifference], state: ClusterState) -> dict[str, str]:
    """Return the slot of the new Pods of each service that takes turns and has others from this deploy on.

    That is one with a blue-green rollout, or with a canary in a mesh.

    Pods that are not all ready are replaced in their slot: helm would wait for what is kept, which is nothing to keep.
    """
    deployments = [raw for raw in takeover.led(state.live) if raw["kind"] == DEPLOYMENT]
    well = {difference.service_of(raw, state.names) for raw in deployments if not difference.unready(raw)}
    changed = {one.change.service for one in found if one.new_pods} & well & set(source.stack.services)
    return {
        name: other(source.slots.get(name, ""))
        for name in sorted(changed)
        if source.stack.services[name].rollout == BLUE_GREEN or shared(source, source.stack.services[name])
    }


def _moved(state: ClusterState, after: Iterable[Raw]) -> dict[str, tuple[str, str]]:
    return {
        state.names[name]: both
        for name, both in takeover.takeover(state.live, after).moved.items()
        if name in state.names
    }


def earlier(project: Project, goal: Release) -> ClusterDeploy:
    """Return the plan that goes back to a release, from the objects that helm keeps of it."""
    asked = ask(project)
    cluster, source = asked.cluster, gather(project, recorded=asked.history.model(goal))
    objects = released(cluster, goal.id)
    stack, names = source.stack, by_label(source.stack.services)
    compared = _compared(asked, objects, names)
    moved = _moved(compared.state, objects)
    state = replace(compared.state, wanted=takeover.aligned(compared.state.wanted, compared.state.live))
    found = [
        replace(one, new_pods=True, change=replace(one.change, action=RECREATE, causes=one.change.causes or _ELSEWHERE))
        if one.change.service in moved
        else one
        for one in difference.differences(state, stack.services)
    ]
    policy = replace(_policy(project, stack, state, (), asked.inventory.there, _kept(state, moved)), backup=False)
    deploy = Deploy(plan(stack, found, policy, compared.refusals, compared.warnings))
    made, secret = ChartObjects(objects, (), ()), ProjectSecret(cluster, {}, asked.secret(), True)
    return ClusterDeploy(cluster, source, made, state, secret, asked.history, deploy, names, moved=moved)


def _kept(state: ClusterState, moved: Mapping[str, tuple[str, str]]) -> Mapping[str, tuple[str, str]]:
    old = {before for before, _ in moved.values()}
    deployments = (raw for raw in state.live if raw["kind"] == DEPLOYMENT and raw["metadata"]["name"] in old)
    return {} if any(difference.unready(raw) for raw in deployments) else moved


def _builds(project: Project, everything: bool) -> "BuildPlan | None":
    if not project.stack.built() or project.profile.text("PROMOTE_FROM"):
        return None
    from ...build import build  # only where something is built
    from ...build.plan.bake import Options

    return build.plan(project, Options(), only_changed=not everything)


def _to_build(project: Project, builds: "BuildPlan | None", status: bool) -> tuple[str, ...]:
    """Return the services whose images a deploy builds first; ``status``: those whose images it could be."""
    if status:
        return tuple(service.name for service in project.stack.built())
    return tuple(name for name in builds.causes if name in project.stack.services) if builds else ()


def next_revision(history: History) -> int:
    """Return the number of the revision that a deploy would make."""
    return max((one.number for one in history.revisions), default=0) + 1


def _policy(
    project: Project,
    stack: Stack,
    state: ClusterState,
    secrets: tuple[str, ...],
    there: bool,
    moved: Mapping[str, tuple[str, str]],
) -> ClusterPolicy:
    profile = project.profile
    settle = profile.duration("SETTLE")
    running = {difference.service_of(raw, state.names) for raw in state.live if raw["kind"] in difference.PODS}
    databases = (name for name, service in stack.services.items() if service.slipway.backup is not None)
    return ClusterPolicy(
        backup=profile.flag("BACKUP_BEFORE_MIGRATE"),
        smoke=any(service.slipway.smoke for service in stack.services.values()),
        timeouts={name: health_timeout(service, profile) for name, service in stack.services.items()},
        namespace="" if there else profile.text("KUBE_NAMESPACE"),
        databases=tuple(name for name in databases if name in running),
        secrets=secrets,
        moved=moved,
        watched={name: watched_seconds(service, state, settle, moved) for name, service in stack.services.items()},
    )


def chart_files(prepared: ClusterDeploy) -> dict[str, str]:
    """Return the files of the chart of a deploy: as helm.package writes it, for this environment and its secrets."""
    from ...helm.package import identity, packaged  # a plan has no chart
    from ...helm.plan.chart import chart

    project = prepared.cluster.project
    environment = project.profile.environment
    source = packaged(prepared.objects, prepared.cluster.name, project.profile.text("HELM_TEST_IMAGE"))
    return chart(identity(project), {environment: source}, environment)


@contextmanager
def written_chart(prepared: ClusterDeploy) -> Iterator[Path]:
    """Yield a directory with the chart of a deploy."""
    with tempfile.TemporaryDirectory(prefix="slipway-chart-") as directory:
        for name, text in chart_files(prepared).items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        yield Path(directory)
