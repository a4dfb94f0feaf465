"""What a journal tells: when faults were there, and what clients saw of them."""

from typing import Any

import pytest
from journals import at, done, inv, journal, samples

from tasks.chaos.plan.timeline import FaultSpan, Phase, phases, recovery, timeline
from tasks.model.errors import InputError


def test_a_fault_lasts_from_the_end_of_its_action_for_the_time_that_was_asked_for() -> None:
    assert timeline(journal(), "j").faults == (FaultSpan("cut", "database", 10.0, 12.0, 22.0),)


def test_a_fault_ends_when_an_action_stops_it_and_with_the_experiment_at_the_latest() -> None:
    run = (
        done(inv("chaos.inject", "kill", "--service", "app", "--for=8m"), 5, 1),
        done(inv("chaos.inject", "slow", "--service=database", "--for", "30s"), 7, 1),
        done(inv("chaos.stop", "--service", "app"), 20, 2),
        done(inv("chaos.inject", "restart", "--service", "app"), 25, 1),
        done(inv("chaos.inject", "pause", "--service", "app", "--for", "5s", "--stay"), 30, 7),
    )
    found = {one.name: (one.begin, one.end) for one in timeline(journal(*run, rollbacks=[]), "j").faults}
    assert found == {"kill": (6, 22), "slow": (8, 38), "restart": (26, 26), "pause": (32, 37)}
    assert timeline(journal(run[0], rollbacks=[]), "j").faults[0].end == 60.0


def test_a_fault_that_could_not_be_made_was_not_there() -> None:
    failed = done(inv("chaos.inject", "cut", "--service", "app"), 5, 1, status="failed")
    assert timeline(journal(failed), "j").faults == ()


def test_what_clients_saw_is_told_for_the_time_before_during_and_after_the_fault() -> None:
    line = timeline(journal(measured=samples(60, range(12, 25))), "j")
    assert phases(line.series[0], line.faults) == (
        Phase("before", 10, 0, 0.02, 0.02), Phase("fault", 13, 11, 0.02, 0.02), Phase("afterwards", 37, 2, 0.02, 0.02),
    )  # fmt: skip
    assert recovery(line.series[0], line.faults) == (
        "13 of 60 requests were not as tolerated: 503 (13); the first at 12.0 s, served again from 25.0 s: "
        "3.0 s after the fault was over."
    )


def test_what_did_not_recover_and_what_was_never_disturbed_are_said() -> None:
    line = timeline(journal(measured=samples(60, range(12, 60), 0)), "j")
    assert "no answer (48)" in recovery(line.series[0], line.faults)
    assert recovery(line.series[0], line.faults).endswith("Not served again until the end.")
    line = timeline(journal(measured=samples(60, range(0))), "j")
    assert recovery(line.series[0], line.faults) == "All of 60 requests were as tolerated."


def test_a_journal_of_chaos_toolkit_has_times_without_a_zone_and_no_latencies() -> None:
    ours = journal()
    theirs = {**ours, "start": "2026-11-29T14:05:00.000000", "chaoslib-version": "1.19.0"}
    assert timeline(theirs, "j").start == timeline(ours, "j").start
    assert timeline(theirs, "j").series == ()


def test_what_came_of_an_activity_is_said_in_a_line() -> None:
    seen = {"status": 503, "headers": {}, "body": "unavailable\nmore\nlast"}
    look = {"type": "probe", "name": "look", "provider": {"type": "http", "url": "http://a"}}
    run = (done(look, 1, 1, output=seen, tolerance_met=False), done(look, 3, 1, status="failed", exception=["no", "t"]))
    events = [one for one in timeline(journal(*run), "j").events if one.name == "look"]
    assert [(one.said, one.good) for one in events] == [("503 unavailable … last", False), ("not", False)]


@pytest.mark.parametrize("what", [None, [], {}, {"experiment": {}}, {"experiment": 1, "run": []}, "text"])
def test_what_is_no_journal_is_refused(what: Any) -> None:
    with pytest.raises(InputError, match="j: is no journal"):
        timeline(what, "j")


@pytest.mark.parametrize(
    "change",
    [
        {"run": [1, {}, {"start": at(1)}, {"start": at(1), "activity": {"provider": {"type": "process"}}}]},
        {"run": [done(inv("chaos.inject"), 1, 1), done(inv("chaos.inject", "nothing", "--for", "x"), 1, 1)]},
        {
            "run": [
                done(
                    {"provider": {"type": "process", "path": "inv", "arguments": "'open"}}, 1, 1, duration=float("nan")
                )
            ]
        },
        {"steady_states": 5, "rollbacks": None, "duration": float("inf")},
        {"extensions": ["a", {"name": "slipway", "start": at(0), "measured": 5}]},
        {"extensions": [{"name": "slipway", "start": at(0), "measured": [7, {"samples": [[1], None, ["a"] * 4]}]}]},
    ],
)
def test_what_is_strange_in_a_journal_stops_nobody(change: dict[str, Any]) -> None:
    line = timeline(journal(**change), "j")
    assert 0 <= line.seconds < 1e9 and all(0 <= one.end <= line.seconds for one in line.faults)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(InputError, match="'yesterday' is no time"):
        timeline(journal(start="yesterday"), "j")


def test_a_fault_that_an_alert_was_waited_for_lasted_as_long_as_the_run_has_chosen() -> None:
    cut = done(inv("chaos.inject", "cut", "--service", "database", "--for", "${lasts}"), 10, 2)
    configuration = {"lasts": {"type": "env", "key": "CHAOS_LASTS", "default": "20s"}}
    told = {"name": "slipway", "lasts": "30s", "alert": {"name": "ServiceErrors", "fired_after": 61.5,
                                                        "resolved_after": 75.0, "not_asked": None}}  # fmt: skip
    one = journal(cut, experiment={"title": "T", "configuration": configuration}, extensions=[told])
    line = timeline(one, "j")
    assert [(span.begin, span.end) for span in line.faults] == [(12.0, 42.0)]
    assert line.alert == "ServiceErrors fired after 1 m 2 s, resolved 1 m 15 s after the fault was ended"
    of_another_tool = timeline({**one, "extensions": []}, "j")
    assert (of_another_tool.faults[0].end, of_another_tool.alert) == (32.0, "")
