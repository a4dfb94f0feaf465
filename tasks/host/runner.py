"""The only place that starts a process: argument lists, signals, time limits, echo, dry run."""

import collections
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..plan.command import Command, exports
from ..plan.errors import CommandError, RefusedError, StoppedError
from ..plan.secret import Secret, reveal
from . import forwarding
from .output import concealed, descriptor, note, reader_gone
from .signals import die_with

_TAIL = 30  # lines of error output that an error may be explained with
_DRAIN = 2.0  # seconds to read what a command that has ended left in its pipes; a child of its own may hold them


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
        # Reading the error output would take the live progress from a terminal: there only the exit code is known.
        code, tail = self._wait(command, stdout=descriptor(sys.stderr), tail=bool(explain) and not sys.stderr.isatty())
        if code != 0:
            better = explain(code, tail) if explain else None
            raise better or CommandError(f"{command.title} failed with exit code {code}", code)

    def stream(self, command: Command) -> None:
        """Run a command whose output is the data that was asked for: it gets our stdin and stdout."""
        if self._print_only(command):
            return
        code, _ = self._wait(command, stdout=None, tail=False)
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
            with _nothing() if forwarding.kept_back() else forwarding.forwarding(started, received) as catch_up:
                started.append(self._popen(command, stdout, stderr))
                catch_up()
                yield started[0]
        finally:
            for process in started:
                _end(process)

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
            return subprocess.Popen(
                command.argv,
                stdin=source or (subprocess.PIPE if command.stdin is not None else None),
                stdout=sink or stdout,
                stderr=stderr,
                cwd=command.cwd,
                env=_environment(command),
                text=True,
                errors="replace",
                start_new_session=forwarding.kept_back(),  # a terminal's Ctrl-C does not reach it
                preexec_fn=die_with(os.getpid()) if command.tied else None,
            )

    def _wait(self, command: Command, stdout: int | None, tail: bool) -> tuple[int, str]:
        """Run to the end and return the exit code and, when wanted, the last lines of its error output."""
        sys.stdout.flush()
        received: list[int] = []
        last: collections.deque[str] = collections.deque(maxlen=_TAIL)
        try:
            with self._running(command, stdout, subprocess.PIPE if tail else None, received) as process:
                # Beside each other: a command may write much before it reads its input, and the time limit holds.
                threads = [threading.Thread(target=_feed, args=(process, command.stdin or ""), daemon=True)]
                threads += [threading.Thread(target=_note_lines, args=(process, last), daemon=True)]
                for thread in threads:
                    thread.start()
                process.wait(command.timeout)
                for thread in threads:
                    thread.join(_DRAIN)
        except subprocess.TimeoutExpired:
            line = " ".join(command.argv)
            raise CommandError(f"{line}: not done within {command.timeout:g} s", 124) from None
        if received:
            raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")
        return _exit_code(process.returncode), "".join(last)


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


def _note_lines(process: "subprocess.Popen[str]", last: "collections.deque[str]") -> None:
    with contextlib.suppress(ValueError):  # closed under our hands: the command was ended
        for line in process.stderr or ():
            note(line.rstrip("\n"))
            last.append(line)


def _end(process: "subprocess.Popen[str]") -> None:
    """Make sure that a child is gone: asked first, killed after the grace time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(forwarding.GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
