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
from dataclasses import dataclass
from pathlib import Path

from ..plan.command import Command, exports
from ..plan.errors import CommandError, RefusedError, StoppedError
from ..plan.secret import Secret, reveal
from . import forwarding
from .listening import Listener, listener
from .output import concealed, note, reader_gone
from .signals import die_with

_REAP = 2.0  # seconds for the pipes of a command that was killed to close
_LOOK = 0.05  # seconds between two looks at a process group that is to end


@dataclass(frozen=True)
class Result:
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
        """Wait for the rest of the group, which was asked to end, and kill what is still there then."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                time.sleep(_LOOK)
            os.killpg(self.pid, signal.SIGKILL)


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
            self._kill(self._process)
            line = self._command.shell()
            raise CommandError(f"{line}: no answer within {self._command.timeout:g} s", 124) from None
        except BaseException:
            self._kill(self._process)
            raise
        return Result(_exit_code(self._process.returncode), out, err)

    @staticmethod
    def _kill(process: "subprocess.Popen[str]") -> None:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that left the group may hold the pipes
            process.communicate(timeout=_REAP)


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
        process = _Leader(
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


def attach(command: Command, connection: socket.socket) -> None:
    """Start a command that speaks over a connection, and ends with it; what it has to say to people goes to stderr."""
    number = connection.fileno()
    with contextlib.suppress(OSError):
        subprocess.Popen(command.argv, stdin=number, stdout=number, env=_environment(command), start_new_session=True)


class Runner:
    """Carries commands out, or in a dry run prints them as shell lines ready to paste."""

    def __init__(self, dry: bool = False, echo: bool = False) -> None:
        self.dry = dry
        self._echo = echo
        self._exported: dict[str, object] = {}
        self._cwd = self._home = str(Path.cwd())

    def _show(self, command: Command, write: Callable[[str], None]) -> None:
        for line in command.reason.splitlines():
            write(f"# {line}")
        wanted = command.cwd or self._home
        if wanted != self._cwd:
            self._cwd = wanted
            write(Command(("cd", wanted)).shell())
        fresh = {key: value for key, value in command.env.items() if self._exported.get(key) != value}
        # Every command has an environment of its own, and the shell that the lines are pasted into only one.
        for key in sorted(key for key in self._exported if key not in command.env):
            if not isinstance(self._exported.pop(key), Secret):
                before = os.environ.get(key)
                write(f"unset {key}" if before is None else exports({key: before})[0])
        self._exported.update(fresh)
        for line in exports(fresh):
            write(line)
        write(command.shell())

    def _print_only(self, command: Command) -> bool:
        """Show the command where it is to be shown; True when that is all."""
        if self.dry:
            self._show(command, lambda line: print(concealed(line), flush=True))  # noqa: T201 - the plan is the data of a dry run
        elif self._echo:
            self._show(command, note)
        return self.dry

    def show(self, line: str) -> None:
        """In a dry run print a line of the plan that is no command of ours, as a comment."""
        if self.dry:
            print(concealed(f"# {line}"), flush=True)  # noqa: T201

    def run(self, command: Command, explain: Callable[[int, str], CommandError | None] | None = None) -> None:
        """Run a command that changes something; what it prints goes to stderr.

        Raises CommandError with the command's own exit code, StoppedError when a signal ended it.
        ``explain`` may turn an exit code and the end of the error output into a better error.
        """
        if self._print_only(command):
            return
        code, tail = self._wait(command, listener(explain is not None, bool(command.sink)))
        if code != 0:
            better = explain(code, tail) if explain else None
            raise better or CommandError(f"{command.title} failed with exit code {code}", code)

    def stream(self, command: Command) -> None:
        """Run a command whose output is the data that was asked for: it gets our stdin and stdout."""
        if self._print_only(command):
            return
        ours = Listener()
        ours.stdout = None
        code, _ = self._wait(command, ours)
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
        if received:
            raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")
        if process.returncode != 0:
            code = _exit_code(process.returncode)
            raise CommandError(f"{command.title} ended with exit code {code}", code)

    def detach(self, command: Command, log: str) -> None:
        """Start a command that outlives us, its output appended to a log file."""
        if self._print_only(command):
            return
        with open(log, "ab") as sink, _found(command):  # noqa: PTH123 - handed to the child as a descriptor
            subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=command.cwd,
                env=_environment(command),
                start_new_session=True,
            )

    @contextlib.contextmanager
    def _running(
        self, command: Command, stdout: int | None, stderr: int | None, received: list[int]
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a command, pass signals on to it, and make sure that it is gone afterwards."""
        started: list[subprocess.Popen[str]] = []
        try:
            kept_back, apart = forwarding.kept_back(), command.group
            with _nothing() if kept_back else forwarding.forwarding(started, received, apart) as catch_up:
                started.append(self._popen(command, stdout, stderr))
                catch_up()
                yield started[0]
        finally:
            for process in started:
                _end(process, stopped=bool(received))

    @contextlib.contextmanager
    def beside(self) -> "Iterator[Beside]":
        """Run commands beside each other; none of them is left when the block ends, however it ends.

        Of the main thread only: that is where signals arrive. Raises StoppedError when one did.
        """
        children = Beside()
        try:
            with forwarding.forwarding(children.processes, children.received, apart=True):
                try:
                    yield children
                finally:
                    children.end()
        finally:
            if children.received:
                number = children.received[0]
                raise StoppedError(number, f"stopped by {signal.Signals(number).name}")

    def _popen(self, command: Command, stdout: int | None, stderr: int | None) -> "subprocess.Popen[str]":
        with contextlib.ExitStack() as files:
            source = files.enter_context(Path(command.source).open("rb")) if command.source else None
            sink = files.enter_context(Path(command.sink).open("wb")) if command.sink else None
            files.enter_context(_found(command))
            kind = _Leader if command.group else subprocess.Popen[str]
            return kind(
                command.argv,
                stdin=source or (subprocess.PIPE if command.stdin is not None else None),
                stdout=sink or stdout,
                stderr=stderr,
                cwd=command.cwd,
                env=_environment(command),
                text=True,
                errors="replace",
                start_new_session=command.group or forwarding.kept_back(),  # a terminal's Ctrl-C does not reach it
                preexec_fn=die_with(os.getpid()) if command.tied else None,
            )

    def _wait(self, command: Command, output: Listener) -> tuple[int, str]:
        """Run to the end and return the exit code and, when it was listened to, the end of the error output."""
        sys.stdout.flush()
        received: list[int] = []
        try:
            with self._running(command, output.stdout, output.stderr, received) as process:
                # Beside each other: a command may write much before it reads its input, and the time limit holds.
                feeder = threading.Thread(target=_feed, args=(process, command.stdin or ""), daemon=True)
                feeder.start()
                output.start(process)
                process.wait(command.timeout)
                feeder.join(_REAP)
                tail = output.ended()
        except subprocess.TimeoutExpired:
            line = " ".join(command.argv)
            raise CommandError(f"{line}: not done within {command.timeout:g} s", 124) from None
        if received:
            raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")
        return _exit_code(process.returncode), tail


class Beside:
    """Commands that run beside each other, the output of each in files. Made by ``Runner.beside``."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []
        self.received: list[int] = []

    def start(self, command: Command, stdout: Path, stderr: Path | None = None) -> int:
        """Start a command and return its number; without a file for it, its error output goes where the rest does."""
        with contextlib.ExitStack() as files, _found(command):
            out = files.enter_context(stdout.open("wb"))
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
                stdout=out,
                stderr=files.enter_context(stderr.open("wb")) if stderr else out,
                cwd=command.cwd,
                env=_environment(command),
                text=True,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()) if command.tied else None,
            )
        threading.Thread(target=_feed, args=(process, command.stdin or ""), daemon=True).start()
        self.processes.append(process)
        return len(self.processes) - 1

    def ended(self, number: int) -> int | None:
        """Return the exit code of a command, None while it runs; raises StoppedError when a signal has come."""
        code = self.processes[number].poll()
        if self.received:
            raise StoppedError(self.received[0], f"stopped by {signal.Signals(self.received[0]).name}")
        return None if code is None else _exit_code(code)

    def stop(self, number: int) -> None:
        """End one command: asked first, killed after the grace time."""
        _end(self.processes[number])

    def end(self) -> None:
        """End what still runs, all at once: those that a signal was passed on to are at it already."""
        for process in self.processes if not self.received else ():
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(forwarding.GRACE)
            _end(process)


@contextlib.contextmanager
def _nothing() -> Iterator[Callable[[], None]]:
    yield lambda: None


@contextlib.contextmanager
def _found(command: Command) -> Iterator[None]:
    """Tell a program that is not installed from a directory that does not exist: Popen raises the same for both."""
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
    """Make sure that a child is gone: asked first, killed after the grace time; of a group, all of it.

    What a child that ended by itself has left running stays, unless a signal ``stopped`` it.
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
