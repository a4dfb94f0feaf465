"""The only place that starts a process: argument lists, signals, time limits, echo, dry run."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from ..plan.command import Command, exports
from ..plan.errors import CommandError, RefusedError, StoppedError
from ..plan.secret import reveal
from .output import note

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 20.0  # seconds that a child has to end after a signal was passed on, before it is killed


@dataclass(frozen=True)
class Result:
    """What a captured command gave back."""

    exit_code: int
    stdout: str
    stderr: str


class Pending:
    """A captured command that is running."""

    def __init__(self, command: Command, process: "subprocess.Popen[str] | None") -> None:
        self._command = command
        self._process = process

    def result(self) -> Result:
        """Wait for the command and return its output.

        A program that is not installed gives exit code 127, as in ``sh``. Raises CommandError past its time limit.
        """
        if self._process is None:
            return Result(127, "", f"{self._command.argv[0]}: command not found")
        try:
            out, err = self._process.communicate(self._command.stdin, timeout=self._command.timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            line = self._command.shell()
            raise CommandError(f"{line}: no answer within {self._command.timeout:g} s", 124) from None
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise
        return Result(_exit_code(self._process.returncode), out, err)


def _environment(command: Command) -> dict[str, str]:
    return {**os.environ, **{key: reveal(value) for key, value in command.env.items()}}


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
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE if command.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.cwd,
            env=_environment(command),
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


def _at_terminal() -> bool:
    """Whether a Ctrl-C reaches our children without us: we are in the foreground of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:  # noqa: PTH123 - a device, not a path of ours
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def _forwarding(process: "subprocess.Popen[str]", received: list[int]) -> Iterator[None]:
    """Pass signals on to the child while waiting for it, so that it is the child that ends the work."""
    shared = _at_terminal()

    def forward(number: int, _frame: FrameType | None) -> None:
        first = not received
        received.append(number)
        if number == signal.SIGINT and shared and first:
            return  # the terminal has sent it to the child already
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    earlier = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class Runner:
    """Carries commands out, or in a dry run prints them as shell lines ready to paste."""

    def __init__(self, dry: bool = False, echo: bool = False) -> None:
        self.dry = dry
        self._echo = echo
        self._exported: dict[str, object] = {}
        self._cwd = ""

    def _show(self, command: Command, write: Callable[[str], None]) -> None:
        if command.reason:
            write(f"# {command.reason}")
        if command.cwd and command.cwd != self._cwd:
            self._cwd = command.cwd
            write(Command(("cd", command.cwd)).shell())
        fresh = {key: value for key, value in command.env.items() if self._exported.get(key) != value}
        self._exported.update(fresh)
        for line in exports(fresh):
            write(line)
        write(command.shell())

    def _print_only(self, command: Command) -> bool:
        """Show the command where it is to be shown; True when that is all."""
        if self.dry:
            self._show(command, lambda line: print(line, flush=True))  # noqa: T201 - the plan is the data of a dry run
        elif self._echo:
            self._show(command, note)
        return self.dry

    def show(self, line: str) -> None:
        """In a dry run print a line of the plan that is no command of ours, as a comment."""
        if self.dry:
            print(f"# {line}", flush=True)  # noqa: T201

    def run(self, command: Command, explain: Callable[[int, str], CommandError | None] | None = None) -> None:
        """Run a command that changes something; what it prints goes to stderr.

        Raises CommandError with the command's own exit code, StoppedError when a signal ended it.
        ``explain`` may turn an exit code and the end of the error output into a better error.
        """
        if self._print_only(command):
            return
        # Reading the error output would take the live progress from a terminal: there only the exit code is known.
        code, tail = self._wait(command, stdout=_descriptor(sys.stderr), tail=bool(explain) and not sys.stderr.isatty())
        if code != 0:
            better = explain(code, tail) if explain else None
            raise better or CommandError(f"{command.argv[0]} {_subcommand(command)} failed with exit code {code}", code)

    def stream(self, command: Command) -> None:
        """Run a command whose output is the data that was asked for: it gets our stdin and stdout."""
        if self._print_only(command):
            return
        code, _ = self._wait(command, stdout=None, tail=False)
        if code != 0 and _reader_gone():
            raise BrokenPipeError  # some programs report it as a failure of their own
        if code != 0:
            raise CommandError(f"{command.argv[0]} {_subcommand(command)} ended with exit code {code}", code)

    def lines(self, command: Command) -> Iterator[str]:
        """Run a command and yield the lines of its stdout as they come; ends it when the reader stops."""
        if self._print_only(command):
            return
        process = self._popen(command, stdout=subprocess.PIPE, stderr=None)
        received: list[int] = []
        try:
            with _forwarding(process, received):
                yield from process.stdout or ()
                process.wait()
        finally:
            _end(process)
        if received:
            raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")
        if process.returncode != 0:
            code = _exit_code(process.returncode)
            raise CommandError(f"{command.argv[0]} {_subcommand(command)} ended with exit code {code}", code)

    def detach(self, command: Command, log: str) -> None:
        """Start a command that outlives us, its output appended to a log file."""
        if self._print_only(command):
            return
        with open(log, "ab") as sink:  # noqa: PTH123 - handed to the child as a descriptor
            subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=_environment(command),
                start_new_session=True,
            )

    def _popen(self, command: Command, stdout: int | None, stderr: int | None) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE if command.stdin is not None else None,
                stdout=stdout,
                stderr=stderr,
                cwd=command.cwd,
                env=_environment(command),
                text=True,
                errors="replace",
            )
        except FileNotFoundError:
            raise _not_found(command.argv[0]) from None

    def _wait(self, command: Command, stdout: int | None, tail: bool) -> tuple[int, str]:
        """Run to the end and return the exit code and, when wanted, the last lines of its error output."""
        sys.stdout.flush()
        process = self._popen(command, stdout, subprocess.PIPE if tail else None)
        received: list[int] = []
        last: list[str] = []
        try:
            with _forwarding(process, received):
                if command.stdin is not None and process.stdin:
                    with contextlib.suppress(BrokenPipeError), process.stdin:
                        process.stdin.write(command.stdin)
                for line in process.stderr or ():
                    note(line.rstrip("\n"))
                    last = [*last[-29:], line]
                process.wait(command.timeout)
        except subprocess.TimeoutExpired:
            raise CommandError(f"{command.shell()}: not done within {command.timeout:g} s", 124) from None
        finally:
            _end(process)
        if received:
            raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")
        return _exit_code(process.returncode), "".join(last)


def _end(process: "subprocess.Popen[str]") -> None:
    """Make sure that a child is gone: asked first, killed after the grace time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _descriptor(stream: TextIO) -> int | None:
    """Return a stream's file descriptor, None when it has none (a test's own stream)."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _reader_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    descriptor = _descriptor(sys.stdout)
    if descriptor is None:
        return False
    watch = select.poll()
    watch.register(descriptor, select.POLLERR)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _subcommand(command: Command) -> str:
    """Return the words of a command that name what it does: ``compose up`` of ``docker compose --env-file … up -d``."""
    words = [word for word in command.argv[1:] if not word.startswith("-") and "/" not in word]
    return " ".join(words[:2])
