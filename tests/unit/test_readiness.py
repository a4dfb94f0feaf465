"""How long a service may take to be healthy."""

import pytest
from support import profile, service

from tasks.plan.readiness import Health, health_timeout, longest
from tasks.plan.stack import Service


def web(**health: object) -> Service:
    return service(healthcheck={"test": ["CMD", "true"], **health})


def test_the_times_of_a_health_check_are_seconds() -> None:
    found = web(interval="1m30s", timeout="1.5s", retries=2, start_period="20s", start_interval="250ms").health
    assert found == Health(90.0, 1.5, 2, 20.0, 0.25)
    assert service().health is None
    assert service(healthcheck={"disable": True}).health is None


@pytest.mark.parametrize(
    ("health", "first"),
    [
        (Health(), 30.0),
        (Health(interval=90.0), 90.0),
        (Health(interval=90.0, start_period=10.0), 5.0),
        (Health(interval=90.0, start_period=10.0, start_interval=1.0), 1.0),
        (Health(interval=90.0, start_interval=1.0), 90.0),
    ],
)
def test_the_first_check_comes_after_the_interval_that_counts_at_the_start(health: Health, first: float) -> None:
    assert health.first == first


def test_a_deploy_waits_as_long_as_a_check_needs_unless_the_profile_says_how_long() -> None:
    slow = web(interval="64s", timeout="3s", retries=3)

    assert health_timeout(slow, profile()) == 64 * 3 + 3
    assert health_timeout(slow, profile(HEALTH_TIMEOUT="20s")) == 20
    assert health_timeout(slow, profile(HEALTH_TIMEOUT="")) == 64 * 3 + 3
    assert health_timeout(web(interval="1s", timeout="1s"), profile()) == 60
    assert health_timeout(service(), profile()) == 60


def test_all_services_are_waited_for_as_long_as_the_slowest_needs() -> None:
    assert longest([service(), web(interval="64s", timeout="3s")], profile()) == 195
    assert longest([], profile()) == 60
