"""Processes of tests: scripts of Python are forked off a server that has everything loaded (`forkserver.py`).

`Started` is a ``subprocess.Popen``, and behaves as one; `run` is ``subprocess.run``.
"""

import atexit
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, AnyStr

from .forkserver import LENGTH, NUMBER

_SERVER = Path(__file__).with_name("forkserver.py")
# What Python, the C library and Invoke read once, when they start.
AT_START = re.compile(r"PYTHON\w*|LC_\w+|LD_\w+|LANG|LANGUAGE|TZ|OPENSSL_\w+|MALLOC_\w+|GLIBC_TUNABLES|INVOKE_DEBUG")
# Never set for tasks of tests: Python keeps what it has compiled, as it does for users.
_WRITES_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_RESTORED = {signal.SIGPIPE, signal.SIGXFSZ}  # by Popen, in every child
_UNUSUAL = ("preexec_fn", "pass_fds", "shell", "executable", "gid", "gids", "uid", "umask")
_EXECUTE = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


class _Server:
    """The server of this process, started when it is first wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def prepare(self) -> None:
        """Start the server, if it does not run yet."""
        with self._lock:
            if self._control:
                return
            self._control, theirs = socket.socketpair()
            self.environment = {key: value for key, value in os.environ.items() if key != _WRITES_NO_BYTECODE}
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, str(_SERVER), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    env=self.environment,
                )  # fmt: skip
            atexit.register(self.end)

    def request(self, document: Mapping[str, Any], streams: Sequence[int]) -> tuple[int, socket.socket]:
        """Have a script run; return its process id and the socket from which its wait status is read."""
        ours, theirs = socket.socketpair()
        text = json.dumps(document).encode()
        with theirs, self._lock:
            assert self._control
            socket.send_fds(self._control, [LENGTH.pack(len(text))], [*streams, theirs.fileno()])
            self._control.sendall(text)
        return _number(ours), ours

    def end(self) -> None:
        """End the server, by closing its socket."""
        if self._control and self._process:
            self._control.close()
            self._process.wait()
            self._control = self._process = None


_SERVED = _Server()


def _number(status: socket.socket) -> int:
    text = status.recv(NUMBER.size, socket.MSG_WAITALL)
    if len(text) < NUMBER.size:
        raise ChildProcessError("the server of forks has ended")
    return int(NUMBER.unpack(text)[0])


def _umask() -> int:
    return int(re.findall(r"^Umask:\s*(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)[0], 8)


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if AT_START.fullmatch(key)}


def forkable(asked: Mapping[str, Any]) -> bool:
    """Whether a fork can replace a start of Python with these arguments of ``Popen._execute_child``.

    It cannot for another program, for options of Python, or for what Python or the C library read only when they start.
    """
    argv = asked["args"]
    if not (isinstance(argv, list) and len(argv) > 1 and argv[0] == sys.executable and argv[1].endswith(".py")):
        return False
    if any(asked[name] not in (None, -1, False, (), []) for name in _UNUSUAL) or not asked["close_fds"]:
        return False
    script, directory = Path(argv[1]), Path(asked["cwd"] or ".")
    if not (script.is_absolute() and script.is_file() and directory.is_dir() and hasattr(os, "pidfd_open")):
        return False
    _SERVED.prepare()
    return _at_start(os.environ if asked["env"] is None else asked["env"]) == _at_start(_SERVED.environment)


class Started(subprocess.Popen[AnyStr]):
    """A process that was started; for a Python script a fork that has its modules loaded already."""

    _exit_socket: socket.socket | None = None  # from which the wait status is read; None for a real process

    def _execute_child(self, *words: Any) -> None:
        asked = _EXECUTE.bind(self, *words).arguments
        if not forkable(asked):
            super()._execute_child(*words)  # type: ignore[misc]
            return
        ends = [asked[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        streams = [number if end == -1 else end for number, end in enumerate((ends[0], ends[3], ends[5]))]
        ignored = [
            signum for signum in signal.valid_signals() - _RESTORED if signal.getsignal(signum) is signal.SIG_IGN
        ]
        group = asked.get("process_group")
        document = {
            "argv": [os.fspath(argument) for argument in asked["args"][1:]],
            "environment": dict(os.environ if asked["env"] is None else asked["env"]),
            "cwd": os.fspath(asked["cwd"] or Path.cwd()),
            "umask": _umask(),
            "ignored": ignored,
            "session": bool(asked["start_new_session"]),
            "group": -1 if group is None else group,
        }
        self.pid, self._exit_socket = _SERVED.request(document, streams)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Return the process id and the wait status; 0 for both while it runs and is not waited for."""
        if self._exit_socket is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        self._exit_socket.setblocking(not wait_flags & os.WNOHANG)
        try:
            status = _number(self._exit_socket)
        except BlockingIOError:
            return 0, 0
        with self._exit_socket:
            self._exit_socket.setblocking(True)
            self._exit_socket.shutdown(socket.SHUT_WR)
            self._exit_socket.recv(1)  # the server closes its end once it has reaped the process
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None, *words: Any, **named: Any) -> int | None:
        if self._exit_socket is None:
            return super()._internal_poll(_deadstate, *words, **named)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            except ChildProcessError:
                if _deadstate is None:  # it is for an object that goes away after the server of forks
                    raise
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(
    argv: Sequence[str], *, text: str | None = "", timeout: float = 900, **named: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end with a text as its input; return its exit code and its output."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **named}
    with Started(argv, stdin=subprocess.PIPE, text=True, **given) as process:
        try:
            out, err = process.communicate(text, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)
