"""Watches the Pods of a deploy when helm has called them ready: whether they stay so."""

import time
from collections.abc import Mapping

from ...host.story.story import current_step, show_last_words
from ...kube.live.cluster import Cluster, persistently
from ...kube.plan.live import pods, watching
from ...kube.plan.live.difference import Raw
from ...model.errors import DeployError
from ...model.units import show_duration
from . import helm

_LOOK = 1.0  # seconds between two looks at the Pods


def watch(
    cluster: Cluster,
    names: Mapping[str, str],
    periods: Mapping[str, float],
    slots: Mapping[str, str],
    counts: Mapping[str, int],
) -> None:
    """Watch the Pods of services for so many seconds each; raises DeployError for one that does not stay well.

    ``names`` are the services by their names on the cluster, ``slots`` the slots of those whose Pods in another one are
    still there. ``counts`` is how often Pods had been started again when they were seen ready before. What is seen last
    is seen after the longest time.
    """
    begun, longest = time.monotonic(), max(periods.values(), default=0.0)
    before = dict(counts)
    first = True
    current_step().wait(longest)
    while periods:
        passed = time.monotonic() - begun
        services = [name for name, seconds in periods.items() if first or passed - _LOOK <= seconds]
        listed = persistently(lambda: helm.look(cluster))
        found = watching.watched((raw for raw in listed if raw["kind"] == "Pod"), services, names, slots)
        before = {**watching.counts(found), **before}
        if sick := watching.sick(found, before, names):
            _show_last_words(cluster, sick[0].pod)
            words = "; ".join(dict.fromkeys(str(one.problem) for one in sick))
            long = show_duration(max(round(passed), 1))
            raise DeployError(f"{words}, within {long} of being ready", sick[0].problem.hint)
        if passed >= longest:
            return
        first = False
        time.sleep(min(_LOOK, longest - passed))


def _show_last_words(cluster: Cluster, pod: Raw) -> None:
    """Show what a Pod wrote last: the way back removes it."""
    name = str(pod["metadata"]["name"])
    if words := helm.last_words(cluster, name, bool(pods.restarts(pod))):
        show_last_words(name, "failed", words)
