"""What a command prints, and what of it an error is explained with; with real processes and terminals."""

import os
import pty
import sys
import time
from pathlib import Path

import pytest
from test_runner import alive, script, sh, until

from tasks.host import forwarding
from tasks.host.runner import Runner, capture
from tasks.model.errors import CommandError
from tasks.model.quoting import WIDTH

Captured = pytest.CaptureFixture[str]


def explained(command: str) -> str:
    """Return the error output that a failing command is explained with."""
    seen: list[str] = []

    def explain(code: int, output: str) -> CommandError:
        seen.append(output)
        return CommandError("x", code)

    with pytest.raises(CommandError):
        Runner().run(sh(command), explain)
    return seen[0]


def test_a_line_of_megabytes_is_cut_on_its_way_to_people(capfd: Captured) -> None:
    Runner().run(sh("printf 'begin '; head -c 3000000 /dev/zero | tr '\\0' A; echo ' end'; echo next"))
    first, second = capfd.readouterr().err.splitlines()
    assert first.startswith("begin AAA")
    assert first.endswith("AAA end")
    assert len(first) < WIDTH + 50
    assert second == "next"


def test_what_explains_an_error_is_bounded_too() -> None:
    output = explained("head -c 3000000 /dev/zero | tr '\\0' A >&2; echo >&2; echo the reason >&2; exit 1")
    assert output.endswith("\nthe reason\n")
    assert len(output) < 20_000


def test_both_outputs_of_a_command_keep_their_order(capfd: Captured) -> None:
    Runner().run(sh("for n in 1 2 3 4; do echo out $n; echo err $n >&2; done"))
    assert capfd.readouterr().err.split("\n")[:-1] == [f"{kind} {n}" for n in (1, 2, 3, 4) for kind in ("out", "err")]


def test_colours_of_a_command_are_taken_out_where_no_terminal_shows_them(capfd: Captured) -> None:
    Runner().run(sh(r"printf '\033[31mred\033[0m\n'"))
    assert capfd.readouterr().err == "red\n"


@pytest.mark.parametrize("wanted", [True, False])
def test_what_a_command_leaves_running_does_not_hold_us_up(wanted: bool, tmp_path: Path) -> None:
    mark, started = tmp_path / "pid", time.monotonic()
    Runner().run(sh('sleep 60 & echo $! >"$1"', str(mark)), (lambda *_: None) if wanted else None)
    assert time.monotonic() - started < 20
    left = int(mark.read_text(encoding="utf-8"))
    assert alive(left)
    os.kill(left, 9)


# Time limits of a whole group


def test_a_group_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(CommandError) as caught:
        Runner().run(sh('sleep 60 & echo $! >"$1"; wait', str(mark), timeout=3.0, group=True))
    assert caught.value.exit_code == 124
    assert until(lambda: not alive(int(mark.read_text(encoding="utf-8"))), 20)


def test_a_child_that_ignores_the_end_of_its_group_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "GRACE", 0.5)
    mark = tmp_path / "pid"
    body = 'sh -c "trap \'\' TERM; echo \\$\\$ >\\"$1\\"; while :; do sleep 1; done" & wait'
    with pytest.raises(CommandError):
        Runner().run(sh(body, str(mark), timeout=3.0, group=True))
    assert until(lambda: not alive(int(mark.read_text(encoding="utf-8"))), 20)


def test_a_captured_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    mark, started = tmp_path / "pid", time.monotonic()
    with pytest.raises(CommandError):
        capture(sh('sleep 60 & echo $! >"$1"; wait', str(mark), timeout=3.0))
    assert time.monotonic() - started < 20
    assert until(lambda: not alive(int(mark.read_text(encoding="utf-8"))), 20)


# At a terminal


def test_at_a_terminal_a_command_has_a_terminal_and_its_error_is_explained(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"""
def explain(code, output):
    open({str(told)!r}, "w").write(output)
body = "test -t 1 && test -t 2 && stty size <&2 && printf '\\\\033[1mstep 1\\\\rstep 2\\\\033[0m\\\\n' >&2; echo the reason >&2; exit 3"
try:
    Runner().run(Command(("sh", "-c", body)), explain)
except CommandError as error:
    sys.exit(error.exit_code)
"""  # noqa: E501 - a script in a script
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, script(program))
    shown = b""
    try:
        while data := os.read(terminal, 4096):
            shown += data
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 3, shown
    assert b"\x1b[1mstep 1\rstep 2\x1b[0m\r\n" in shown
    assert shown.endswith(b"the reason\r\n")
    assert told.read_text(encoding="utf-8").splitlines()[-3:] == ["step 1", "step 2", "the reason"]
