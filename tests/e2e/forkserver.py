"""An interpreter that has loaded what tasks load, and forks for each call: half of the CPU of tests was Python's start.

Run as a script by ``starting.py``, with the number of a socket. Each request on it is a length, the descriptors that
become stdin, stdout and stderr, that of a socket for this process, and a JSON document. A fork sets itself up as the
start of Python would (`_become`), writes its process id to its socket and runs the script. When it has ended, its wait
status is written there; the process stays a zombie until the other side has answered, as a child of the caller would.

Unlike real starts, all forks share the seed of string hashes. `starting.py` starts Python itself where the call changes
something that Python reads only when it starts.
"""

import atexit
import contextlib
import gc
import importlib.util
import io
import json
import os
import re
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tasks" / "cli" / "program.py"
LENGTH, NUMBER = struct.Struct("!I"), struct.Struct("!i")
SETUP_FAILED = 255  # the exit status of a fork that could not be set up; the error is on its stderr
_IMPORT = re.compile(r"^[ \t]*(?:from ([a-z][\w.]*) import|import ([a-z][\w.]*))", re.MULTILINE)
# Loaded by the libraries when they are first used.
_LAZY = ("encodings.idna", "stringprep", "requests.packages", "docker.transport", "json.tool")
# Reads the environment when it is loaded (through isoduration, arrow and zoneinfo), so each call loads it itself.
_NOT_BEFOREHAND = ("jsonschema",)
_HANDLED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def preload() -> None:
    """Import all modules of the tasks, and everything that any of them imports anywhere; Invoke as the program does."""
    sys.path[0] = str(ROOT)
    collecting = gc.get_threshold()
    spec = importlib.util.spec_from_file_location("slipway_program", PROGRAM)
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    gc.set_threshold(*collecting)  # each call sets it for itself
    files = [path for path in sorted((ROOT / "tasks").rglob("*.py")) if path != PROGRAM]
    for path in files:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in (*files, PROGRAM))
    for name in (*(match[1] or match[2] for match in _IMPORT.finditer(text)), *_LAZY):
        if name in _NOT_BEFOREHAND:
            continue
        with contextlib.suppress(ImportError):  # a word of a docstring, or a module of another platform
            importlib.import_module(name)
    # `tasks` names its tasks after the profiles in the directory: each call loads it again.
    del sys.modules["tasks"]


class Request:
    """A call: what is run, and where."""

    def __init__(self, document: dict[str, Any], streams: list[int], status: socket.socket) -> None:
        self.argv: list[str] = document["argv"]
        self.environment: dict[str, str] = document["environment"]
        self.cwd: str = document["cwd"]
        self.umask: int = document["umask"]
        self.ignored: list[int] = document["ignored"]
        self.session: bool = document["session"]
        self.group: int = document["group"]
        self.streams, self.status = streams, status


def receive(control: socket.socket) -> Request | None:
    """Return the next request, None when the caller has ended."""
    head, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, 4)
    if len(head) < LENGTH.size:
        return None
    left, parts = LENGTH.unpack(head)[0], []
    while left:
        parts.append(control.recv(left))
        if not parts[-1]:
            return None
        left -= len(parts[-1])
    return Request(json.loads(b"".join(parts)), descriptors[:3], socket.socket(fileno=descriptors[3]))


def _become(request: Request) -> None:
    """Set this fork up as a new Python would be: descriptors, session, signals, directory, environment, ``sys``."""
    if request.session:
        os.setsid()
    if request.group >= 0:
        os.setpgid(0, request.group)
    for number, descriptor in enumerate(request.streams):
        os.dup2(descriptor, number)
    for signum in _HANDLED:
        signal.signal(signum, signal.SIG_IGN if signum in request.ignored else signal.SIG_DFL)
    if signal.SIGINT not in request.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(request.umask)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv[:] = request.argv
    sys.path[0] = str(Path(request.argv[0]).parent)
    sys.orig_argv[:] = [sys.executable, *request.argv]
    _open_streams()


def _open_streams() -> None:
    """Open stdin, stdout and stderr as Python does, with its encodings (``create_stdio`` in its ``pylifecycle.c``)."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old, direct = getattr(sys, f"__{name}__"), bool(os.environ.get("PYTHONUNBUFFERED"))
        raw = io.FileIO(number, mode, closefd=False)
        raw.name = f"<{name}>"  # type: ignore[misc]
        made = io.TextIOWrapper(
            (io.BufferedReader(raw) if mode == "r" else raw if direct else io.BufferedWriter(raw)),  # type: ignore[type-var]
            old.encoding,
            old.errors,
            newline="\n",
            line_buffering=not direct and (number == 2 or raw.isatty()),
            write_through=direct,
        )
        made.mode = mode
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)


def _run(request: Request) -> NoReturn:
    """Run the script to its end, and end this process with its exit code."""
    try:
        _become(request)
        request.status.sendall(NUMBER.pack(os.getpid()))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(SETUP_FAILED)
    request.status.detach()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _end(_code(request.argv[0]))


def _code(script: str) -> int:
    """Run a script as ``__main__``; returns the exit code that Python would give."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        sys.stderr.write(f"{end.code}\n")
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as the interpreter does, without clearing modules: threads, ``atexit``, buffers (exit 120 if that fails)."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if not sys.stdout.closed:
            sys.stderr.write(f"Exception ignored in: {sys.stdout!r}\n{type(error).__name__}: {error}\n")
            code = 120
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _status(pid: int) -> int:
    """Return the wait status of a child that has ended, which stays a zombie."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended
    if ended.si_code == os.CLD_EXITED:
        return ended.si_status << 8
    return ended.si_status | (0x80 if ended.si_code == os.CLD_DUMPED else 0)


class Server:
    """Forks for each request, and reports how each fork ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer requests until the caller has ended."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    key.data()
                elif request := receive(self._control):
                    self._start(request)
                else:
                    return

    def _start(self, request: Request) -> None:
        pid = os.fork()
        if not pid:
            _run(request)
        for descriptor in request.streams:
            os.close(descriptor)
        watched = os.pidfd_open(pid)
        self._selector.register(watched, selectors.EVENT_READ, lambda: self._ended(pid, watched, request.status))

    def _ended(self, pid: int, watched: int, status: socket.socket) -> None:
        self._selector.unregister(watched)
        os.close(watched)
        with contextlib.suppress(BrokenPipeError):
            status.sendall(NUMBER.pack(_status(pid)))
        self._selector.register(status, selectors.EVENT_READ, lambda: self._forget(pid, status))

    def _forget(self, pid: int, status: socket.socket) -> None:
        """Reap a fork: the caller has read its status, or has ended."""
        self._selector.unregister(status)
        os.waitpid(pid, 0)
        status.close()


def main() -> None:
    """Load everything, then serve the socket whose number is the argument."""
    for signum in _HANDLED:
        if signum not in (signal.SIGHUP, signal.SIGTERM):  # what a terminal sends is for the tasks and the tests
            signal.signal(signum, signal.SIG_IGN)
    preload()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
