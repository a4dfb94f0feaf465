"""Logs as an engine sends them: cut anywhere, long lines in parts, terminals, and read on after an end."""

import itertools
from pathlib import Path

import pytest
from engine_socket import Answer, always, engine, says, streams
from hypothesis import given
from hypothesis import strategies as st

from tasks.host.engine.client import Engine
from tasks.host.engine.connection import NotThereError
from tasks.model.engine.log_lines import SECOND, LogLine, LogParser, Resume
from tasks.model.errors import SlipwayError

_BOX = says({"Config": {"Tty": False}, "State": {"Running": False}})
_SECONDS = 1795939200  # 2026-11-29T08:00:00Z
_NOW = _SECONDS * SECOND


def stamp(nanoseconds: int) -> bytes:
    """Return a time of the engine."""
    return b"2026-11-29T08:00:00.%09dZ " % nanoseconds


def message(text: bytes, at: int, stream: int = 1) -> bytes:
    """Return a message of the engine's stream."""
    content = stamp(at) + text
    return bytes((stream, 0, 0, 0)) + len(content).to_bytes(4, "big") + content


def parsed(parser: LogParser, *pieces: bytes) -> list[LogLine]:
    return [*(line for piece in pieces for line in parser.feed(piece)), *parser.end()]


@given(
    st.lists(st.tuples(st.integers(1, 2), st.text(st.characters(codec="utf-8", exclude_characters="\n\r")))), st.data()
)
def test_lines_are_the_same_wherever_the_stream_is_cut(lines: list[tuple[int, str]], data: st.DataObject) -> None:
    whole = b"".join(message(f"{text}\n".encode(), at, stream) for at, (stream, text) in enumerate(lines))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in itertools.pairwise([0, *cuts, len(whole)])]
    wanted = [
        LogLine(_NOW + at, "stdout" if stream == 1 else "stderr", text) for at, (stream, text) in enumerate(lines)
    ]
    assert parsed(LogParser(terminal=False), *pieces) == wanted


def test_a_long_line_comes_in_parts_of_one_time() -> None:
    parts = [message(b"a" * 16384, 5), message(b"between\n", 6, 2), message(b"b" * 16384, 5), message(b"c\n", 5)]
    found = parsed(LogParser(terminal=False), *parts)
    assert [(line.stream, len(line.text), line.time - _NOW) for line in found] == [
        ("stderr", 7, 6),
        ("stdout", 32769, 5),
    ]


def test_a_line_without_an_end_is_one_when_the_log_ends_or_goes_on_later() -> None:
    parser = LogParser(terminal=False)
    assert [line.text for line in parsed(parser, message(b"cut", 1), message(b"again\n", 2), message(b"open", 3))] == [
        "cut",
        "again",
        "open",
    ]


def test_a_terminal_has_no_heads_and_times_within_long_lines() -> None:
    long = stamp(1) + b"a" * 16384 + stamp(1) + b"b\r\n"
    found = parsed(LogParser(terminal=True), long[:100], long[100:] + stamp(2) + b"next\r\n" + stamp(3) + b"open")
    assert [(len(line.text), line.time - _NOW) for line in found] == [(16385, 1), (4, 2), (4, 3)]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert parsed(LogParser(terminal=False), message(b"\xff\n", 0))[0].text == "\N{REPLACEMENT CHARACTER}"


_WRITTEN = st.lists(st.tuples(st.integers(0, 3 * SECOND), st.sampled_from("ab")), max_size=30)


@given(_WRITTEN, st.data())
def test_a_log_that_is_read_again_and_again_has_no_gap_and_no_repetition(
    written: list[tuple[int, str]], data: st.DataObject
) -> None:
    # Times go on, and two streams are up to a second out of order.
    log, latest = [], 0
    for step, text in written:
        latest += step
        log.append(LogLine(_NOW + latest - data.draw(st.integers(0, SECOND)), "stdout", text))
    start = data.draw(st.integers(_NOW - SECOND, _NOW + latest))
    resume, read = Resume(start), []
    for end in [*sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=4))), len(log)]:
        resume.reopen()
        read += [line for line in log[:end] if line.time >= resume.since and resume.is_new(line)]
    assert read == [line for line in log if line.time >= start]


def test_equal_lines_of_one_time_are_all_read_once() -> None:
    line = LogLine(_NOW, "stdout", "same")
    resume = Resume(_NOW)
    resume.reopen()
    assert [resume.is_new(line) for _ in range(2)] == [True, True]
    resume.reopen()
    assert [resume.is_new(line) for _ in range(3)] == [False, False, True]


def test_the_last_lines_leave_out_one_that_may_begin_earlier(tmp_path: Path) -> None:
    pieces = streams(message(b"end of a long one\n", 1), message(b"two\n", 2), message(b"three\n", 3), ends=True)
    with engine(tmp_path, inspect=always(_BOX), logs=always(pieces)) as client:
        found, whole = client.logs.last("abc", 3)
        assert ([line.text for line in found], whole) == (["two", "three"], False)
        found, whole = client.logs.last("abc", 4)
        assert ([line.text for line in found], whole) == (["end of a long one", "two", "three"], True)
        assert "api" not in vars(client._connection), "no SDK is loaded"


def test_an_engine_elsewhere_is_read_with_the_sdk(tmp_path: Path) -> None:
    gone = says({"message": "No such container: abc"}, "404 Not Found")
    logs = iter((streams(message(b"one\n", 1), message(b"two\n", 2), ends=True), gone))
    with engine(tmp_path, inspect=always(_BOX), logs=logs):
        client = Engine({"DOCKER_HOST": f"http+unix://{tmp_path}/engine.sock"})
        assert [line.text for line in client.logs.follow("abc", 0)] == ["one", "two"]
        with pytest.raises(NotThereError):
            list(client.logs.read("abc"))
        assert "api" in vars(client._connection)
        client._connection.api.close()


def test_a_time_is_exact_whatever_the_engine_sends(tmp_path: Path) -> None:
    pieces = streams(*(message(b"%d\n" % at, at) for at in (1, 3, 2, 4)), ends=True)
    with engine(tmp_path, inspect=always(_BOX), logs=always(pieces)) as client:
        assert [line.text for line in client.logs.read("abc", _NOW + 2, _NOW + 4)] == ["3", "2"]
        assert [line.text for line in client.logs.follow("abc", _NOW + 3)] == ["3", "4"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says({"message": "No such container: abc"}, "404 Not Found"), NotThereError),
        (
            says({"message": "can not get logs from container which is dead or marked for removal"}, "409 Conflict"),
            NotThereError,
        ),
        (says({"message": "configured logging driver does not support reading"}, "501 Not Implemented"), SlipwayError),
    ],
)
def test_a_log_that_cannot_be_read_is_an_error(answer: Answer, error: type[SlipwayError], tmp_path: Path) -> None:
    with engine(tmp_path, inspect=always(_BOX), logs=always(answer)) as client, pytest.raises(SlipwayError) as caught:
        list(client.logs.read("abc"))
    assert type(caught.value) is error


def test_containers_that_start_are_told_but_not_one_off_ones(tmp_path: Path) -> None:
    def event(identity: str, oneoff: str) -> bytes:
        labels = f'"com.docker.compose.service":"web","com.docker.compose.oneoff":"{oneoff}"'
        return f'{{"Actor":{{"ID":"{identity}","Attributes":{{"name":"shop-web-1",{labels}}}}}}}\n'.encode()

    both = event("one", "True") + event("two", "False")
    with engine(tmp_path, events=always(streams(both[:20], both[20:], ends=True))) as client:
        assert list(client.logs.started("shop", 0)) == [("two", "shop-web-1", "web")]
