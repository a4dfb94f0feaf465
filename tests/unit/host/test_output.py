"""Data on stdout, everything for people on stderr."""

import io
import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from tasks.host.output import _plain_table, confirm, emit, emit_json, emit_table, note, printable
from tasks.model.errors import RefusedError
from tasks.model.secret import Secret

Captured = pytest.CaptureFixture[str]


def test_data_goes_to_stdout_and_a_note_to_stderr(capsys: Captured) -> None:
    emit("data")
    note("for people")

    assert capsys.readouterr() == ("data\n", "for people\n")


def test_a_document_is_one_json_document_and_nothing_else(capsys: Captured) -> None:
    emit_json({"schema": "slipway/x/v1", "name": "Zoë", "rows": [], "none": None})

    out, err = capsys.readouterr()
    assert json.loads(out) == {"schema": "slipway/x/v1", "name": "Zoë", "rows": [], "none": None}
    assert "Zoë" in out
    assert err == ""


def test_names_that_are_no_utf_8_are_written_as_utf_8(capsys: Captured) -> None:
    strange = os.fsdecode(b"a\xff.txt")
    emit_json({"schema": "slipway/x/v1", "name": strange, "other": "Zoë"})
    emit_table(("NAME",), [(strange,)])
    document, _, table = capsys.readouterr().out.partition("}\n")

    assert json.loads(document.encode("utf-8", errors="strict") + b"}")["name"] == strange
    assert "Zoë" in document
    assert table == "NAME\na\N{REPLACEMENT CHARACTER}.txt\n"


def test_a_document_with_a_secret_is_refused_and_writes_nothing(capsys: Captured) -> None:
    with pytest.raises(TypeError):
        emit_json({"schema": "slipway/x/v1", "token": Secret("hunter2")})

    assert capsys.readouterr() == ("", "")


_CELLS = st.text(st.sampled_from("ab 0.5e-,%<é漢\u200b\t\n"), max_size=6)


@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=4), st.tuples(_CELLS, _CELLS, _CELLS))
def test_a_table_is_what_tabulate_makes_of_it(rows: list[tuple[str, ...]], headers: tuple[str, ...]) -> None:
    made = _plain_table([headers, *rows])

    assert made in ("", tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))
    plain = all(" " <= sign <= "~" for cell in (*headers, *(cell for row in rows for cell in row)) for sign in cell)
    assert plain or made == ""


def test_a_table_of_plain_text_takes_no_library() -> None:
    assert _plain_table([("NAME", "VALUE"), ("web", "1.50"), ("a-long-name", "")]) == (
        "NAME         VALUE\nweb          1.50\na-long-name"
    )


def test_a_table_has_a_header_and_one_line_a_row(capsys: Captured) -> None:
    emit_table(("NAME", "VALUE"), [("a", "1"), ("longer", Secret("hunter2"))])

    assert capsys.readouterr().out.splitlines() == ["NAME    VALUE", "a       1", "longer  ***"]


@pytest.mark.parametrize("text", ["007", "1e5", "0x1f", "1.10", "true", "None", "1_000", "-0", "inf"])
def test_a_table_shows_a_text_that_looks_like_a_number_as_it_is(text: str, capsys: Captured) -> None:
    emit_table(("VALUE",), [(text,)])

    assert capsys.readouterr().out.splitlines()[1] == text


def test_a_table_without_rows_leaves_stdout_empty(capsys: Captured) -> None:
    emit_table(("NAME",), [])

    assert capsys.readouterr() == ("", "nothing to list\n")


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x07", "a\rb", "\x9b31m", "\x7f", "\u202eevil", "\u2066x", "\x00", "\x08", "\u009d0;title"]
)
def test_a_name_from_outside_cannot_drive_the_terminal(text: str, capsys: Captured) -> None:
    note(text)
    emit_table(("NAME",), [(text,)])

    out, err = capsys.readouterr()
    control = {character for character in text if not character.isprintable()}
    assert not control & set(out + err)


@pytest.mark.parametrize("text", ["plain", "Zoë", "日本", "tab\there", "two\nlines", "🚢", "a\u00a0b"])
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_closed_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    note("not read")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def test_yes_on_the_command_line_is_the_answer() -> None:
    confirm("remove everything", yes=True)


def test_without_a_terminal_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(RefusedError) as caught:
        confirm("remove the volumes of shop", yes=False)

    assert caught.value.message == "remove the volumes of shop: not confirmed, and there is no terminal to ask on"
    assert caught.value.hint == "add --yes to confirm"
    assert caught.value.exit_code == 3


def test_without_any_stdin_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(RefusedError):
        confirm("remove the volumes of shop", yes=False)


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "Y\n", " YES \n"])
def test_a_yes_at_the_terminal_goes_on(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)

    confirm("break the lock", yes=False)

    assert screen.getvalue() == "break the lock? [y/N] "


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no\n", "yep\n", "ja\n"])
def test_anything_but_a_yes_is_a_no(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())

    with pytest.raises(RefusedError, match="not confirmed"):
        confirm("break the lock", yes=False)
