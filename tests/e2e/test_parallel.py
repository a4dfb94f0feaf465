"""Two services that are rolled out in parallel behind one proxy: no request is lost, however it ends."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.life.load import Load, load

from . import lean as stack
from .lean import SICK, SICK_LATER, Lean, signalled
from .support import docker, free_port

_MONITOR = 4.0  # seconds
_SECOND = stack.FRONT.replace("listen 8080", "listen 8081").replace("http://app", "http://second")
_SECOND = _SECOND[_SECOND.index("    server {") :]
_FRONT = stack.FRONT.replace("upstreams/app.conf", "upstreams/*.conf")


class Two:
    """The lean stack with a second service, on a port of its own."""

    def __init__(self, lean: Lean) -> None:
        self.lean, self.port, self.now = lean, free_port(), "one"

    def write(self, second: bool = True, led: bool = True, monitor: float = _MONITOR) -> None:
        """Write the Compose file; ``second``: with the service, ``led``: and the proxy leads to it."""
        lean = self.lean
        monitored = {"update_config": {"monitor": f"{monitor:.0f}s"}}
        lean.write(front=_FRONT + _SECOND * led, interval=SICK, deploy=monitored)
        model = json.loads((lean.project_dir / "compose.yaml").read_text())
        if second:
            model["services"]["second"] = {**model["services"]["app"], "image": f"{lean.project}/second:one"}
            model["services"]["second"] |= {"entrypoint": ["sh", "/second.sh"], "expose": ["8000"]}
            del model["services"]["second"]["depends_on"]
        if led:
            model["services"]["front"]["ports"].append(f"127.0.0.1:{self.port}:8081")
        (lean.project_dir / "compose.yaml").write_text(json.dumps(model))

    def version(self, text: str, second: str = stack.GOOD) -> None:
        """Make sources of another version; ``second`` is how the second service starts."""
        self.lean.version(text)
        (self.lean.project_dir / "second.sh").write_text(second + "\n")

    @contextmanager
    def asked(self) -> Iterator[tuple[Load, Load]]:
        """Ask both services all through a block."""
        with load(self.lean.api, 30) as app, load(replace(self.lean.api, port=self.port), 30) as second:
            yield app, second

    def answers(self) -> tuple[str, str]:
        """Return what clients get of both."""
        ports, found = (self.lean.port, self.port), []
        for port in ports:
            self.lean.port = port
            found.append(self.lean.answer())
        self.lean.port = ports[0]
        return found[0], found[1]


@pytest.fixture(scope="module")
def shared_two(fresh_lean: Callable[[], Lean]) -> Two:
    two = Two(fresh_lean())
    dockerfile = two.lean.project_dir / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("migrate.sh /", "migrate.sh second.sh /"))
    two.version("one")
    for second, led in ((False, False), (True, False), (True, True)):  # the proxy gets the file of what is there
        two.write(second, led)
        two.lean.inv("deploy.dev")
    return two


@pytest.fixture
def two(shared_two: Two) -> Iterator[Two]:
    shared_two.now, other = shared_two.answers()
    assert shared_two.now == other
    shared_two.version(shared_two.now)
    shared_two.lean.inv("deploy.dev")
    yield shared_two
    assert shared_two.lean.orphans() == []


def seconds(result: dict[str, Any], name: str) -> float:
    """Return how long a step took."""
    return next(float(one["seconds"]) for one in result["steps"] if one["name"] == name)


def test_two_rollouts_behind_one_proxy_are_done_in_parallel_and_lose_no_request(two: Two) -> None:
    two.version("two")
    plan = two.lean.json("deploy.plan", "--env", "dev")["operations"]
    firsts = [one for one in plan if one["kind"] == "create"]
    with two.asked() as found:
        done = two.lean.inv("deploy.dev", "--json", "--log-format", "json")
    result, events = json.loads(done.stdout), [json.loads(line) for line in done.stderr.splitlines()]
    assert [one.failures for one in found] == [[], []], two.lean.proxy_errors()
    assert result["outcome"] == "deployed"
    assert two.answers() == ("two", "two")
    rollouts = [seconds(result, f"blue-green {name}") for name in ("app", "second")]
    assert min(rollouts) > _MONITOR
    watched = [one["event"] for one in events if one.get("name", "").startswith("watch ")]
    assert watched == ["step-started"] * 2 + ["step-finished"] * 2, "they took turns"
    assert len(firsts) in (0, 2), firsts  # with a build to do the plan tells of the build first
    assert two.lean.json("deploy.dev")["outcome"] == "unchanged"


def test_one_that_fails_takes_the_other_back_too(two: Two) -> None:
    before = two.lean.running()
    two.version("two", second=SICK_LATER)
    two.write(monitor=30)  # it ends as soon as the health check has failed twice
    with two.asked() as found:
        result = two.lean.inv("deploy.dev", "--json", code=4)
    two.write()
    assert [one.failures for one in found] == [[], []], two.lean.proxy_errors()
    assert "failed at blue-green second: " in result.stderr, result.stderr
    assert json.loads(result.stdout)["outcome"] == "rolled-back"
    assert two.lean.running() == before
    assert two.answers() == (two.now, two.now)


def both(action: str, name: str) -> bool:
    """Whether the proxy is told of new containers: each time that, of whichever service."""
    return action == "kill" and "-front-" in name


def test_a_signal_ends_both_with_the_earlier_release_serving(two: Two) -> None:
    before = two.lean.running()
    two.version("stopped")
    two.write(monitor=30)  # the signal ends it
    with two.asked() as found, signalled(two.lean, ("deploy.dev", "--json"), both, signal.SIGTERM, skip=3) as task:
        assert task.wait(180) == 128 + signal.SIGTERM
        assert task.stdout
        assert json.loads(task.stdout.read())["outcome"] == "rolled-back"
    two.write()
    assert [one.failures for one in found] == [[], []], two.lean.proxy_errors()
    assert two.lean.running() == before
    assert two.answers() == (two.now, two.now)


def test_what_a_sigkill_leaves_of_both_is_finished_by_the_next_deploy(two: Two) -> None:
    two.version("three")
    with two.asked() as found:
        with signalled(two.lean, ("deploy.dev",), both, signal.SIGKILL, skip=3) as task:
            assert task.wait(180) == -signal.SIGKILL
        result = two.lean.json("deploy.dev")
    assert [one.failures for one in found] == [[], []], two.lean.proxy_errors()
    assert result["outcome"] in ("deployed", "unchanged")  # it may have recorded the release before it was killed
    assert two.answers() == ("three", "three")
    assert {name: len(images) for name, images in two.lean.running().items()} == {"app": 1, "front": 1, "second": 1}


def test_a_lock_that_is_broken_ends_both_where_they_are(two: Two) -> None:
    two.version("four")
    two.write(monitor=12)

    def broken(action: str, name: str) -> bool:
        if not both(action, name):
            return False
        lock = docker("ps", "-aq", "--filter", f"label=slipway.lock={two.lean.project}").split()
        if lock:  # a later event finds none
            docker("rm", "-f", *lock)
        return True

    with two.asked() as found:
        with signalled(two.lean, ("deploy.dev",), broken, signal.SIGCONT, skip=2) as task:
            assert task.wait(180) not in (0, None)
        two.lean.inv("deploy.dev")
    assert [one.failures for one in found] == [[], []], two.lean.proxy_errors()
    assert two.answers() == ("four", "four")
