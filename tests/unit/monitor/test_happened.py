"""Releases, alerts and restarts of a time."""

from tasks.monitor.view.plan.chart import Mark
from tasks.monitor.view.plan.figures import Period
from tasks.monitor.view.plan.happened import fired, releases, restarted
from tasks.telemetry.plan.series import Series

DURING = Period(1000.0, 2000.0, 10.0, 60.0)


def series(times: list[float], value: float = 1.0, **labels: str) -> Series:
    return Series(labels, tuple((time, value) for time in times))


def steps(first: int, last: int) -> list[float]:
    return [float(time) for time in range(first, last + 1, 10)]


def build(version: str, *ranges: tuple[int, int], service: str = "web") -> Series:
    return series([time for bounds in ranges for time in steps(*bounds)], service=service, version=version)


def test_a_version_that_appears_is_a_release_and_the_one_from_before_is_none() -> None:
    builds = [build("1.4.2", (1000, 1500)), build("1.4.3", (1490, 2000))]
    assert releases(builds, [], [], DURING) == (Mark(1490.0, "web 1.4.3"),)


def test_a_version_that_comes_back_is_a_release_again() -> None:
    builds = [build("1.4.2", (1000, 1300), (1600, 2000)), build("1.4.3", (1300, 1590))]
    assert [mark.text for mark in releases(builds, [], [], DURING)] == ["web 1.4.3", "web 1.4.2"]


def test_a_time_without_data_is_no_release() -> None:
    assert releases([build("1.4.2", (1000, 1300), (1600, 2000))], [], [], DURING) == ()


def test_each_deploy_that_was_told_of_is_a_mark_and_a_failed_one_of_another_kind() -> None:
    deployed = Series({"outcome": "deployed"}, ((1000.0, 400.0), (1300.0, 1250.0), (1900.0, 1850.0)))
    back = Series({"outcome": "rolled-back"}, ((1700.0, 1600.0),))
    versions = [series(steps(1000, 1250), release="1", version="1.4.2"), series(steps(1260, 2000), version="1.4.3")]
    assert releases([], [deployed, back], versions, DURING) == (
        Mark(1250.0, "deployed 1.4.2"),
        Mark(1600.0, "rolled back", "failure"),
        Mark(1850.0, "deployed 1.4.3"),
    )


def test_a_deploy_and_the_version_that_it_brings_are_one_release() -> None:
    deployed = Series({"outcome": "deployed"}, ((1560.0, 1550.0),))
    builds = [build("1.4.2", (1000, 1500)), build("1.4.3", (1490, 2000))]
    assert [mark.text for mark in releases(builds, [deployed], [], DURING)] == ["deployed"]


def test_an_alert_that_fires_twice_is_listed_twice_and_the_newest_first() -> None:
    errors = series(
        [*steps(1100, 1200), *steps(1980, 2000)], alertname="Errors", severity="page", service="web", sloth_id="web-a"
    )
    newest, older = fired([errors], DURING)
    assert (newest.name, newest.labels, newest.start, newest.still) == ("Errors", "service=web", 1980.0, True)
    assert (older.severity, older.start, older.end, older.still) == ("page", 1100.0, 1200.0, False)


def test_the_alert_that_always_fires_is_not_listed() -> None:
    assert fired([series(steps(1000, 2000), alertname="Watchdog", severity="none")], DURING) == ()


def test_containers_that_were_not_started_again_are_not_listed() -> None:
    restarts = [series([2000.0], 0.0, container="shop-web-1"), series([2000.0], 2.9, container="shop-web-2")]
    killed = [series([2000.0], 1.02, container="shop-store-1"), series([2000.0], 1.0, container="shop-web-2")]
    found = [(one.container, one.restarts, one.out_of_memory) for one in restarted(restarts, killed)]
    assert found == [("shop-web-2", 3, 1), ("shop-store-1", 0, 1)]
