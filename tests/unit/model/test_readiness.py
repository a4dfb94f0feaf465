"""How long a service may take to be healthy."""

import pytest
from support import image, profile, service

from tasks.host.engine.parse import health_times
from tasks.model.stack.health import Health
from tasks.model.stack.readiness import effective_health, health_timeout, longest_health_timeout
from tasks.model.stack.stack import Service


def web(**health: object) -> Service:
    return service(healthcheck={"test": ["CMD", "true"], **health})


def test_the_times_of_a_health_check_are_seconds() -> None:
    health = web(interval="1m30s", timeout="1.5s", retries=2, start_period="20s", start_interval="250ms").health
    assert health == Health(90.0, 1.5, 2, 20.0, 0.25)
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


def test_what_the_compose_file_leaves_out_is_the_images() -> None:
    own = image(health_check=True, health={"interval": 90.0, "timeout": 2.0, "retries": 2})

    assert effective_health(service(), own) == Health(90.0, 2.0, 2)
    assert effective_health(web(interval="1s"), own) == Health(1.0, 2.0, 2)
    assert effective_health(web(timeout="5s"), None) == Health(timeout=5.0)
    assert effective_health(service(), image()) is None
    assert effective_health(service(), None) is None
    assert effective_health(service(healthcheck={"disable": True}), own) is None
    assert health_timeout(service(), profile(), own) == 90 * 2 + 2
    assert health_timeout(service(), profile(HEALTH_TIMEOUT="20s"), own) == 20


def test_the_times_of_an_image_are_seconds() -> None:
    raw = {"Test": ["CMD", "true"], "Interval": 90_000_000_000, "StartPeriod": 1_500_000_000, "Retries": 2}
    assert health_times(raw) == {"interval": 90.0, "start_period": 1.5, "retries": 2}
    assert health_times({"Test": ["NONE"], "Interval": 0}) == {}


def test_all_services_are_waited_for_as_long_as_the_slowest_needs() -> None:
    assert longest_health_timeout([service(), web(interval="64s", timeout="3s")], profile()) == 195
    assert longest_health_timeout([], profile()) == 60
