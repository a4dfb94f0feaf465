"""A story of recorded events: how it reads on terminals of 40, 80 and 200 columns, as plain lines and as JSON."""

import json
import typing

import pytest
from jsonschema import Draft202012Validator
from support import ROOT

from tasks.model.quoting import without_escapes
from tasks.model.story import events
from tasks.model.story.board import Board, finished_lines
from tasks.model.story.events import (
    BytesMoved,
    ContainerFailed,
    Event,
    LinePrinted,
    LockAwaited,
    Noted,
    StepAdvanced,
    StepFinished,
    StepsPlanned,
    StepStarted,
    StepWaiting,
    StoryBegun,
    StoryEnded,
    document,
)
from tasks.model.story.look import Look, cells, fit
from tasks.model.story.plain import PlainLines

TIME = "2026-11-29T08:00:00Z"
SCHEMA = json.loads((ROOT / "docs/schemas/event-v1.json").read_text("utf-8"))
PLAIN = Look(unicode=True, colour=False)
RECORDED: tuple[tuple[float, Event], ...] = (
    (0, StoryBegun("deploy", "shop", "staging", "1.4.3", changes=("recreate app: image changed",), log="r/deploy.log")),
    (0, StepsPlanned(((1, "build app"), (2, "start app-2"), (3, "app-2 healthy"), (4, "record")))),
    (0, StepStarted(1, "build app")),
    (0.5, StepAdvanced(1, "builder 4/7 RUN go build ./...", 0, 0)),
    (0.6, LinePrinted(1, "#9 0.4 downloading")),
    (5.7, StepFinished(1, "build app", "done", 5.7, "7 steps, 5 from the cache")),
    (5.7, StepStarted(2, "start app-2")),
    (5.8, LinePrinted(2, " Container shop-app-2  Starting")),
    (6.1, StepFinished(2, "start app-2", "done", 0.4)),
    (6.1, StepStarted(3, "app-2 healthy")),
    (6.1, StepWaiting(3, 90.0)),
    (8.0, StepWaiting(3, 90.0, "last answer: connection refused")),
)


def board(until: float = 100.0) -> Board:
    told = Board()
    for at, event in RECORDED:
        if at <= until:
            told.take(event, at)
    return told


def test_a_terminal_of_80_columns_shows_what_runs_and_what_is_to_come() -> None:
    assert board().lines(9.1, 0, 80, 24, PLAIN) == [
        "  ⠋ app-2 healthy                3 of 90 s  last answer: connection refused",
        "  · record",
    ]


def test_a_terminal_of_40_columns_gives_the_last_answer_a_line_of_its_own() -> None:
    assert board().lines(9.1, 3, 40, 24, PLAIN) == [
        "  ⠸ app-2 healthy             3 of 90 s",
        "      last answer: connection refused",
        "  · record",
    ]


def test_a_terminal_of_200_columns_has_room_for_long_names() -> None:
    told = board(0.6)
    told.take(StepStarted(1, "build a-service-with-quite-a-long-name-indeed"), 0)
    told.take(StepAdvanced(1, "builder 4/7 RUN " + "x" * 300), 1)
    line = told.lines(1.0, 0, 200, 24, PLAIN)[0]
    assert "a-service-with-quite-a-long-name-indeed " in line
    assert cells(line) == 199
    assert line.endswith("x…")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("look", [PLAIN, Look(False, False), Look(True, True)], ids=["plain", "ascii", "colour"])
def test_no_line_reaches_the_last_column_so_that_the_terminal_breaks_none(width: int, look: Look) -> None:
    for at, _ in RECORDED:
        told = board(at)
        told.take(StepStarted(9, "日本語のサービス" * 9), at)
        told.take(StepAdvanced(9, "日本語" * 90), at)
        for line in told.lines(at, 1, width, 24, look):
            assert cells(without_escapes(line)) < width
            assert look.unicode or line.isascii()


@pytest.mark.parametrize("height", [1, 2, 3, 5, 23])
def test_there_are_never_more_lines_than_the_terminal_has(height: int) -> None:
    told = Board()
    told.take(StepsPlanned(tuple((number, f"step {number}") for number in range(1, 40))), 0)
    for number in range(1, 9):
        told.take(StepStarted(number, f"step {number}"), 0)
        told.take(StepWaiting(number, 30.0, "last answer: none"), 0)
    for width in (40, 80):
        lines = told.lines(1.0, 0, width, height, PLAIN)
        assert 0 < len(lines) <= height
        if height < 8:
            assert f"  … {8 - height + 1} more run" in lines[-1]


def test_steps_that_are_planned_anew_replace_those_that_did_not_begin() -> None:
    told = board()
    told.take(StepsPlanned(((8, "proxy → app-1"),)), 9.0)
    assert [line.strip() for line in told.lines(9.1, 0, 80, 24, PLAIN)][1:] == ["· proxy → app-1"]


def test_names_of_containers_are_shown_without_the_project() -> None:
    assert board(5.8).lines(6.0, 0, 80, 24, PLAIN)[0].endswith("Container app-2 Starting")


def test_bytes_are_shown_with_their_share() -> None:
    told = board(0)
    told.take(BytesMoved(1, 12_400_000, 62_000_000), 1)
    assert told.lines(1.0, 0, 80, 24, PLAIN)[0].endswith("12.4 MB of 62.0 MB, 20 %")
    told.take(BytesMoved(1, 12_400_000), 1)
    assert told.lines(1.0, 0, 80, 24, PLAIN)[0].endswith("12.4 MB")


def test_a_step_that_failed_shows_what_it_printed() -> None:
    event = StepFinished(1, "build app", "failed", 2.0, output=("> [app 3/3] RUN make", "no rule"))
    assert finished_lines(event, 80, PLAIN) == [
        "  ✗ build app                        2.0 s  failed",
        "    > [app 3/3] RUN make",
        "    no rule",
    ]


def test_without_a_terminal_a_step_has_a_line_when_it_waits_and_one_when_it_has_ended() -> None:
    lines = PlainLines(PLAIN)
    told = [line for _, event in RECORDED for line in lines.lines(event, TIME)]
    told += lines.lines(StepFinished(3, "app-2 healthy", "done", 3.2, "2 checks"), TIME)
    told += lines.lines(StoryEnded("done", 18.2, "deployed shop as release 2: app", (("log", "r/deploy.log"),)), TIME)
    assert told == [
        f"{TIME} deploy shop · staging · 1.4.3",
        "  recreate app: image changed",
        f"{TIME} … build app: builder 4/7 RUN go build ./...",
        f"{TIME} ✓ build app in 5.7 s  7 steps, 5 from the cache",
        f"{TIME} ✓ start app-2 in 0.4 s",
        f"{TIME} … app-2 healthy: waits up to 1 m 30 s",
        f"{TIME} ✓ app-2 healthy in 3.2 s  2 checks",
        "deployed shop as release 2: app (18.2 s)",
        "  log       r/deploy.log",
    ]


def test_a_log_has_every_line_of_every_command() -> None:
    lines = PlainLines(PLAIN, everything=True)
    told = [line for _, event in RECORDED for line in lines.lines(event, TIME)]
    assert f"{TIME} build app | #9 0.4 downloading" in told
    assert f"{TIME} … app-2 healthy: waits up to 1 m 30 s, last answer: connection refused" in told


def test_a_lock_that_is_waited_for_names_who_has_it_since_when_and_our_place() -> None:
    event = LockAwaited(1, "shop", "ann@host", "2026-11-29T07:58:00Z", "deploy", 2, 300.0)
    told = Board()
    told.take(StepStarted(1, "wait for the lock"), 0)
    told.take(event, 0)
    text = "shop is locked by ann@host since 2026-11-29T07:58:00Z (deploy), place 2 in the queue"
    assert told.lines(12.0, 0, 160, 24, PLAIN)[0].endswith(text)
    assert PlainLines(PLAIN).lines(event, TIME)[0].endswith(f"waiting up to 5 m 0 s: {text}")


EXAMPLES: tuple[Event, ...] = (
    *(event for _, event in RECORDED),
    BytesMoved(1, 10, 20),
    StepFinished(3, "app-2 healthy", "failed", 90.12345, output=("a", "b")),
    LockAwaited(1, "shop", "ann@host", TIME, "deploy", 2, 300.0),
    ContainerFailed("shop-app-2", "exited", ("no database",)),
    Noted("deployed", "warning"),
    StoryEnded("failed", 1.0, "", (("changed", "a"), ("changed", "b"))),
)


def test_there_is_an_example_of_every_event() -> None:
    assert {type(event) for event in EXAMPLES} == set(typing.get_args(events.Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_as_json_is_what_the_schema_says(event: Event) -> None:
    validator = Draft202012Validator(SCHEMA)
    data = json.loads(json.dumps(document(event, TIME)))
    assert list(validator.iter_errors(data)) == []
    for member in data.keys() - {"schema", "time", "event"}:
        less = {name: value for name, value in data.items() if name != member}
        assert not validator.is_valid(less), f"{member} is missing, and the schema does not mind"
        assert not validator.is_valid({**data, member: {"no": "such"}}), f"{member} may be anything"
    assert not validator.is_valid({**data, "more": 1})


def test_the_members_of_an_event_are_its_fields() -> None:
    for event in EXAMPLES:
        assert document(event, TIME).keys() == {*event._fields} | {"schema", "time", "event"}


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("plain", 5, "plain"),
        ("plainer", 5, "plai…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301\u0301e\u0301x", 3, "e\u0301\u0301e\u0301x"),
        ("two\nlines\tand", 20, "two lines and"),
        ("x", 0, ""),
    ],
)
def test_a_text_is_cut_at_cells_not_at_characters(text: str, width: int, shown: str) -> None:
    assert fit(text, width, PLAIN) == shown
    assert cells(fit(text, width, PLAIN)) <= width


def test_without_unicode_no_character_is_beyond_ascii() -> None:
    look = Look(unicode=False)
    assert look.text("proxy → app-2 · Zoë …") == "proxy -> app-2 - Zo\\xeb ..."
    assert all(look.spinner(tick).isascii() for tick in range(20))


def test_colours_are_only_where_they_are_wanted() -> None:
    assert Look(colour=True).paint("x", "green") == "\x1b[32mx\x1b[0m"
    assert Look(colour=False).paint("x", "green") == "x"
