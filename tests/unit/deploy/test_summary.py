"""What is told at the end of a deploy, and what a proxy's log tells of requests."""

import pytest

from tasks.deploy.plan.requests import requests
from tasks.deploy.plan.summary import change_lines, durations, summary
from tasks.reconcile.plan.operation import Change
from tasks.release.plan.release import DEPLOYED, Release

COMMON = '10.0.0.1 - - [29/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" {} 5 "-" "curl/8.14.1"'
JSON = '{{"method":"GET","uri":"/","status":{},"bytes":5}}'


@pytest.mark.parametrize("line", [COMMON, JSON])
def test_requests_that_nothing_answered_are_counted(line: str) -> None:
    good = [line.format(status) for status in (200, 201, 404, 500)]
    assert requests(good) == "4, none answered with 502, 503 or 504"
    bad = [line.format(status) for status in (502, 503, 504)]
    assert requests([*good, *bad, "2026/11/29 08:00:00 [notice] reload"]) == "7, 3 answered with 502, 503 or 504"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["", " "],
        ["2026/11/29 08:00:00 [notice] 1#1: signal 1 (SIGHUP) received, reconfiguring"],
        ["{not json", '{"status": "fine"}', '{"level": "info"}', "[]", '{"status": 9999}'],
        ['"GET / HTTP/1.1" 200 5', "a line", "another line"],
    ],
)
def test_a_log_without_requests_tells_nothing(lines: list[str]) -> None:
    assert requests(lines) == ""


def release(number: int, **more: object) -> Release:
    fields = {"version": f"1.{number}.0", "commit": "1a2b3c4d5e6f7a8b", "outcome": DEPLOYED, **more}
    return Release(number, "dev", created="2026-11-29T08:00:00Z", operator="ann@host", content=str(number), **fields)  # type: ignore[arg-type]


def test_the_summary_says_release_version_changes_durations_and_the_way_back() -> None:
    changes = [Change("app", "recreate", ("image changed",), ("app",)), Change("web", "create", ("no container",))]
    steps = [
        {"name": "build", "seconds": 5.7},
        {"name": "record", "seconds": 0.02},
        {"name": "blue-green app", "seconds": 75.0},
    ]
    assert summary("staging", release(2), changes, steps, [release(2), release(1)], "412") == [
        ("version", "1.2.0 (1a2b3c4d5e6f)"),
        ("changed", "recreate app: image changed (interrupts app)"),
        ("changed", "create web: no container"),
        ("took", "build 5.7 s, blue-green app 1 m 15 s"),
        ("requests", "412"),
        ("back", "inv deploy.rollback --env staging (to release 1, 1.1.0)"),
    ]


def test_without_an_earlier_release_no_way_back_is_promised() -> None:
    assert "back" not in dict(summary("dev", release(1), [], [], [release(1)]))
    assert summary("dev", None, [], [], []) == []


def test_only_the_longest_steps_are_named_in_their_order() -> None:
    steps = [{"name": f"s{number}", "seconds": float(number % 13)} for number in range(1, 27)]
    named = durations(steps).split(", ")
    assert len(named) == 8
    assert [name.split()[0] for name in named] == sorted((name.split()[0] for name in named), key=lambda s: int(s[1:]))
    assert durations([{"name": "a", "seconds": 0.05}]) == ""


def test_a_change_says_what_it_interrupts() -> None:
    assert change_lines([Change("app", "recreate", ("a", "b"), ("app", "web"))]) == (
        "recreate app: a; b (interrupts app, web)",
    )
