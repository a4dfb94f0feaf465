"""What happens to a deploy from outside: its client is killed, the API server is away, a node is drained."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.kube.plan import labels
from tests.e2e.support import until
from tests.life.stack import Stack
from tests.life.week import DEPLOY, Act, Done, as_done, started

from .cluster import Namespace
from .layout import Layout
from .week_stack import ClusterStack

_LIMIT = 300.0  # seconds that a deploy may take
Running = subprocess.Popen[str]


def killed_at(
    name: str, after: float = 0.0, alone: bool = False, words: Sequence[str] = DEPLOY, pending: bool = False
) -> Act:
    """Return an act: a task, a deploy, that gets SIGKILL some seconds after the beginning of a step of its report.

    So does what it has started, as when its machine loses power; not so with ``alone``. ``pending``: not before helm
    has noted that it works on the release.
    """

    def act(stack: Stack) -> Done:
        def kill(running: Running) -> None:
            if pending:
                until(lambda: _pending(stack), "helm has begun")
            time.sleep(after)
            if alone:
                os.kill(running.pid, signal.SIGKILL)
            else:
                kill_all(running.pid)

        return _run(stack, words, name, kill)

    return act


def _pending(stack: Stack) -> bool:
    """Whether helm has begun to change the release, and has not ended; what was killed before stays as it was left."""
    kept = [raw["metadata"]["labels"] for raw in _place(stack).get("secrets", owner="helm")]
    newest = max(kept, key=lambda labels: int(labels["version"]), default={})
    return newest.get("status") == "pending-upgrade"


def kill_all(pid: int) -> None:
    """Kill a process and all that it has started, before any of them can do something about it."""
    os.kill(pid, signal.SIGSTOP)  # it sees nothing of the end of the others
    for each in (*_descendants(pid), pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            # The name of the program is in parentheses, and may have some itself.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, new = [], [pid]
    while new:
        new = [child for each in new for child in children.get(each, ())]
        found += new
    return found


def without_api(name: str, seconds: float) -> Act:
    """Return an act: a deploy; once helm works in a step of it, the API server is away for ``seconds``."""

    def act(stack: Stack) -> Done:
        layout = _place(stack).cluster.layout

        def freeze(_: Running) -> None:
            until(lambda: _pending(stack), "helm has begun")
            with frozen(layout):
                time.sleep(seconds)

        return _run(stack, DEPLOY, name, freeze)

    return act


def drained(stack: Stack) -> Done:
    """Drain the node that the database is not on, wait until all Pods are ready elsewhere, and let it be used again."""
    if fault := _drain(stack):
        return Done(1, {}, fault)
    place = _place(stack)
    place.rolled_out(*(f"deployment/{each['metadata']['name']}" for each in place.get("deployments")))
    return Done(0, {}, "")


def drained_at(name: str, after: float = 0.0) -> Act:
    """Return an act: a deploy in which that node is drained, some seconds after the beginning of a step."""

    def act(stack: Stack) -> Done:
        faults: list[str] = []

        def drain(_: Running) -> None:
            time.sleep(after)
            faults.append(_drain(stack))

        done = _run(stack, DEPLOY, name, drain)
        return Done(1, {}, faults[0]) if faults and faults[0] else done

    return act


def _drain(stack: Stack) -> str:
    """Drain the node that the database is not on, and let it be used again; returns what went wrong, or ""."""
    place = _place(stack)
    kept = place.get("pods", **{labels.SERVICE: stack.database})[0]["spec"]["nodeName"]
    (node,) = (each for each in place.cluster.nodes if each != kept)
    words = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={_LIMIT:.0f}s")
    result = place.cluster.kubectl(*words, check=False)
    place.cluster.kubectl("uncordon", node)
    return f"drain {node}: {result.stderr.strip()[-200:]}" if result.returncode else ""


def _place(stack: Stack) -> Namespace:
    assert isinstance(stack, ClusterStack)
    return stack.namespace


@contextmanager
def frozen(layout: Layout) -> Iterator[None]:
    """Let the API server do nothing in a block; connections to it stay open."""
    pid = _api_server(layout)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _api_server(layout: Layout) -> int:
    """Return the id of the API server's process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            words = path.read_text("utf-8", "replace").split("\0")
            if words[1:2] == ["kube-apiserver"] and any(str(layout.pki) in word for word in words):
                return int(path.parent.name)
    raise AssertionError("the API server does not run")


def _run(stack: Stack, words: Sequence[str], name: str, act: Callable[[Running], None]) -> Done:
    """Run a task, and do something when a step of it begins; it is a fault when none begins."""
    running = started(stack, ("--log-format=json", *words))
    said: list[str] = []
    begun = threading.Event()

    def listen() -> None:
        for line in running.stderr or ():
            said.append(line)
            if not begun.is_set() and _begins(line, name):
                begun.set()
                acting.start()

    acting = threading.Thread(target=lambda: act(running), daemon=True)
    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        out = running.stdout.read() if running.stdout else ""
        running.wait(_LIMIT)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        listening.join()
        if begun.is_set():
            acting.join()
        for pipe in (running.stdout, running.stderr):
            if pipe:
                pipe.close()
    if not begun.is_set():
        return Done(-1, {}, f"exit {running.returncode} without a step {name}: {_last(said)}")
    return as_done(running.returncode, out, _last(said))


def _begins(line: str, name: str) -> bool:
    """Whether a step begins; a build is told of in the words of the builder."""
    if name == "build" and line.startswith("building with"):
        return True
    event = _event(line)
    return event.get("event") == "step-started" and event.get("name") == name


def _event(line: str) -> dict[str, object]:
    with suppress(ValueError):
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    return {}


def _last(said: list[str]) -> str:
    """Return the last lines for people, without hints."""
    texts = [
        str(_event(line).get("text", "")) or line
        for line in said
        if not line.startswith("{") or _event(line).get("text")
    ]
    return "\n".join(texts)
