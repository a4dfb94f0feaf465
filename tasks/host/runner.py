"""The only place that starts a process: argument lists, signals, time limits, echo, dry run."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from ..model.command import Command, exports
from ..model.errors import CommandError, RefusedError
from ..model.record import Record
from ..model.secret import Secret, reveal
from . import forwarding
from .engine.cli_plugins import inherited, started_directly
from .listening import Listener, copied_to, listening
from .output import mask_secrets, note, reader_gone, with_the_terminal
from .pdeathsig import die_with, wait_for_child

_REAP = 2.0  # seconds until the pipes of a killed command must be closed
_NO_ANSWER = "does the engine still answer (docker version)? What it was asked for may go on there"
_LOOK = 0.05  # seconds between two looks at a process group that is to end


class Result(Record):
    """What a captured command gave back."""

    exit_code: int
    stdout: str
    stderr: str


class _Leader(subprocess.Popen[str]):
    """A process at the head of a group of its own: signals reach all of the group."""

    def send_signal(self, sig: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, sig)

    def end_rest(self, seconds: float) -> None:
        """Wait for the rest of the group, which was asked to end, and kill what is left after ``seconds``."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                time.sleep(_LOOK)
            os.killpg(self.pid, signal.SIGKILL)


class Pending:
    """A captured command that is running."""

    def __init__(self, command: Command, process: "subprocess.Popen[str] | None") -> None:
        self._command, self._process = command, process

    def result(self) -> Result:
        """Wait for the command and return its output.

        A program that is not installed gives exit code 127, as in ``sh``. Raises CommandError past its time limit.
        """
        if self._process is None:
            return Result(127, "", f"{self._command.argv[0]}: command not found")
        try:
            out, err = self._process.communicate(self._command.stdin, timeout=self._command.timeout)
        except subprocess.TimeoutExpired:
            self.end()
            raise CommandError(f"{self._command.shell()}: no answer within {self._command.timeout:g} s", 124) from None
        except BaseException:
            self.end()
            raise
        return Result(_exit_code(self._process.returncode), out, err)

    @property
    def works(self) -> bool:
        """Whether the command still runs."""
        return self._process is not None and self._process.poll() is None

    def end(self, wait: bool = True) -> None:
        """Kill the command and its group; a process that left it may keep the pipes open, which ``wait`` waits for."""
        if self._process is not None:
            self._process.kill()
        if self._process is not None and wait:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=_REAP)


def _program(command: Command) -> dict[str, Any]:
    """Return what Popen is told of a command: arguments, directory, environment."""
    env = {**inherited(command.argv, os.environ), **{key: reveal(value) for key, value in command.env.items()}}
    return {"args": started_directly(command.argv, env), "cwd": command.cwd, "env": env}


def _exit_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _not_found(program: str) -> RefusedError:
    if program == "docker":
        return RefusedError("docker: command not found", "./inv setup installs Docker Engine, Compose and Buildx")
    return RefusedError(f"{program}: command not found", f"install {program} and try again")


def available(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def start(command: Command) -> Pending:
    """Start a command whose output is wanted; it has its own process group, so Ctrl-C ends it through us."""
    try:
        process = _Leader(
            **_program(command),
            stdin=subprocess.PIPE if command.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        return Pending(command, None)
    return Pending(command, process)


def capture(command: Command) -> Result:
    """Run a command that changes nothing and return its output; also in a dry run."""
    return start(command).result()


def attach(command: Command, connection: socket.socket) -> Callable[[], None]:
    """Start a command whose stdin and stdout are a connection, with which it ends; return what waits for its end."""
    number = connection.fileno()
    with contextlib.suppress(OSError):
        process = subprocess.Popen[str](**_program(command), stdin=number, stdout=number, start_new_session=True)
        return lambda: _end(process)
    return lambda: None


class Runner:
    """Runs commands, or in a dry run prints them as shell lines ready to paste."""

    def __init__(self, dry: bool = False, echo: bool = False) -> None:
        self.dry = dry
        self._echo = echo
        self._exported: dict[str, object] = {}
        self._cwd = self._home = str(Path.cwd())
        self._children: forwarding.Children | None = None  # of threads, while several work
        self._showing = threading.Lock()

    def _show(self, command: Command, write: Callable[[str], None]) -> None:
        for line in command.reason.splitlines():
            write(f"# {line}")
        wanted = command.cwd or self._home
        if wanted != self._cwd:
            self._cwd = wanted
            write(Command(("cd", wanted)).shell())
        fresh = {key: value for key, value in command.env.items() if self._exported.get(key) != value}
        # Every command has an environment of its own, but the shell that the lines are pasted into has a single one.
        for key in sorted(key for key in self._exported if key not in command.env):
            if not isinstance(self._exported.pop(key), Secret):
                before = os.environ.get(key)
                write(f"unset {key}" if before is None else exports({key: before})[0])
        self._exported.update(fresh)
        for line in exports(fresh):
            write(line)
        write(command.shell())

    def _print_only(self, command: Command) -> bool:
        """Show the command in a dry run or with echo; return True in a dry run, which does not run it."""
        if self.dry:
            self._show(command, lambda line: print(mask_secrets(line), flush=True))  # noqa: T201 - the plan is the data of a dry run
        elif self._echo:
            with self._showing:
                self._show(command, note)
        return self.dry

    def show(self, line: str) -> None:
        """In a dry run print a line of the plan that is no command of ours, as a comment."""
        if self.dry:
            print(mask_secrets(f"# {line}"), flush=True)  # noqa: T201

    def run(self, command: Command, explain: Callable[[int, str], CommandError | None] | None = None) -> None:
        """Run a command that changes something; what it prints goes to stderr.

        Raises CommandError with the command's own exit code, StoppedError when a signal ended it.
        ``explain`` may turn an exit code and the end of the error output into a better error.
        """
        if self._print_only(command):
            return
        with listening(command, explain is not None, bool(self._children)) as listener:
            code, tail = self._wait(command, listener)
            if code != 0:
                better = explain(code, tail) if explain else None
                raise better or CommandError(f"{command.title} failed with exit code {code}", code)

    def stream(self, command: Command) -> None:
        """Run a command whose output is the data that was asked for: it gets our stdin and stdout."""
        if self._print_only(command):
            return
        with with_the_terminal():
            code, _ = self._wait(command, Listener(data=True))
        if code != 0 and reader_gone():
            raise BrokenPipeError  # some programs report it as a failure of their own
        if code != 0:
            raise CommandError(f"{command.title} ended with exit code {code}", code)

    def lines(self, command: Command) -> Generator[str, None, None]:
        """Run a command and yield the lines of its stdout as they come; ends it when the reader stops."""
        if self._print_only(command):
            return
        received: list[int] = []
        with self._running(command, subprocess.PIPE, None, received) as process:
            yield from process.stdout or ()
            process.wait()
        forwarding.raise_if_received(received)
        if process.returncode != 0:
            code = _exit_code(process.returncode)
            raise CommandError(f"{command.title} ended with exit code {code}", code)

    def detach(self, command: Command, log: str) -> None:
        """Start a command that outlives us, its output appended to a log file."""
        if self._print_only(command):
            return
        with open(log, "ab") as sink, _refusing_missing(command):  # noqa: PTH123 - handed to the child as a descriptor
            subprocess.Popen(
                **_program(command), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )

    @contextlib.contextmanager
    def _running(
        self, command: Command, stdout: int | None, stderr: int | None, received: list[int]
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a command, pass signals on to it, and make sure that it is gone afterwards."""
        started: list[subprocess.Popen[str]] = []
        try:
            hearing = forwarding.SignalRelay(received, command.group, self._children, command.grace)
            with hearing.child(lambda: self._popen(command, stdout, stderr), started) as process:
                yield process
        finally:
            for process in started:
                _end(process, stopped=bool(received))

    @contextlib.contextmanager
    def together(self) -> Iterator[forwarding.Children]:
        """Let threads run commands; signals go to all of them. Raises StoppedError after a signal."""
        children = self._children = forwarding.Children()
        try:
            with forwarding.forwarding_unless_kept_back(children, children.received, apart=True):
                yield children
            children.look()
        finally:
            self._children = None

    @contextlib.contextmanager
    def in_parallel(self) -> "Iterator[ParallelCommands]":
        """Run commands in parallel; none of them is left when the block ends, however it ends.

        Works in the main thread only, where signals arrive. Raises StoppedError after a signal.
        """
        children = ParallelCommands()
        try:
            with forwarding.forwarding(children.processes, children.received, apart=True):
                try:
                    yield children
                finally:
                    children.end()
        finally:
            forwarding.raise_if_received(children.received)

    def _popen(self, command: Command, stdout: int | None, stderr: int | None) -> "subprocess.Popen[str]":
        with contextlib.ExitStack() as files:
            source = files.enter_context(Path(command.source).open("rb")) if command.source else None
            sink = files.enter_context(Path(command.sink).open("wb")) if command.sink else None
            files.enter_context(_refusing_missing(command))
            kind = _Leader if command.group else subprocess.Popen[str]
            return kind(
                **_program(command),
                stdin=source or (subprocess.PIPE if command.stdin is not None else None),
                stdout=sink or stdout,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=command.group
                or bool(self._children)
                or forwarding.signals_kept_back(),  # no Ctrl-C for it
                preexec_fn=die_with(os.getpid()) if command.tied else None,
            )

    def _wait(self, command: Command, output: Listener) -> tuple[int, str]:
        """Run a command to its end; return its exit code and, when listened to, the end of its error output."""
        sys.stdout.flush()
        received: list[int] = []
        try:
            with self._running(command, output.stdout, output.stderr, received) as process:
                # In parallel: a command may write much before it reads its input, and the time limit holds.
                feeder = threading.Thread(target=_feed, args=(process, command.stdin or ""), daemon=True)
                feeder.start()
                output.start(process)
                process.wait(wait_for_child(process.pid, command.timeout))
                feeder.join(_REAP)
                tail = output.ended()
        except subprocess.TimeoutExpired:
            hint = _NO_ANSWER if command.argv[0] == "docker" else ""
            raise CommandError(f"{command.title}: not done within {command.timeout:g} s", 124, hint) from None
        forwarding.raise_if_received(received)
        return _exit_code(process.returncode), tail


class ParallelCommands:
    """Commands that run in parallel, the output of each in files. Made by ``Runner.in_parallel``."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []
        self.received: list[int] = []

    def start(self, command: Command, stdout: Path, stderr: Path | None = None, terminal: bool = False) -> int:
        """Start a command and return its number; without ``stderr`` its error output goes to ``stdout``.

        ``terminal``: it writes to a terminal, where some programs tell their progress, and from there to the file.
        """
        forwarding.raise_if_received(self.received)
        with contextlib.ExitStack() as files, _refusing_missing(command):
            out = files.enter_context(copied_to(stdout) if terminal else stdout.open("wb"))
            process = subprocess.Popen(
                **_program(command),
                stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
                stdout=out,
                stderr=files.enter_context(stderr.open("wb")) if stderr else out,
                text=True,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()) if command.tied else None,
            )
        self.processes.append(process)
        for number in self.received:
            process.send_signal(number)  # it came while the command was being started
        threading.Thread(target=_feed, args=(process, command.stdin or ""), daemon=True).start()
        return len(self.processes) - 1

    def ended(self, number: int) -> int | None:
        """Return the exit code of a command, None while it runs; raises StoppedError when a signal has come."""
        code = self.processes[number].poll()
        forwarding.raise_if_received(self.received)
        return None if code is None else _exit_code(code)

    def stop(self, number: int) -> None:
        """End a command: SIGTERM first, SIGKILL after the grace time."""
        _end(self.processes[number])

    def end(self) -> None:
        """End all commands that still run, in parallel; after a signal they have been asked already."""
        for process in self.processes if not self.received else ():
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(forwarding.GRACE)
            _end(process)


@contextlib.contextmanager
def _refusing_missing(command: Command) -> Iterator[None]:
    """Raise RefusedError for a missing program or directory: Popen raises FileNotFoundError for both."""
    try:
        yield
    except FileNotFoundError:
        if command.cwd and not Path(command.cwd).is_dir():
            raise RefusedError(f"{command.cwd}: no such directory", "make it, or correct the path") from None
        raise _not_found(command.argv[0]) from None


def _feed(process: "subprocess.Popen[str]", text: str) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError, ValueError), process.stdin:
            process.stdin.write(text)


def _end(process: "subprocess.Popen[str]", stopped: bool = False) -> None:
    """Make sure that a child, or its whole group, has ended: SIGTERM first, SIGKILL after the grace time.

    What a child that ended by itself left running goes on, unless a signal ``stopped`` the child.
    """
    if process.poll() is None:
        stopped = True
        process.terminate()
        try:
            process.wait(forwarding.GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if stopped and isinstance(process, _Leader):
        process.end_rest(forwarding.GRACE)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
