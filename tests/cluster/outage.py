"""What happens to a deploy from outside: its client is killed, or the API server is away."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.life.stack import Stack
from tests.life.week import DEPLOY, Act, Done, as_done, started

from .layout import Layout

_LIMIT = 300.0  # seconds that a deploy may take


def killed_at(name: str, after: float = 0.0, alone: bool = False) -> Act:
    """Return an act: a deploy that gets SIGKILL some seconds after the beginning of a step of its report.

    ``alone``: what it has started is not killed with it.
    """

    def kill(running: "subprocess.Popen[str]") -> None:
        time.sleep(after)
        (os.kill if alone else os.killpg)(running.pid, signal.SIGKILL)

    return lambda stack: _deploy(stack, name, kill)


def without_api(layout: Layout, name: str, seconds: float) -> Act:
    """Return an act: a deploy in a step of which the API server does not answer for some seconds."""

    def freeze(_: "subprocess.Popen[str]") -> None:
        with frozen(layout):
            time.sleep(seconds)

    return lambda stack: _deploy(stack, name, freeze)


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


def _deploy(stack: Stack, name: str, act: Callable[["subprocess.Popen[str]"], None]) -> Done:
    """Deploy, and do something when a step begins; asserts that it has begun."""
    running = started(stack, ("--log-format=json", *DEPLOY))
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
    if not begun.is_set():
        return Done(running.returncode, {}, f"no step {name}: {_last(said)}")
    return as_done(running.returncode, out, _last(said))


def _begins(line: str, name: str) -> bool:
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
