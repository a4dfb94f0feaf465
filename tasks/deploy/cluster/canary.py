"""A canary on a cluster with a mesh: new Pods, ready in their slot, get the shares of ``x-slipway.canary`` in turn.

The sidecars hear of a change after a moment, each at its own time. So the routes name the slots before the Services
lead to both, and give the old Pods nothing before the Services leave them.
"""

import time
from collections.abc import Mapping
from itertools import zip_longest

from ...host.story.story import current_step
from ...kube.live.cluster import persistently
from ...kube.plan.live.takeover import Takeover, of_services, routes_of, serving
from ...kube.plan.mesh.shares import ALL, SERVICE, divided, of_both
from ...kube.plan.workloads.slots import SLOTS
from ...model.record import Record
from ...model.stack.extension import CANARY
from ...model.units import show_duration
from . import switch
from .prepare import ClusterDeploy
from .watch import watch


class CanaryShare(Record):
    """A service whose new Pods get shares: its slots, the shares in percent, and for how many seconds each."""

    service: str
    old: str
    new: str
    weight: tuple[int, ...]
    every: float


def shares(prepared: ClusterDeploy, taking: Takeover) -> dict[str, CanaryShare]:
    """Return the services whose new Pods get shares by the mesh, by their label; none without a mesh.

    Where the Pods that serve are in no slot yet, no route can tell them apart.
    """
    before, after = serving(taking.before), taking.slots()
    found: dict[str, CanaryShare] = {}
    for name, new in after.items():
        service = prepared.stack.services[prepared.names[name]]
        canary, old = service.slipway.canary, before.get(name, "")
        if service.rollout == CANARY and canary and old in SLOTS and routes_of(taking.after, (name,)):
            found[name] = CanaryShare(service.name, old, new, canary.weight, canary.every)
    return found


def give(
    prepared: ClusterDeploy, taking: Takeover, given: Mapping[str, CanaryShare], counts: Mapping[str, int]
) -> None:
    """Give new Pods their shares in turn, and watch them meanwhile; raises DeployError for one that is not well.

    ``counts`` is how often Pods had been started again when they were seen ready. In the end the new Pods get all.
    """
    cluster = prepared.cluster
    slots = {share.service: share.new for share in given.values()}
    _divide(prepared, taking, given, dict.fromkeys(given, 0))
    time.sleep(switch.HEARD)
    both = of_both(of_services(taking.after, SERVICE, given))
    persistently(lambda: switch.lead(cluster, both))
    time.sleep(switch.HEARD)
    for weights in zip_longest(*(share.weight for share in given.values())):
        now = {name: weight for name, weight in zip(given, weights, strict=True) if weight}
        _divide(prepared, taking, given, now)
        watch(cluster, prepared.names, {given[name].service: given[name].every for name in now}, slots, counts)
    _divide(prepared, taking, given, dict.fromkeys(given, ALL))
    time.sleep(switch.HEARD)
    current_step().result = "; ".join(
        f"{', '.join(f'{weight} %' for weight in share.weight)} of the requests, each for {show_duration(share.every)}"
        for share in given.values()
    )


def take_back(prepared: ClusterDeploy, taking: Takeover) -> None:
    """Let new Pods get nothing any more; the Services follow when every sidecar has heard of it."""
    if given := shares(prepared, taking):
        _divide(prepared, taking, given, dict.fromkeys(given, 0))
        time.sleep(switch.HEARD)


def _divide(
    prepared: ClusterDeploy, taking: Takeover, given: Mapping[str, CanaryShare], percent: Mapping[str, int]
) -> None:
    routes = [
        route
        for name, part in percent.items()
        for route in divided(routes_of(taking.after, (name,)), given[name].old, given[name].new, part)
    ]
    persistently(lambda: switch.lead(prepared.cluster, routes))
