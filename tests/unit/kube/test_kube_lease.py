"""The lock of a project as a Lease."""

from dataclasses import replace

from tasks.kube.plan.live import lease
from tasks.model.lock import Lock, stale

LOCK = Lock("shop", "ann", "laptop", 42, "deploy", "boot/1", 30.0)
NOW = "2026-11-30T08:00:00.000000Z"


def answered(raw: dict[str, object], renewed: str = "2026-11-30T08:00:00Z") -> dict[str, object]:
    """Return a Lease as the API server gives it back."""
    about = {
        **dict(raw["metadata"]),  # type: ignore[call-overload]
        "uid": "7f6e",
        "creationTimestamp": "2026-11-30T08:00:00Z",
        "managedFields": [{"manager": "kubectl-create", "time": "2026-11-30T08:00:00Z"}, {"time": renewed}],
    }
    return {**raw, "metadata": about}


def test_a_lease_says_who_holds_the_lock_and_why() -> None:
    held = lease.held(answered(lease.of_lock(LOCK, NOW)))

    assert held.lock == LOCK
    assert str(held) == "ann@laptop since 2026-11-30T08:00:00Z (deploy)"


def test_a_lease_is_named_as_the_lock_of_an_engine() -> None:
    raw = lease.of_lock(LOCK, NOW)

    assert raw["metadata"]["name"] == LOCK.name == "shop-slipway-lock"
    assert raw["spec"]["holderIdentity"] == "ann@laptop"
    assert raw["spec"]["leaseDurationSeconds"] == 30


def test_a_lock_is_renewed_when_the_server_says_so() -> None:
    raw = lease.of_lock(LOCK, NOW)
    fresh = lease.held(answered(raw, "2026-11-30T08:01:00Z"))

    asking = replace(LOCK, host="server", process="other/1")
    assert stale(fresh, asking, False, lease.seconds("2026-11-30T08:01:20Z")) == ""
    assert stale(fresh, asking, False, lease.seconds("2026-11-30T08:01:40Z")) == "it was not renewed for 40.0 s"


def test_only_this_very_lease_is_renewed_and_removed() -> None:
    held = lease.held(answered(lease.of_lock(LOCK, NOW)))

    assert lease.name(held) == "shop-slipway-lock"
    assert lease.renewal(held.token, NOW)[0] == {"op": "test", "path": "/metadata/uid", "value": "7f6e"}
    assert lease.removal(held.token)["preconditions"] == {"uid": "7f6e"}


def test_a_place_in_the_queue_is_no_lock() -> None:
    raw = lease.of_ticket(LOCK, "1a2b", NOW)

    assert raw["metadata"]["name"] == "shop-slipway-lock-ticket-1a2b"
    labels = raw["metadata"]["labels"]
    assert lease.queue(LOCK) == ",".join(f"{key}={value}" for key, value in labels.items())
    assert lease.queue(LOCK) not in ",".join(
        f"{key}={value}" for key, value in lease.of_lock(LOCK, NOW)["metadata"]["labels"].items()
    )
