"""One cluster for all processes of a session: the first that wants it makes it, and it is gone with the last.

A control plane and its node take a tenth of two cores. The supervisor reads a pipe that has a name, and each process
that uses the cluster holds its other end: the kernel lets go of it when they are killed.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.support import until

from . import components
from .cluster import ROOT, Cluster
from .layout import GRACE, Layout
from .supervisor import READY

_STATE, _LOCK = "cluster.json", "cluster.lock"
_MADE: list["subprocess.Popen[str]"] = []  # by this process; a later one may end what is made here


@contextlib.contextmanager
def shared(directory: Path) -> Iterator[Cluster]:
    """Yield the cluster of all processes that name the same ``directory``; it has one node, which nobody kills."""
    with _alone(directory):
        state, held = _joined(directory) or _made(directory)
        _note(directory, {**state, "users": state["users"] + 1})
    layout = Layout(Path(state["directory"]), components.KUBERNETES.directory(), state["number"])
    try:
        yield Cluster(layout)
    finally:
        with _alone(directory):
            state = _noted(directory)
            _note(directory, {**state, "users": state["users"] - 1})
            os.close(held)
            if state["users"] == 1:
                (directory / _STATE).unlink()
                until(lambda: not layout.directory.exists(), f"{layout.directory} is removed", 120)
                assert not Path("/sys/class/net", layout.link).exists()


def _joined(directory: Path) -> tuple[dict[str, Any], int] | None:
    """Return the state of the cluster that others use, and an end of its pipe; None where there is none."""
    with contextlib.suppress(OSError):  # it is not noted, or nobody reads: those who used it were killed
        state = _noted(directory)
        return state, os.open(state["pipe"], os.O_WRONLY | os.O_NONBLOCK)
    return None


def _made(directory: Path) -> tuple[dict[str, Any], int]:
    """Make a cluster; return its state, and an end of its pipe."""
    pipe = directory / f"cluster-{os.getpid()}.pipe"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # else it would wait for the other end
    held = os.open(pipe, os.O_WRONLY)
    os.set_blocking(reading, True)
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.supervisor", "1", str(GRACE)],
        cwd=ROOT, stdin=reading, stdout=subprocess.PIPE, text=True,
        start_new_session=True,  # Ctrl-C is for us
    )  # fmt: skip
    os.close(reading)
    _MADE.append(supervisor)
    assert supervisor.stdout
    with supervisor.stdout:
        word, *rest = supervisor.stdout.readline().split() or [""]
    assert word == READY, "the cluster did not start: its supervisor has said why"
    return {"pipe": str(pipe), "directory": rest[0], "number": int(rest[1]), "users": 0}, held


def _noted(directory: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((directory / _STATE).read_text())
    return state


def _note(directory: Path, state: dict[str, Any]) -> None:
    (directory / _STATE).write_text(json.dumps(state))


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time into a block; the kernel opens the lock when its holder ends."""
    with (directory / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
