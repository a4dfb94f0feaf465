"""Rollouts that are killed or stopped: nothing is lost, and the next deploy finishes or undoes what was left."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.life.load import load

from .lean import (
    CRASHES,
    CRASHES_LATER,
    SICK,
    SICK_LATER,
    Lean,
    ready,
    reloaded,
    removed,
    signalled,
    started,
    stopped,
    version,
    written,
)
from .support import docker

# The proxy knows nothing of the new container, may know it, knows it, and knows it alone. A process that is killed at
# any other moment, more than once, and in any stack: tests/model.
_MOMENTS = (started, written, reloaded, stopped)


@pytest.mark.parametrize("moment", _MOMENTS, ids=[function.__name__ for function in _MOMENTS])
def test_what_a_sigkill_leaves_is_finished_or_undone_by_the_next_deploy(
    lean: Lean, moment: Callable[[str, str], bool]
) -> None:
    wanted = version(lean)
    with load(lean.api, 60) as requests:
        with signalled(lean, ("deploy.dev",), moment, signal.SIGKILL) as task:
            assert task.wait(180) == -signal.SIGKILL
        result = lean.json("deploy.dev")
    assert requests.failures == [], lean.proxy_errors()
    assert_finished(lean, wanted, result)


def test_a_sigkill_while_a_release_is_recorded_leaves_it_to_the_next_deploy(lean: Lean) -> None:
    wanted = version(lean)

    def recorded(action: str, name: str) -> bool:
        return action == "tag" and name.startswith(lean.project) and "release" in name

    with signalled(lean, ("deploy.dev",), recorded, signal.SIGKILL, kind="image") as task:
        assert task.wait(180) == -signal.SIGKILL
    assert_finished(lean, wanted, lean.json("deploy.dev"))


@pytest.mark.parametrize("reloads", [1, 2], ids=["in the watch period", "on the way back"])
def test_a_sigkill_before_a_release_is_proven_leaves_it_to_the_next_deploy(lean: Lean, reloads: int) -> None:
    lean.version("two", SICK_LATER)
    lean.write(deploy={"update_config": {"monitor": "60s"}}, interval=SICK)
    with load(lean.api, 60) as requests:
        with signalled(lean, ("deploy.dev",), reloaded, signal.SIGKILL, skip=reloads) as task:
            assert task.wait(180) == -signal.SIGKILL
        wanted = version(lean)
        lean.write()
        result = lean.json("deploy.dev")
    assert requests.failures == [], lean.proxy_errors()
    assert_finished(lean, wanted, result)


@pytest.mark.parametrize("moment", [ready, removed], ids=["ready", "removed"])
def test_a_roll_back_after_a_sigkill_goes_to_the_release_that_was_to_be_replaced(
    lean: Lean, moment: Callable[[str, str], bool]
) -> None:
    before = lean.running()
    version(lean)
    with load(lean.api, 60) as requests:
        with signalled(lean, ("deploy.dev",), moment, signal.SIGKILL) as task:
            assert task.wait(180) == -signal.SIGKILL
        lean.inv("deploy.rollback", "--env", "dev")
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == lean.now
    assert lean.running() == before
    assert lean.orphans() == []


def test_a_sigkill_in_a_roll_back_leaves_it_to_the_next_deploy(lean: Lean) -> None:
    wanted = version(lean)
    lean.inv("deploy.dev")
    with signalled(lean, ("deploy.rollback", "--env", "dev"), written, signal.SIGKILL) as task:
        assert task.wait(180) in (0, -signal.SIGKILL)  # nothing holds a roll back until it is killed
    assert_finished(lean, wanted, lean.json("deploy.dev"))


def test_a_deploy_that_fails_after_one_that_was_killed_goes_back_to_the_release_before_both(lean: Lean) -> None:
    side = {"image": lean.image, "entrypoint": ["sleep", "infinity"], "stop_grace_period": "0s"}
    after = {"depends_on": {"app": {"condition": "service_healthy"}}}
    held = {**side, "x-slipway": {"settle": "30s"}}  # until the deploy is killed
    lean.write(more={"side": {**side, **after, "environment": {"A": "a"}}})
    lean.inv("deploy.dev")
    before = lean.running()
    front = docker("inspect", "--format", "{{.Id}}", f"{lean.project}-front-1")
    version(lean)
    lean.write(more={"side": {**side, **after, "environment": {"A": "b"}}, "new": held}, environment={"B": "c"})
    with signalled(lean, ("deploy.dev",), removed, signal.SIGKILL) as task:
        assert task.wait(180) == -signal.SIGKILL
    assert lean.running() != before, "one service is new, the others are not"
    lean.version("three", CRASHES)
    with load(lean.api, 40) as requests:
        result = lean.inv("deploy.dev", "--json", code=4)
    assert requests.failures == [], lean.proxy_errors()
    assert json.loads(result.stdout)["outcome"] == "rolled-back"
    assert lean.answer() == lean.now
    assert lean.running() == before
    assert docker("inspect", "--format", "{{.Id}}", f"{lean.project}-front-1") == front, "what had not changed stays"
    said = docker("inspect", "--format", "{{.Config.Env}}", lean.upstreams()[0], f"{lean.project}-side-1")
    assert "B=c" not in said
    assert "A=a" in said
    docker("rm", "-f", f"{lean.project}-side-1")


def assert_finished(lean: Lean, wanted: str, result: dict[str, Any]) -> None:
    """Assert that a deploy after a killed one has left what it should."""
    assert result["outcome"] in ("deployed", "unchanged")
    assert lean.answer() == wanted
    assert lean.orphans() == []
    assert len(lean.running()["app"]) == 1
    newest = lean.json("deploy.history")["releases"][0]
    assert newest["current"]
    assert newest["images"]["app"] == lean.running()["app"][0], "what serves is recorded"
    assert lean.json("deploy.dev")["outcome"] == "unchanged"
    lean.settled()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, started), (signal.SIGTERM, reloaded)],
    ids=["before the switch", "after it"],
)
def test_a_signal_ends_a_deploy_with_the_earlier_release_serving(
    lean: Lean, number: signal.Signals, moment: Callable[[str, str], bool]
) -> None:
    before = lean.running()
    version(lean)
    lean.write(deploy={"update_config": {"monitor": "30s"}})
    skip = int(moment is reloaded)  # before the switch the proxy is told of the new names
    with load(lean.api, 40) as requests, signalled(lean, ("deploy.dev", "--json"), moment, number, skip) as task:
        assert task.wait(180) == 128 + number
        assert task.stdout
        assert json.loads(task.stdout.read())["outcome"] == "rolled-back"
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == lean.now
    assert lean.running() == before
    assert lean.json("deploy.history")["releases"][0]["outcome"] == "rolled-back"


def test_the_way_back_is_not_ended_by_a_signal(lean: Lean) -> None:
    before = lean.running()
    lean.version("two", CRASHES_LATER)
    lean.write(deploy={"update_config": {"monitor": "60s"}})
    with load(lean.api, 20), signalled(lean, ("deploy.dev",), reloaded, signal.SIGTERM, skip=2) as task:
        assert task.wait(180) in (4, 128 + signal.SIGTERM)
    assert lean.running() == before
    assert lean.answer() == lean.now
