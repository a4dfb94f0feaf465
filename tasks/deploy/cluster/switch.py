"""Blue-green on a cluster: Services switch to Pods that stand, proven, beside those that serve.

1. helm upgrades to a chart of both releases: the new objects, and what serves as it is, its Deployment in its slot and
   the Services that lead there. Jobs run before, helm waits for all Pods. This revision is a step: its description
   names the release that goes on to serve, so nothing takes it for a release, and the next deploy goes back from it.
2. The Services are applied as the new release has them: one request each, the switch.
3. The new Pods are watched, and smoke checks ask them, while the old ones are as they were.
4. helm upgrades to the new release alone (a roll back: `helm rollback`), which removes the old Deployment. Only this
   revision is a release, and `helm rollback` to it gives its own Deployment and Services that lead there.

Whatever fails, or is found by the next deploy after a kill: the Services first (a Deployment that helm had removed
already is made and awaited before), then `helm rollback` to the release before, which is the record again.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import replace

from ...host.output import WARNING, note
from ...kube.live.cluster import MANAGER, Cluster
from ...kube.live.inventory import documents, released
from ...kube.plan import labels
from ...kube.plan.live import autoscalers, difference, helm_record, takeover
from ...kube.plan.live.difference import Raw, key
from ...kube.plan.live.takeover import Takeover
from ...kube.plan.part import Fields
from ...kube.plan.workloads.kinds import DEPLOYMENT
from ...kube.plan.workloads.slots import is_former
from . import helm
from .prepare import ClusterDeploy

# kubectl's own validation wants whole objects; the API server's takes no field that it does not know.
_APPLY = ("apply", "--server-side", "--force-conflicts", "--validate=false")
ASKED_AGAIN = 5.0  # seconds until requests that a node could not send on were sent to former Pods instead
HEARD = 2.0  # seconds until every sidecar of a mesh has heard of routes, and every node of Services
_KEEP = "slipway-scale"  # not helm's name: that is who gives the number of Pods up


def change(prepared: ClusterDeploy) -> Takeover:
    """Return what changes hands in a deploy; nothing where no Pods take over in another slot.

    Nor where what serves is not ready: helm would wait for it, and there is nothing to keep.
    """
    if not prepared.kept or not prepared.serving:
        return Takeover((), prepared.objects.always)
    return takeover.takeover(released(prepared.cluster, prepared.serving), prepared.objects.always)


def beside(prepared: ClusterDeploy, change: Takeover) -> ClusterDeploy:
    """Return a deploy with the objects of both releases."""
    return replace(prepared, objects=replace(prepared.objects, always=change.beside(prepared.state.live)))


def lead(cluster: Cluster, services: Iterable[Fields]) -> None:
    """Let Services lead where these say."""
    _apply(cluster, difference.as_released(services, cluster.release, cluster.namespace), MANAGER, "lead the Services")


def keep_numbers(cluster: Cluster, live: Iterable[Raw], objects: Iterable[Fields]) -> None:
    """Keep the number of Pods of workloads that scale by themselves from now on, as ``objects`` have them."""
    if kept := autoscalers.handed_over(live, objects):
        _apply(cluster, kept, _KEEP, "keep the number of Pods")


def bring_back(cluster: Cluster, number: int, patience: float) -> None:
    """Let a release serve again that served before: first its Services, then helm's record; ``patience`` in seconds."""
    objects = released(cluster, number)
    live = cluster.read("get", "deployments.apps,services", "--selector", f"{labels.PROJECT}={cluster.name}")["items"]
    if names := takeover.astray(objects, live):
        there = {key(raw) for raw in live}
        wanted = takeover.of_services(objects, DEPLOYMENT, names)
        if gone := [each for each in wanted if key(each) not in there]:
            _apply(
                cluster, difference.as_released(gone, cluster.release, cluster.namespace), MANAGER, "bring back Pods"
            )
            _await(cluster, gone, patience)
        if routes := takeover.routes_of(objects, names):  # they divide requests where a canary was stopped
            lead(cluster, routes)
            time.sleep(HEARD)
        lead(cluster, takeover.services_of(objects, names))
        await_asked_again(objects)
    _complete(cluster, objects)
    cluster.run(helm.back(cluster, number, patience))


def await_asked_again(objects: Iterable[Fields]) -> None:
    """Wait after Services lead back, where a proxy asks former Pods until then: helm's way back leads those elsewhere.

    While a node hears of a Service that had no Pods, new connections to it get no answer, and are given up after
    seconds (``proxy_connect_timeout``).
    """
    if any(map(is_former, objects)):
        time.sleep(ASKED_AGAIN)


def _complete(cluster: Cluster, objects: Iterable[Raw]) -> None:
    """Add what a killed helm had not come to remove to its record, so that helm can go back to ``objects``."""
    selector = f"owner=helm,name={cluster.release},{helm_record.SELECTED}"
    begun = cluster.read("get", "secrets", "--selector", selector)["items"]
    # Those that were killed before stay as they are: helm compares with the newest one.
    for stored in sorted(begun, key=lambda raw: int(raw["metadata"]["labels"]["version"]))[-1:]:
        if kept := helm_record.lacking(documents(helm_record.manifest(stored)), objects):
            text = json.dumps(helm_record.with_objects(stored, kept))
            cluster.silently(cluster.kubectl("replace", "--filename", "-", stdin=text))


def _await(cluster: Cluster, deployments: Iterable[Fields], patience: float) -> None:
    for each in deployments:
        name = f"deployment/{each['metadata']['name']}"
        words = ("rollout", "status", name, f"--timeout={max(patience, 1.0):.0f}s")
        result = cluster.tried(cluster.kubectl(*words, seconds=None))
        if result.exit_code:
            note(f"{name} is not ready: {result.stderr.strip()}", WARNING)


def _apply(cluster: Cluster, objects: Iterable[Fields], manager: str, reason: str) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    words = (*_APPLY, f"--field-manager={manager}", "--filename", "-")
    cluster.run(cluster.kubectl(*words, stdin=listed, reason=reason))
