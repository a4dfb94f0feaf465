"""Which lines of logs are wanted, in which order they come, and how they are shown."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.model.engine.log_lines import SECOND, LogLine
from tasks.model.errors import InputError
from tasks.operate.plan.log_order import Gathering, LogEntry, Order, Origin, last, merged
from tasks.operate.plan.log_output import LogOutcome, Prefix, batch, document, parts, remarks
from tasks.operate.plan.log_selection import ALL, Selection, Sieve, selection
from tests.schemas import faults

_NOW = 1795939200 * SECOND  # 2026-11-29T08:00:00Z
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_NONE = dict.fromkeys(("since", "until", "tail", "grep", "level", "trace"), "")
# Some containers, each with the times of its lines: about in order, as stdout and stderr are noted one by one.
_LOGS = st.lists(st.lists(st.integers(0, 50), max_size=30), max_size=4)


def wanted(**options: str) -> Selection:
    return selection({**_NONE, **options}, _NOW)


def entries(times: Sequence[int], number: int) -> list[LogEntry]:
    order = Order(Origin("dev", "web", f"web-{number}", number))
    return [order.entry(LogLine(time, "stdout", f"{number}.{at}")) for at, time in enumerate(times)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", _NOW - 600 * SECOND),
        ("1h30m", _NOW - 5400 * SECOND),
        ("500ms", _NOW - SECOND // 2),
        ("2026-11-29T08:00:00Z", _NOW),
        ("2026-11-29T08:00:00.000000001Z", _NOW + 1),
        ("2026-11-29 09:00+01:00", _NOW),
        ("2026-11-29t08:00z", _NOW),
        ("2026-11-29T08:00:00,5", _NOW + SECOND // 2),
        ("2026-11-29", _NOW - 8 * 3600 * SECOND),
        ("1795939200.25", _NOW + SECOND // 4),
    ],
)
def test_a_time_may_be_written_in_several_ways(text: str, moment: int) -> None:
    assert wanted(since=text).since == moment


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"since": "soon"}, "--since: expected a time, got 'soon'"),
        ({"until": "2026-13-29"}, "--until: there is no time '2026-13-29'"),
        ({"since": "2026-11-29T24:61Z"}, "--since: there is no time"),
        ({"since": "1h", "until": "1h"}, "--since 1h is not before --until 1h"),
        ({"tail": "two"}, "--tail: expected a number of lines or all, got 'two'"),
        ({"tail": "-1"}, "--tail: expected a number of lines or all, got '-1'"),
        ({"grep": "["}, "--grep '[': not a regular expression"),
        ({"level": "loud"}, "--level: there is no level 'loud'"),
        ({"trace": "abc"}, "--trace: expected the id of a trace"),
        ({"trace": "0" * 32}, "--trace: expected the id of a trace"),
        ({"trace": _TRACE + "0"}, "--trace: expected the id of a trace"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        wanted(**options)
    assert caught.value.message.startswith(said)
    assert caught.value.hint


def taken(texts: Sequence[str], **options: str) -> list[str]:
    sieve = Sieve(wanted(**options))
    return [text for at, text in enumerate(texts) if sieve.takes(LogLine(_NOW + at, "stdout", text))]


@pytest.mark.parametrize(
    "given_trace",
    [_TRACE, _TRACE.upper(), f"00-{_TRACE}-00f067aa0ba902b7-01", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"],
)
def test_a_trace_is_found_wherever_a_line_has_it(given_trace: str) -> None:
    lines = [
        f'{{"trace_id":"{_TRACE}"}}', f"traceID={_TRACE.upper()}", f"00-{_TRACE}-00f067aa0ba902b7-01",
        "[4bf92f35-77b3-4da6-a3ce-929d0e0e4736]",
    ]  # fmt: skip
    others = [f"{_TRACE}0", f"a{_TRACE}", _TRACE[:16], "nothing"]
    assert taken([*lines, *others], trace=given_trace) == lines


def test_a_short_trace_is_found_with_zeros_in_front() -> None:
    lines = ["a3ce929d0e0e4736", "0000000000000000a3ce929d0e0e4736"]
    assert taken([*lines, _TRACE], trace="a3ce929d0e0e4736") == lines
    assert taken([*lines, _TRACE], trace=lines[1]) == lines


def test_a_level_takes_what_is_worse_and_the_lines_that_continue_it() -> None:
    texts = [
        "INFO begins", "  its details", "ERROR fails", "  File x, line 1", "\tat y", "ValueError: z", "WARN slow",
        "next", "  of next", '{"level":60,"msg":"dies"}',
    ]  # fmt: skip
    assert taken(texts, level="error") == [texts[2], texts[3], texts[4], texts[5], texts[9]]
    assert taken(texts, level="warning") == [*texts[2:7], texts[9]]
    assert taken(texts, level="TRACE") == [*texts[:7], texts[9]]


def test_what_one_stream_says_is_not_continued_by_the_other() -> None:
    sieve = Sieve(wanted(level="error"))
    assert sieve.takes(LogLine(_NOW, "stderr", "ERROR x"))
    assert not sieve.takes(LogLine(_NOW, "stdout", "  y"))
    assert sieve.takes(LogLine(_NOW, "stderr", "  z"))


def test_grep_looks_at_the_text_without_colours() -> None:
    assert taken(["\x1b[31mred\x1b[0m", "green"], grep="^red$") == ["\x1b[31mred\x1b[0m"]


def test_a_time_begins_with_since_and_ends_before_until() -> None:
    texts = [str(number) for number in range(6)]
    sieve = Sieve(Selection(since=_NOW + 2, until=_NOW + 4))
    assert [text for at, text in enumerate(texts) if sieve.takes(LogLine(_NOW + at, "stdout", text))] == ["2", "3"]
    assert (sieve.seen, sieve.taken) == (2, 2)


@given(_LOGS)
def test_logs_are_merged_by_time_and_each_stays_in_its_order(logs: list[list[int]]) -> None:
    found = list(merged(entries(times, number) for number, times in enumerate(logs)))
    for number, times in enumerate(logs):
        assert [entry for entry in found if entry.origin.order == number] == entries(times, number)
    assert [entry.key for entry in found] == sorted(entry.key for entry in found)
    if all(times == sorted(times) for times in logs):
        assert [entry.line.time for entry in found] == sorted(time for times in logs for time in times)


@given(_LOGS, st.integers(0, 20), st.sampled_from(["", r"\.\d$", "3", "nowhere"]))
def test_a_tail_is_the_last_lines_of_those_that_match(logs: list[list[int]], number: int, grep: str) -> None:
    pattern = re.compile(grep)
    whole = list(merged(entries(times, at) for at, times in enumerate(logs)))
    matching = [entry for entry in whole if pattern.search(entry.line.text)]
    each = [[entry for entry in matching if entry.origin.order == at][-number:] for at in range(len(logs))]
    assert list(last(each, number)) == (matching[-number:] if number else [])


# Seconds in eighths, which are exact.
_EIGHTHS = st.integers(0, 8).map(lambda number: number / 8)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), _EIGHTHS), max_size=40), _EIGHTHS)
def test_lines_that_arrive_are_put_in_order_and_none_is_lost_or_waits_too_long(
    arrivals: list[tuple[int, int, float]], patience: float
) -> None:
    orders = [Order(Origin("dev", "web", f"web-{number}", number)) for number in range(3)]
    gathering, now = Gathering(patience), 0.0
    added: list[tuple[float, LogEntry]] = []
    out: list[LogEntry] = []
    for at, (container, time, pause) in enumerate(arrivals):
        now += pause
        entry = orders[container].entry(LogLine(time, "stdout", str(at)))
        added.append((now, entry))
        gathering.add(entry, now)
        ready = gathering.ripe(now)
        assert [entry.key for entry in ready] == sorted(entry.key for entry in ready)
        out += ready
        assert {id(entry) for when, entry in added if when + patience <= now} <= {id(entry) for entry in out}
        waiting = {id(entry) for _, entry in added} - {id(entry) for entry in out}
        assert gathering.wait(now, 5.0) <= patience or not waiting
    out += gathering.ripe(float("inf"))
    assert sorted(id(entry) for entry in out) == sorted(id(entry) for _, entry in added)
    for number in range(3):
        mine = [entry for entry in out if entry.origin.order == number]
        assert mine == [entry for _, entry in added if entry.origin.order == number]


def test_a_line_that_comes_late_is_put_before_those_that_still_wait() -> None:
    first, second = entries([20, 40], 0), entries([10, 30], 1)
    gathering = Gathering(0.3)
    gathering.add(first[0], 0.0)
    gathering.add(second[0], 0.2)
    gathering.add(first[1], 0.2)
    assert gathering.ripe(0.29) == []
    assert gathering.ripe(0.3) == [second[0], first[0]]
    gathering.add(second[1], 0.4)
    assert gathering.ripe(0.6) == [second[1], first[1]]


def test_a_name_is_in_front_of_each_line_as_wide_as_the_widest() -> None:
    short, long = (Origin("dev", "x", name, number) for number, name in enumerate(("a-1", "long-1")))
    prefix = Prefix([short], colours=False, environments=False)
    assert [prefix.line(origin, "x") for origin in (short, long, short)] == ["a-1  | x", "long-1  | x", "a-1     | x"]
    assert Prefix([], colours=False, environments=True).line(short, "x") == "dev a-1  | x"
    assert Prefix([], colours=True, environments=False).line(short, "x") == "\x1b[36ma-1  |\x1b[0m x"


def test_colours_stay_on_a_terminal_only_and_of_a_bar_its_last_state() -> None:
    text = "10 %\r\x1b[32m20\x1b[0m %"
    assert list(parts(text, coloured=False)) == [("20 %", False)]
    assert [part for part, colour in parts(text, coloured=True) if colour] == ["\x1b[32m", "\x1b[0m", "\x1b[0m"]
    assert "".join(part for part, colour in parts(text, coloured=True) if not colour) == "20 %"


_TEXTS = st.lists(st.text(), max_size=5)


@given(_TEXTS)
@example(['{"half":"\\ud800"}', '{"x":NaN}', '{"x":1e999}', '{"x":[1.5,-Infinity]}', "\x9b31m"])
def test_json_is_one_document_whatever_the_lines_are(texts: list[str]) -> None:
    order = Order(Origin("dev", "web", "web-1", 0))
    found = [order.entry(LogLine(_NOW + 7, "stderr", text)) for text in texts]
    whole = "\n".join(document(["dev"], found))
    for text in (whole, batch(["dev"], found)):
        read: dict[str, Any] = json.loads(text.encode(), parse_constant=pytest.fail)
        assert faults(read) == []
        assert [line["text"] for line in read["lines"]] == texts
        assert not set(text) & {"\x1b", "\x9b", "\u202e"}
    assert "\n" not in batch(["dev"], found)
    assert all(line["time"] == "2026-11-29T08:00:00.000000007Z" for line in read["lines"])


def said(outcome: LogOutcome, **options: str) -> list[str]:
    return list(remarks(wanted(**options), outcome))


def test_no_data_is_told_from_no_match() -> None:
    some = LogOutcome("shop", 1, 0, 10, 1, {"web": _NOW - 7200 * SECOND})
    assert said(some) == said(some, since="1h") == []
    assert said(LogOutcome("shop", 1, 0, 10, 0, {}), grep="x") == ["shop: none of 10 lines matches"]
    assert said(LogOutcome("shop", 1, 0, 0, 0, {}), until="1h") == [
        "shop: no data: nothing was written until 2026-11-29T07:00:00Z"
    ]
    assert said(LogOutcome("shop", 0, 0, 0, 0, {}, ["web"])) == ["shop: no containers of web, so there are no logs"]
    assert said(LogOutcome("shop", 1, 0, 3, 3, {}, ["job"])) == ["shop: no container of job"]
    assert said(LogOutcome("shop", 1, 1, 0, 0, {})) == [], "what cannot be read is told elsewhere"
    assert said(LogOutcome("shop", 1, 0, 0, 0, {}), tail="0") == []


def test_a_time_before_the_containers_is_told() -> None:
    assert said(
        LogOutcome("shop", 2, 0, 9, 9, {"web": _NOW - 60 * SECOND, "db": _NOW - 7200 * SECOND}), since="1h"
    ) == ["shop: nothing is kept from before the containers were made: web 2026-11-29T07:59:00Z"]


def test_without_options_everything_is_wanted() -> None:
    assert wanted() == Selection(0, 0, ALL, None, "", None)
    assert not wanted(since="1h", tail="3").looks
    assert wanted(level="info").looks
