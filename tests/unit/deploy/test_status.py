"""The state of an environment, service by service."""

from typing import Any

import pytest
from support import container, desired, image

from tasks.deploy.plan.status import rows
from tasks.model.engine.facts import Container
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.observed import Observed
from tasks.reconcile.plan.reconcile import reconcile
from tasks.release.plan.release import Pinned, Release

SHOP = desired(
    {
        "schema": {"image": "shop/schema:dev", "x-slipway": {"job": "migrate"}},
        "web": {"image": "shop/web:dev", "healthcheck": {"test": ["CMD", "x"]}, "deploy": {"replicas": 2}},
    },
    hashes={"web": "w1", "schema": "s1"},
)
IMAGES = {"shop/web:dev": image("sha256:a"), "shop/schema:dev": image("sha256:a")}


def status(*containers: Container, release: Release | None = None) -> dict[str, dict[str, Any]]:
    observed = Observed(containers, IMAGES)
    plan = reconcile(observed, SHOP, Policy(pulled=True))
    return {row["service"]: row for row in rows(SHOP, observed, plan, containers, release)}


def web(number: int = 1, **fields: Any) -> Container:
    return container(f"shop-web-{number}", **{"config_hash": "w1", "health": "healthy", **fields})


def schema(**fields: Any) -> Container:
    return container("shop-schema-1", **{"config_hash": "s1", "state": "exited", **fields})


def test_a_row_has_the_contracts_members() -> None:
    ports = ("0.0.0.0:8080->80/tcp",)
    row = status(web(1, ports=ports, started="2026-05-06T07:00:00Z"), web(2, started="2026-05-06T08:00:00Z"))["web"]

    assert row == {
        "service": "web",
        "state": "running",
        "health": "healthy",
        "image": "shop/web:dev",
        "digest": "sha256:a",
        "replicas": "2/2",
        "ports": ["0.0.0.0:8080->80/tcp"],
        "started": "2026-05-06T08:00:00Z",
        "restarts": 0,
        "drift": [],
        "ready": True,
    }


def test_the_rows_are_in_the_models_order() -> None:
    assert list(status()) == ["schema", "web"]


def test_a_service_without_a_container_is_absent() -> None:
    row = status()["web"]

    assert (row["state"], row["health"], row["replicas"], row["started"], row["ready"]) == (
        "absent",
        "",
        "0/2",
        "",
        False,
    )


def test_the_digest_of_a_service_that_does_not_run_is_its_images() -> None:
    assert status()["web"]["digest"] == "sha256:a"


@pytest.mark.parametrize(
    ("fields", "state", "ready"),
    [
        ({}, "completed", True),
        ({"exit_code": 2}, "failed (2)", False),
        ({"state": "running"}, "running", False),
        ({"state": "created"}, "created", False),
    ],
)
def test_a_one_off_completes_or_fails(fields: dict[str, Any], state: str, ready: bool) -> None:
    row = status(schema(**fields))["schema"]

    assert (row["state"], row["ready"], row["replicas"]) == (state, ready, "-")


def test_replicas_in_several_states_show_them_all() -> None:
    row = status(web(1), web(2, state="exited", health=""))["web"]

    assert (row["state"], row["replicas"]) == ("exited/running", "1/2")


@pytest.mark.parametrize(
    ("second", "health"),
    [("healthy", "healthy"), ("starting", "starting"), ("unhealthy", "unhealthy"), ("", "healthy")],
)
def test_the_worst_health_of_the_replicas_is_shown(second: str, health: str) -> None:
    assert status(web(1), web(2, health=second))["web"]["health"] == health


def test_what_differs_from_the_profile_is_drift() -> None:
    row = status(web(1, config_hash="w0"), web(2, image_id="sha256:old"))["web"]

    assert row["drift"] == ["configuration changed", "image shop/web:dev changed"]


def test_a_one_off_that_differs_from_the_profile_drifts_too() -> None:
    assert status(schema(config_hash="s0"))["schema"]["drift"] == ["configuration changed"]


def test_a_missing_replica_is_no_drift() -> None:
    assert status(web(1))["web"]["drift"] == []


def test_a_container_run_by_hand_is_not_shown() -> None:
    by_hand = container("shop-web-9", oneoff=True, state="exited", ports=("0.0.0.0:1->1/tcp",))

    assert status(web(1), web(2), by_hand)["web"]["ports"] == []


def test_what_runs_another_image_than_the_release_that_serves_has_drifted() -> None:
    release = Release(6, "prod", "1.4.2", "c", "t", "ann", images={"web": Pinned("shop/web:dev", "sha256:b")})
    drift = {name: row["drift"] for name, row in status(web(1), web(2), release=release).items()}
    assert drift == {"schema": [], "web": ["not the image of release 6"]}


def test_restarts_of_all_replicas_are_counted() -> None:
    assert status(web(1, restarts=2), web(2, restarts=1))["web"]["restarts"] == 3


def test_a_service_that_only_waits_or_is_scaled_is_not_ready() -> None:
    assert status(web(1), web(2))["web"]["ready"] is True
    assert status(web(1))["web"]["ready"] is False
    assert status(web(1), web(2, health="starting"))["web"]["ready"] is False
