"""The module that starts processes, with real processes."""

import io
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import ROOT

from tasks.host.forwarding import signals_postponed
from tasks.host.runner import Runner, available, capture, start
from tasks.model.command import Command
from tasks.model.errors import CommandError, RefusedError, StoppedError
from tasks.model.secret import Secret

Captured = pytest.CaptureFixture[str]
PYTHON = sys.executable


def sh(script: str, *words: str, **fields: object) -> Command:
    """Return a command that runs a script in ``sh``."""
    return Command(("sh", "-c", script, "sh", *words), **fields)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for a condition; returns whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether a process exists that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


# Exit codes


@pytest.mark.parametrize("code", [1, 2, 17, 255])
def test_the_error_has_the_commands_own_exit_code(code: int) -> None:
    with pytest.raises(CommandError) as caught:
        Runner().run(sh(f"exit {code}"))

    assert caught.value.exit_code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_death_by_a_signal_gives_128_and_its_number(number: signal.Signals) -> None:
    with pytest.raises(CommandError) as caught:
        Runner().run(sh(f"kill -{number.value} $$"))

    assert caught.value.exit_code == 128 + number.value
    assert capture(sh(f"kill -{number.value} $$")).exit_code == 128 + number.value


def test_a_command_that_succeeds_raises_nothing() -> None:
    Runner().run(sh("exit 0"))


def test_the_error_names_what_was_run_and_not_its_options() -> None:
    with pytest.raises(CommandError) as caught:
        Runner().run(Command(("false", "--env-file", "/dev/null", "compose", "up", "--detach")))

    assert caught.value.message == "false compose up failed with exit code 1"


def test_a_better_explanation_wins() -> None:
    def explain(code: int, output: str) -> CommandError:
        return CommandError(f"because {output.strip()}", code, "do this")

    with pytest.raises(CommandError) as caught:
        Runner().run(sh("echo the disk is full >&2; exit 9"), explain)

    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (
        "because the disk is full",
        "do this",
        9,
    )


def test_without_a_better_explanation_the_plain_one_stands() -> None:
    with pytest.raises(CommandError) as caught:
        Runner().run(sh("exit 9"), lambda _code, _output: None)

    assert caught.value.exit_code == 9


def test_only_the_end_of_a_long_error_output_is_explained() -> None:
    seen: list[str] = []

    def explain(_code: int, output: str) -> None:
        seen.extend(output.splitlines())

    with pytest.raises(CommandError):
        Runner().run(sh("seq 1000 >&2; exit 1"), explain)

    assert seen == [str(number) for number in range(971, 1001)]


# Programs that are not there


def test_a_missing_program_is_refused_with_its_name() -> None:
    with pytest.raises(RefusedError) as caught:
        Runner().run(Command(("no-such-program", "x")))

    assert caught.value.message == "no-such-program: command not found"
    assert caught.value.hint == "install no-such-program and try again"
    assert caught.value.exit_code == 3


def test_missing_docker_leads_to_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RefusedError) as caught:
        Runner().run(Command(("docker", "compose", "up")))

    assert caught.value.hint == "./inv setup installs Docker Engine, Compose and Buildx"


def test_a_captured_program_that_is_missing_gives_127_as_sh_does() -> None:
    result = capture(Command(("no-such-program",)))

    assert (result.exit_code, result.stdout, result.stderr) == (127, "", "no-such-program: command not found")


def test_a_missing_directory_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises((RefusedError, FileNotFoundError)) as caught:
        Runner().run(sh("true", cwd=str(tmp_path / "gone")))

    assert "gone" in str(caught.value)
    assert "command not found" not in str(caught.value)


def test_a_program_that_cannot_be_detached_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        Runner().detach(Command(("no-such-program",)), str(tmp_path / "log"))


def test_a_program_is_available_when_it_is_on_the_path() -> None:
    assert available("sh")
    assert not available("no-such-program")


# Input, output, environment


def test_what_a_command_prints_goes_to_stderr(capfd: Captured) -> None:
    Runner().run(sh("echo out; echo err >&2"))

    assert capfd.readouterr() == ("", "out\nerr\n")


def test_what_a_command_prints_goes_to_stderr_also_when_its_errors_are_read(capfd: Captured) -> None:
    Runner().run(sh("echo out; sleep 0.1; echo err >&2"), lambda _code, _output: None)

    assert capfd.readouterr() == ("", "out\nerr\n")


def test_a_stream_is_the_data_that_was_asked_for(capfd: Captured) -> None:
    Runner().stream(sh("echo out; echo err >&2"))

    assert capfd.readouterr() == ("out\n", "err\n")


def test_what_was_written_before_comes_before_the_stream() -> None:
    program = "print('first')\nRunner().stream(Command(('echo', 'second')))"

    assert run_script(program).stdout == "first\nsecond\n"


@pytest.mark.parametrize("text", ["", "x", "two\nlines\n", "é 日本", "x" * 1_000_000])
def test_the_input_reaches_the_command(text: str, capfd: Captured) -> None:
    Runner().stream(Command(("cat",), stdin=text))

    assert capfd.readouterr().out == text


def test_files_stand_in_for_input_and_output(tmp_path: Path, capfd: Captured) -> None:
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"\x00\xff")
    sink.write_text("what was there before, and is longer")
    sink.chmod(0o600)

    Runner().run(Command(("cat",), source=str(source), sink=str(sink)))

    assert sink.read_bytes() == b"\x00\xff"
    assert sink.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr() == ("", "")


def test_a_source_that_does_not_exist_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Runner().run(Command(("cat",), source=str(tmp_path / "nowhere")))

    assert caught.value.filename == str(tmp_path / "nowhere")


def test_a_signal_that_is_postponed_comes_after_the_block() -> None:
    done: list[str] = []

    def stop(_number: int, _frame: object) -> None:
        raise InterruptedError

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(InterruptedError), signals_postponed():
            os.kill(os.getpid(), signal.SIGTERM)
            Runner().run(sh("exit 0"))
            done.append("work")
    finally:
        signal.signal(signal.SIGTERM, earlier)
    assert done == ["work"]


def test_a_command_that_does_not_read_its_input_is_no_error() -> None:
    Runner().run(Command(("true",), stdin="x" * 1_000_000))


@pytest.mark.timeout(20)
def test_a_command_may_write_much_before_it_reads_its_input() -> None:
    talker = "import sys; sys.stderr.write('x\\n' * 200_000); sys.exit(len(sys.stdin.read()) != 1_000_000)"
    program = f"Runner().run(Command(({PYTHON!r}, '-c', {talker!r}), stdin='y' * 1_000_000), lambda *_: None)"

    assert run_script(program, seconds=60).returncode == 0


def test_a_captured_command_gets_its_input_and_gives_both_outputs() -> None:
    result = capture(sh("cat; echo err >&2", stdin="in"))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "in", "err\n")


def test_a_captured_command_without_input_does_not_read_ours() -> None:
    assert run_script("print(repr(capture(Command(('cat',))).stdout))", stdin="ours").stdout == "''\n"


def test_bytes_that_are_no_text_do_not_stop_a_capture() -> None:
    assert capture(sh(r"printf 'a\377b'")).stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_bytes_that_are_no_text_do_not_stop_the_lines() -> None:
    assert list(Runner().lines(sh(r"printf 'a\377b\n'"))) == ["a\N{REPLACEMENT CHARACTER}b\n"]


class SignalledWhenOpened(type(Path())):  # type: ignore[misc]
    """A file: whoever opens it gets SIGTERM."""

    def open(self, mode: str) -> io.BufferedWriter:  # type: ignore[override]
        os.kill(os.getpid(), signal.SIGTERM)
        return super().open(mode)


def test_a_signal_that_comes_while_a_command_is_started_reaches_it_and_none_is_started_after_it(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StoppedError) as stopped, Runner().in_parallel() as children:
        children.start(sh("exec sleep 60"), SignalledWhenOpened(tmp_path / "out"))
        with pytest.raises(StoppedError):
            children.start(sh("exec sleep 60"), tmp_path / "other")
        assert not (tmp_path / "other").exists()
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert time.monotonic() - began < 10
    assert [process.poll() for process in children.processes] == [-signal.SIGTERM]


def test_captured_commands_run_in_parallel(tmp_path: Path) -> None:
    wait_for_all = (
        'cd "$1"; touch "$2"; until [ -e 0 ] && [ -e 1 ] && [ -e 2 ] && [ -e 3 ]; do sleep 0.05; done; echo $2'
    )
    running = [start(sh(wait_for_all, str(tmp_path), str(number), timeout=60)) for number in range(4)]

    assert [command.result().stdout for command in running] == ["0\n", "1\n", "2\n", "3\n"]


def test_the_environment_is_added_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("BOTH", "ours")

    result = capture(sh('echo "$OURS $BOTH $TOKEN"', env={"BOTH": "theirs", "TOKEN": Secret("hunter2")}))

    assert result.stdout == "1 theirs hunter2\n"


def test_a_command_runs_in_its_directory(tmp_path: Path, capfd: Captured) -> None:
    Runner().stream(Command(("pwd",), cwd=str(tmp_path)))

    assert capfd.readouterr().out == f"{tmp_path}\n"
    assert capture(Command(("pwd",), cwd=str(tmp_path))).stdout == f"{tmp_path}\n"


# A command that outlives us is still running when its handle goes; that is what it is for.
outlives = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@outlives
def test_a_detached_command_appends_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n", encoding="utf-8")

    Runner().detach(sh("echo out; echo err >&2"), str(log))

    assert until(lambda: log.read_text(encoding="utf-8") == "earlier\nout\nerr\n"), log.read_text(encoding="utf-8")


@outlives
def test_a_detached_command_runs_in_its_directory(tmp_path: Path) -> None:
    log = tmp_path / "log"

    Runner().detach(Command(("pwd",), cwd=str(tmp_path)), str(log))

    assert until(lambda: log.read_text(encoding="utf-8").endswith("\n"))
    assert log.read_text(encoding="utf-8") == f"{tmp_path}\n"


@outlives
def test_a_detached_command_is_out_of_reach_of_our_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "log"

    Runner().detach(sh("cut -d' ' -f5 /proc/$$/stat"), str(log))

    assert until(lambda: log.read_text(encoding="utf-8").endswith("\n"))
    assert int(log.read_text(encoding="utf-8").split()[-1]) != os.getpgrp()


def test_the_lines_come_as_they_are_written() -> None:
    lines = Runner().lines(sh("echo first; sleep 30"))
    started = time.monotonic()

    assert next(lines) == "first\n"
    assert time.monotonic() - started < 25
    lines.close()  # type: ignore[attr-defined]


def test_the_command_ends_when_the_reader_of_its_lines_stops() -> None:
    lines = Runner().lines(sh("echo $$; exec sleep 30"))
    pid = int(next(lines))

    lines.close()  # type: ignore[attr-defined]

    assert not alive(pid)


def test_lines_of_a_command_that_fails_end_in_its_error() -> None:
    lines = Runner().lines(sh("echo first; exit 4"))

    assert next(lines) == "first\n"
    with pytest.raises(CommandError) as caught:
        next(lines)
    assert caught.value.exit_code == 4


# Time limits


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    started = time.monotonic()

    with pytest.raises(CommandError) as caught:
        Runner().run(sh('echo $$ >"$1"; exec sleep 30', str(mark), timeout=3.0))

    assert caught.value.exit_code == 124
    assert "not done within 3 s" in caught.value.message
    assert time.monotonic() - started < 25
    assert not alive(int(mark.read_text(encoding="utf-8")))


def test_a_captured_command_that_takes_too_long_is_ended() -> None:
    started = time.monotonic()

    with pytest.raises(CommandError) as caught:
        capture(Command(("sleep", "30"), timeout=0.2))

    assert (caught.value.exit_code, caught.value.message) == (124, "sleep 30: no answer within 0.2 s")
    assert time.monotonic() - started < 25


def test_the_time_limit_holds_while_the_error_output_is_read() -> None:
    program = """
try:
    Runner().run(Command(("sleep", "30"), timeout=0.3), lambda *_: None)
except CommandError as error:
    sys.exit(error.exit_code)
"""

    assert run_script(program, seconds=25).returncode == 124


# Signals: a script of ours is the parent, as `inv` is

PRELUDE = """
import signal, sys, time
sys.path.insert(0, {root!r})
from tasks.host import runner
from tasks.host.runner import Runner, capture
from tasks.model.command import Command
from tasks.model.errors import CommandError, StoppedError
"""


def script(program: str) -> list[str]:
    """Return the command line of a script that knows the runner."""
    return [PYTHON, "-c", PRELUDE.format(root=str(ROOT)) + program]


def run_script(program: str, stdin: str = "", seconds: float = 15) -> "subprocess.CompletedProcess[str]":
    """Run a script to its end; a script that takes too long is killed with all that it started."""
    process = subprocess.Popen(
        script(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            out, err = process.communicate(stdin, seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    return subprocess.CompletedProcess([], process.returncode, out, err)


@contextmanager
def parent(program: str, mark: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Start a script whose child writes its process id to ``mark``; yields both."""
    process = subprocess.Popen(
        script(program), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    child = 0
    try:
        assert until(lambda: mark.exists() and mark.read_text(encoding="utf-8").endswith("\n"), 15)
        child = int(mark.read_text(encoding="utf-8"))
        time.sleep(0.1)  # until the parent waits; the moment before has its own test
        yield process, child
    finally:
        for pid in (process.pid, child):
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


RUN = """
try:
    Runner().run(Command(("sh", "-c", {body!r}, "sh", {mark!r})))
except StoppedError as error:
    print(error.message)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_child_is_gone_afterwards(number: signal.Signals, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with parent(RUN.format(body='echo $$ >"$1"; exec sleep 30', mark=str(mark)), mark) as (process, child):
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)

        assert (process.returncode, out) == (128 + number.value, f"stopped by {number.name}\n")
        assert not alive(child)


def test_a_signal_at_the_moment_of_the_start_leaves_no_child_behind(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = f"""
import os, subprocess

class Started(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        while not os.path.exists({str(mark)!r}):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen = Started
""" + RUN.format(body='echo $$ >"$1"; exec sleep 30', mark=str(mark))
    done = run_script(program)
    child = int(mark.read_text(encoding="utf-8"))
    gone = until(lambda: not alive(child), 20)
    if not gone:
        os.kill(child, signal.SIGKILL)

    assert gone
    assert done.returncode == 128 + signal.SIGTERM


def test_a_child_that_cleans_up_after_a_signal_is_waited_for(tmp_path: Path) -> None:
    mark, done = tmp_path / "pid", tmp_path / "done"
    body = f"trap 'sleep 0.3; touch {done}; exit 0' TERM; echo $$ >\"$1\"; while :; do sleep 0.05; done"
    with parent(RUN.format(body=body, mark=str(mark)), mark) as (process, _):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

        assert done.exists()
        assert process.returncode == 128 + signal.SIGTERM


def test_a_child_gets_as_long_to_clean_up_as_its_command_says(tmp_path: Path) -> None:
    mark, done = tmp_path / "pid", tmp_path / "done"
    body = f"trap 'sleep 1; touch {done}; exit 0' TERM; echo $$ >\"$1\"; while :; do sleep 0.05; done"
    given = RUN.replace("{mark!r})))", "{mark!r}), grace=10.0))")
    with parent("runner.forwarding.GRACE = 0.3\n" + given.format(body=body, mark=str(mark)), mark) as (process, _):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

        assert done.exists()


def test_a_child_that_ignores_the_signal_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    deaf = "import os,signal,sys,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    deaf += "open(sys.argv[1], 'w').write(f'{os.getpid()}\\n')\ntime.sleep(30)\n"
    program = (
        "runner.forwarding.GRACE = 0.3\n"
        + f"""
try:
    Runner().run(Command(({PYTHON!r}, "-c", {deaf!r}, {str(mark)!r})))
except StoppedError as error:
    sys.exit(error.exit_code)
"""
    )
    with parent(program, mark) as (process, child):
        process.send_signal(signal.SIGTERM)

        assert until(lambda: process.poll() is not None, 25), "it still waits"
        assert process.returncode == 128 + signal.SIGTERM
        assert not alive(child)


def test_ctrl_c_ends_a_captured_command(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = f"""
try:
    capture(Command(("sh", "-c", 'echo $$ >"$1"; exec sleep 30', "sh", {str(mark)!r})))
except KeyboardInterrupt:
    sys.exit(130)
"""
    with parent(program, mark) as (process, child):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

        assert process.returncode == 130
        assert not alive(child)


def test_after_a_command_the_signals_are_ours_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    Runner().run(sh("true"))
    list(Runner().lines(sh("true")))

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_ctrl_c_at_a_terminal_reaches_the_child_once(tmp_path: Path) -> None:
    mark, got = tmp_path / "pid", tmp_path / "got"
    counter = (
        "import os,signal,sys,time\n"
        f"signal.signal(signal.SIGINT, lambda *_: open({str(got)!r}, 'a').write('x'))\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()}\\n')\n"
        "end = time.monotonic() + 1\n"
        "while time.monotonic() < end: time.sleep(0.05)\n"
    )
    program = f"""
try:
    Runner().run(Command(({PYTHON!r}, "-c", {counter!r}, {str(mark)!r})))
except StoppedError as error:
    sys.exit(error.exit_code)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PYTHON, script(program))
    try:
        assert until(mark.exists, 15)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 130
    assert got.read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_child_is_there_reaches_it_at_a_terminal(number: int) -> None:
    program = f"""
import subprocess
from tasks.host.forwarding import forwarding
started, received = [], []
with forwarding(started, received) as catch_up:
    signal.raise_signal({number})
    started.append(subprocess.Popen(["sleep", "60"]))
    catch_up()
    ended = started[0].wait()
sys.exit((ended, received) != ({-number}, [{number}]))
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PYTHON, script(program))
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert status == 0


def test_a_stream_whose_reader_has_gone_ends_as_a_closed_pipe() -> None:
    program = """
try:
    Runner().stream(Command(("yes",)))
except BrokenPipeError:
    sys.exit(141)
"""
    with subprocess.Popen(script(program), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "y\n"
        process.stdout.close()

        assert process.wait(10) == 141
        assert process.stderr.read() == ""


# Dry runs


def dry(*commands: Command) -> str:
    """Return what a dry run of some commands prints."""
    runner, earlier, sys.stdout = Runner(dry=True), sys.stdout, io.StringIO()
    try:
        for command in commands:
            runner.run(command)
        return sys.stdout.getvalue()
    finally:
        sys.stdout = earlier


def pasted(text: str, cwd: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Feed a dry run to ``sh`` line by line."""
    return subprocess.run(
        ["sh"],
        input=text,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dry_run_changes_nothing(tmp_path: Path, capfd: Captured) -> None:
    mark, runner = tmp_path / "mark", Runner(dry=True)

    runner.run(sh('touch "$1"', str(mark)))
    runner.stream(sh('touch "$1"', str(mark)))
    assert list(runner.lines(sh('touch "$1"', str(mark)))) == []
    runner.detach(sh('touch "$1"', str(mark)), str(tmp_path / "log"))

    assert list(tmp_path.iterdir()) == []
    assert len(capfd.readouterr().out.splitlines()) == 4


def test_a_dry_run_still_captures_facts() -> None:
    assert capture(sh("echo fact")).stdout == "fact\n"


def test_a_dry_run_prints_directory_exports_and_reason_once() -> None:
    first = Command(("docker", "compose", "up"), env={"A": "1", "B": "x y"}, cwd="/srv/shop", reason="create")
    second = Command(("docker", "compose", "ps"), env={"A": "1", "B": "z"}, cwd="/srv/shop")

    assert dry(first, second).splitlines() == [
        "# create",
        "cd /srv/shop",
        "export A=1",
        "export B='x y'",
        "docker compose up",
        "export B=z",
        "docker compose ps",
    ]


def test_the_lines_of_a_dry_run_do_the_same_job(tmp_path: Path, capfd: Captured) -> None:
    first, second = tmp_path / "first place", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    commands = [
        sh('pwd; echo "$A|$B"', env={"A": "it's $HOME", "B": "`id` \\"}, cwd=str(first), reason="say it's $(done)"),
        Command(("cat",), stdin='{"a": "é $x `y` \\n %s"}\n', cwd=str(first)),
        sh('echo "$A"; printf "[%s]" "$@"; echo', "", "a b", "*", "-n", "'", cwd=str(second), env={"A": "\nline"}),
    ]
    for command in commands:
        Runner().stream(command)
    expected = capfd.readouterr().out

    done = pasted(dry(*commands), tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_a_reason_of_several_lines_stays_a_comment(tmp_path: Path) -> None:
    assert pasted(dry(Command(("echo", "ran"), reason="first\necho leaked")), tmp_path).stdout == "ran\n"


def test_a_command_without_a_directory_runs_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(tmp_path)

    done = pasted(dry(Command(("pwd",), cwd=str(below)), Command(("pwd",))), tmp_path)

    assert done.stdout.splitlines() == [str(below), str(tmp_path)]


def test_a_variable_of_one_command_does_not_reach_the_next(tmp_path: Path) -> None:
    echo = 'echo "${A-not set}"'

    done = pasted(dry(sh(echo, env={"A": "1"}), sh(echo)), tmp_path)

    assert done.stdout.splitlines() == ["1", "not set"]


def test_a_dry_run_prints_no_secret_and_asks_for_it(tmp_path: Path) -> None:
    text = dry(sh('echo "$TOKEN"', env={"TOKEN": Secret("hunter2")}))

    assert "hunter2" not in text
    assert pasted(text, tmp_path).returncode != 0
    assert pasted(text, tmp_path).stdout == ""
    assert pasted(text, tmp_path, TOKEN="mine").stdout == "mine\n"


def test_an_echo_goes_to_stderr_and_prints_no_secret(capfd: Captured) -> None:
    Runner(echo=True).run(sh("true", env={"TOKEN": Secret("hunter2"), "A": "1"}))

    out, err = capfd.readouterr()
    assert out == ""
    assert "export A=1\n" in err
    assert "sh -c true sh\n" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("method", ["run", "stream"])
def test_no_error_shows_a_secret(method: str) -> None:
    command = sh("exit 3", env={"TOKEN": Secret("hunter2")})

    with pytest.raises(CommandError) as caught:
        getattr(Runner(), method)(command)

    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_what_is_no_command_is_a_comment_of_the_dry_run(capfd: Captured) -> None:
    Runner(dry=True).show("then: wait for the engine")
    Runner().show("not shown otherwise")

    assert capfd.readouterr().out == "# then: wait for the engine\n"
