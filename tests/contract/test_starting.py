"""A task that is forked off the server of the tests behaves as one that Python starts, from inside and outside."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.starting import AT_START, Started, run
from tests.e2e.support import Checkout

ROOT = Path(__file__).parents[2]
PROGRAM = str(ROOT / "tasks" / "cli" / "program.py")
ENVIRONMENT = Checkout(ROOT / "docker_project", ROOT / "envs").environment()
Start = Callable[..., "subprocess.Popen[str]"]
WAYS = [pytest.param(subprocess.Popen[str], id="real"), pytest.param(Started[str], id="fork")]
# What a process can see of itself.
PROBE = """
import atexit, gc, json, os, resource, signal, socket, sys, threading
def stream(file):
    return [file.name, file.encoding, file.errors, file.line_buffering, file.isatty(), file.fileno(), file.newlines]
handled = {sig.name: str(signal.getsignal(sig)) for sig in signal.Signals if sig.name not in ('SIGKILL', 'SIGSTOP')}
pipes = {name: os.readlink(f"/proc/self/fd/{name}").split(":")[0] for name in sorted(os.listdir("/proc/self/fd"))
         if os.path.exists(f"/proc/self/fd/{name}")}
print(json.dumps({
    "leads its group": os.getpgrp() == os.getpid(), "leads its session": os.getsid(0) == os.getpid(),
    "group": os.getpgrp() != os.getpid() and os.getpgrp(), "session": os.getsid(0) != os.getpid() and os.getsid(0),
    "directory": os.getcwd(), "environment": dict(os.environ), "umask": oct(os.umask(0)),
    "handled": handled, "masked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "descriptors": pipes,
    "argv": sys.argv, "argv as given": sys.orig_argv, "path": sys.path, "flags": list(sys.flags), "name": __name__,
    "file": __file__, "threads": threading.active_count(), "collector": [gc.isenabled(), gc.get_threshold()],
    "streams": [stream(file) for file in (sys.stdin, sys.stdout, sys.stderr)], "finds docker": "docker" in globals(),
    "same streams": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "limits": [resource.getrlimit(limit) for limit in range(16)], "default timeout": socket.getdefaulttimeout(),
    "main": sys.modules["__main__"].__file__, "input": sys.stdin.read(), "tasks": "tasks" in sys.modules,
}))
"""


def script(directory: Path, text: str) -> list[str]:
    """Write a script and return the command that runs it."""
    path = directory / "script.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def both(argv: list[str], **named: Any) -> list[tuple[int, str, str]]:
    """Run a command in both ways; return exit codes and output.

    The environment is given: readline (pytest loads it) sets variables that children inherit but Python does not see.
    """
    named = {"env": ENVIRONMENT, **named}
    results = []
    for start in (subprocess.Popen[str], Started[str]):
        with start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                   **named) as process:  # fmt: skip
            out, err = process.communicate("given\n", timeout=60)
        results.append((process.returncode, out, err))
    return results


def forked(argv: list[str], **named: Any) -> bool:
    """Run a command and return whether it was forked."""
    named = {"env": ENVIRONMENT, **named}
    with Started[str](argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **named) as process:
        return process._exit_socket is not None


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"start_new_session": True},
        {"process_group": 0},
        {"cwd": "/"},
        {"env": {**ENVIRONMENT, "SLIPWAY_ENV": "prod", "ODD": "\udcff=é"}},
        {"env": {key: value for key, value in ENVIRONMENT.items() if key != "HOME"}},
    ],
    ids=["as it is", "session", "group", "directory", "environment", "less environment"],
)
def test_a_fork_sees_of_itself_what_a_real_start_sees(tmp_path: Path, named: dict[str, Any]) -> None:
    argv = script(tmp_path, PROBE)
    assert forked(argv, stdin=subprocess.DEVNULL, **named)
    real, fork = (json.loads(out) for _, out, _ in both(argv, **named))
    assert fork == real


def test_a_fork_ignores_what_its_caller_ignores_and_has_its_umask(tmp_path: Path) -> None:
    before, mask = signal.signal(signal.SIGINT, signal.SIG_IGN), os.umask(0o077)
    try:
        real, fork = (json.loads(out) for _, out, _ in both(script(tmp_path, PROBE)))
    finally:
        signal.signal(signal.SIGINT, before)
        os.umask(mask)
    assert fork == real
    assert fork["handled"]["SIGINT"] == str(signal.SIG_IGN)
    assert fork["umask"] == "0o77"


ENDS = {
    "code": ("import sys; sys.exit(3)", 3),
    "large code": ("import sys; sys.exit(259)", 3),
    "words": ("import sys; sys.exit('no')", 1),
    "nothing": ("print('done')", 0),
    "error": ("raise ValueError('no')", 1),
    "killed": ("import os; os.kill(os.getpid(), 9)", -9),
    "stopped": ("import os; os.kill(os.getpid(), 15)", -15),
    "interrupted": ("import os, signal; os.kill(os.getpid(), 2)", -2),
    "at exit": ("import atexit; atexit.register(print, 'last')", 0),
    "thread": ("import threading, time; threading.Timer(0.2, print, ['last']).start()", 0),
    "daemon": ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", 0),
    "full": (
        "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print('lost')",
        1 if os.environ.get("PYTHONUNBUFFERED") else 120,
    ),
    "closed": ("import sys; sys.stdout.close()", 0),
    "at once": ("import os; os._exit(7)", 7),
}


@pytest.mark.parametrize(("text", "code"), ENDS.values(), ids=ENDS)
def test_a_fork_ends_as_a_real_start_does(tmp_path: Path, text: str, code: int) -> None:
    (real, real_out, real_err), (fork, fork_out, fork_err) = both(script(tmp_path, text))
    assert (fork, fork_out) == (real, real_out)
    assert fork == code
    last = [said.strip().splitlines()[-1:] for said in (real_err, fork_err)]
    assert last[0] == last[1]


@pytest.mark.parametrize(
    "words",
    [["--list"], ["--help"], ["--version"], ["env.show", "dev", "--json"], ["env.check"], ["completion", "bash"],
     ["nonsense"], ["env.show", "--nonsense"], ["env.show", "nowhere"], ["--dry", "check"], ["--help", "deploy.dev"]],
    ids=" ".join,
)  # fmt: skip
def test_a_task_says_the_same_forked_as_started(words: list[str]) -> None:
    real, fork = both([sys.executable, PROGRAM, "--search-root", str(ROOT), *words])
    assert fork == real


@pytest.mark.parametrize("start", WAYS)
def test_a_process_that_has_ended_is_a_zombie_until_it_is_waited_for(tmp_path: Path, start: Start) -> None:
    with start(script(tmp_path, "import time; time.sleep(60)"), env=ENVIRONMENT, start_new_session=True) as process:
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        state, deadline = Path(f"/proc/{process.pid}/stat"), time.monotonic() + 60
        while ") Z " not in state.read_text():
            assert time.monotonic() < deadline
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(10) == process.poll() == -9
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


@pytest.mark.parametrize("start", WAYS)
def test_a_reader_that_leaves_ends_a_task_with_141(start: Start) -> None:
    argv = [sys.executable, PROGRAM, "--search-root", str(ROOT), "env.show", "dev", "--json"]
    with start(argv, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize("start", WAYS)
def test_a_terminal_is_seen_and_its_ctrl_c_arrives(tmp_path: Path, start: Start) -> None:
    argv = script(
        tmp_path,
        "import fcntl, sys, termios, time\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "print(sys.stdin.isatty(), sys.stdout.line_buffering)\n"
        # In pieces: Python handles a signal that comes just before a system call when the call has ended.
        "for _ in range(600): time.sleep(0.1)",
    )
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with start(argv, env=ENVIRONMENT, start_new_session=True, **streams) as process:
        os.close(theirs)
        said = b""
        while not said.endswith(b"\n"):
            said += os.read(ours, 100)
        assert said in (b"True True\r\n", b"True False\r\n")
        os.write(ours, b"\x03")
        assert process.wait(60) == -2
    os.close(ours)


def test_what_python_reads_at_its_start_and_other_programs_are_started(tmp_path: Path) -> None:
    argv = script(tmp_path, "import sys; sys.exit(sys.flags.utf8_mode)")
    assert forked(argv)
    assert not forked(argv, env={**ENVIRONMENT, "PYTHONUTF8": "1"})
    assert run(argv, env={**ENVIRONMENT, "PYTHONUTF8": "1"}).returncode == 1
    assert not forked([sys.executable, "-c", "pass"])
    assert not forked(["true"])
    with pytest.raises(FileNotFoundError):
        Started(argv, cwd=tmp_path / "nowhere")


def test_what_is_loaded_beforehand_has_read_nothing_that_a_call_may_set(tmp_path: Path) -> None:
    program = (
        "import os, sys, json\nread = set()\nclass Seen(dict):\n"
        "    def __getitem__(self, key):\n        read.add(os.fsdecode(key)); return dict.__getitem__(self, key)\n"
        "    def __contains__(self, key):\n        read.add(os.fsdecode(key)); return dict.__contains__(self, key)\n"
        "os.environ._data = Seen(os.environ._data)\nsys.path.insert(0, sys.argv[1])\n"
        "from tests.e2e.forkserver import preload\npreload()\njson.dump(sorted(read), sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(ROOT)], capture_output=True, text=True, check=True)
    names = [name for name in json.loads(done.stdout) if not AT_START.fullmatch(name)]
    assert [name for name in names if not name.startswith("SLIPWAY_")] == []  # by `tasks`, which is loaded again


def test_many_forks_leave_no_descriptor_and_no_process(tmp_path: Path) -> None:
    argv = script(tmp_path, "")
    run(argv, env=ENVIRONMENT)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert run(argv, env=ENVIRONMENT).returncode == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before
