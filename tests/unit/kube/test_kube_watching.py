"""Whether Pods that were ready stay well, and for how long that is looked at."""

from typing import Any

from cluster_objects import NAMES, deployment, pod, state
from support import stack

from tasks.deploy.plan.cluster import watched_seconds
from tasks.kube.plan.live.pods import coming
from tasks.kube.plan.live.watching import counts, sick, watched


def ended(code: int) -> dict[str, Any]:
    return {"lastState": {"terminated": {"exitCode": code}}, "restartCount": 1}


def told(*found: dict[str, Any], before: tuple[dict[str, Any], ...] = ()) -> list[str]:
    return [str(one.problem) for one in sick(found, counts(before or (pod("app-1"),)), NAMES)]


def test_a_pod_that_stays_ready_is_well() -> None:
    assert told(pod("app-1")) == []
    assert told(pod("app-1", restartCount=2), before=(pod("app-1", restartCount=2),)) == [], "that was before"


def test_a_pod_that_was_started_again_is_sick_although_it_is_ready() -> None:
    assert told(pod("app-1", **ended(3))) == ["app: it ended with exit code 3 and was started again"]


def test_a_pod_that_is_not_ready_any_more_is_sick() -> None:
    assert told(pod("app-1", ready=False)) == ["app: it runs and its health check does not pass"]
    crashed = pod("app-1", ready=False, state={"terminated": {"exitCode": 7}})
    assert told(crashed) == ["app: it ended with exit code 7"]


def test_watched_are_the_pods_that_stay_and_have_started() -> None:
    leaving, starting = pod("app-2"), pod("app-3", ready=False, started=False)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-30T08:00:00Z"
    found = [pod("app-1"), leaving, starting, pod("db-0", "db")]

    assert [one["metadata"]["name"] for one in watched(found, ["app"], NAMES, {})] == ["app-1"]


def not_ready(name: str, since: str, **own: Any) -> dict[str, Any]:
    """Return a Pod whose container was started at 08:00:05 and has passed its startup check."""
    made = pod(name, ready=False, **own)
    made["status"]["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": f"2026-11-30T{since}Z"}]
    return made


def test_a_pod_that_has_not_been_ready_yet_is_still_starting() -> None:
    came, was = not_ready("app-2", "08:00:04"), not_ready("app-1", "08:00:09")
    assert watched([came, was], ["app"], NAMES, {}) == (was,), "one came meanwhile, the other one was ready"
    assert coming([came], "app", NAMES) and not coming([was], "app", NAMES)
    crashed = not_ready("app-3", "08:00:04", restartCount=1)
    assert watched([crashed], ["app"], NAMES, {}) == (crashed,) and not coming([crashed], "app", NAMES)


def test_pods_in_the_slot_before_are_not_watched() -> None:
    old, new = pod("app-blue-1"), pod("app-green-1", ready=False)
    for one, slot in ((old, "blue"), (new, "green")):
        one["metadata"]["labels"]["slipway/slot"] = slot

    assert watched([old, new], ["app"], NAMES, {"app": "green"}) == (new,)
    assert watched([old, new], ["app"], NAMES, {}) == (old, new)


def seconds(model: dict[str, Any], probed: bool = True, moved: bool = False, least: int = 0) -> float:
    shop = stack({"app": model})
    raw = deployment(**({"readinessProbe": {}} if probed else {}))
    raw["spec"]["minReadySeconds"] = least
    return watched_seconds(shop.services["app"], state([raw], [raw]), 10.0, {"app"} if moved else ())


def test_new_pods_are_watched_for_what_is_left_of_the_watch_period() -> None:
    monitored = {"deploy": {"update_config": {"monitor": "30s"}}}

    assert seconds({}) == 5.0, "as on an engine"
    assert seconds({}, probed=False) == 10.0, "SETTLE of the profile"
    assert seconds(monitored, least=30) == 0.0, "each of them was ready for so long"
    assert seconds(monitored, moved=True, least=30) == 30.0, "they serve only afterwards"
    assert seconds({"x-slipway": {"settle": "40s"}}, least=30) == 10.0
