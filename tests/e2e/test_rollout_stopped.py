"""Rollouts that are killed or stopped: nothing is lost, and the next deploy finishes or undoes what was left."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from .lean import (
    CRASHES,
    CRASHES_LATER,
    SICK_LATER,
    Lean,
    created,
    ready,
    reloaded,
    removed,
    started,
    stopped,
    stopping,
    struck,
    version,
    written,
)
from .support import docker
from .traffic import traffic

_MOMENTS = (created, started, ready, written, reloaded, stopping, stopped, removed)


@pytest.mark.parametrize("moment", _MOMENTS, ids=[one.__name__ for one in _MOMENTS])
def test_what_a_sigkill_leaves_is_finished_or_undone_by_the_next_deploy(
    lean: Lean, moment: Callable[[str, str], bool]
) -> None:
    wanted = version(lean)
    with traffic(lean.port, None, 60) as found:
        with struck(lean, ("deploy.dev",), moment, signal.SIGKILL) as task:
            assert task.wait(60) == -signal.SIGKILL
        result = lean.json("deploy.dev")
    assert found.failures == [], lean.complaints()
    finished(lean, wanted, result)


def test_a_sigkill_while_a_release_is_recorded_leaves_it_to_the_next_deploy(lean: Lean) -> None:
    wanted = version(lean)

    def recorded(action: str, name: str) -> bool:
        return action == "tag" and name.startswith(lean.project) and "release" in name

    with struck(lean, ("deploy.dev",), recorded, signal.SIGKILL, kind="image") as task:
        assert task.wait(60) == -signal.SIGKILL
    finished(lean, wanted, lean.json("deploy.dev"))


@pytest.mark.parametrize("reloads", [1, 2], ids=["in the watch period", "on the way back"])
def test_a_sigkill_before_a_release_is_proven_leaves_it_to_the_next_deploy(lean: Lean, reloads: int) -> None:
    lean.version("two", SICK_LATER)
    lean.write(deploy={"update_config": {"monitor": "8s"}})
    with traffic(lean.port, None, 60) as found:
        with struck(lean, ("deploy.dev",), reloaded, signal.SIGKILL, skip=reloads) as task:
            assert task.wait(60) == -signal.SIGKILL
        wanted = version(lean)
        result = lean.json("deploy.dev")
    assert found.failures == []
    finished(lean, wanted, result)


@pytest.mark.parametrize("moment", [ready, removed], ids=["ready", "removed"])
def test_a_roll_back_after_a_sigkill_goes_to_the_release_that_was_to_be_replaced(
    lean: Lean, moment: Callable[[str, str], bool]
) -> None:
    before = lean.running()
    version(lean)
    with traffic(lean.port, None, 60) as found:
        with struck(lean, ("deploy.dev",), moment, signal.SIGKILL) as task:
            assert task.wait(60) == -signal.SIGKILL
        lean.inv("deploy.rollback", "--env", "dev")
    assert found.failures == []
    assert lean.answer() == "one"
    assert lean.running() == before
    assert lean.orphans() == []


def test_a_sigkill_in_a_roll_back_leaves_it_to_the_next_deploy(lean: Lean) -> None:
    wanted = version(lean)
    lean.inv("deploy.dev")
    with struck(lean, ("deploy.rollback", "--env", "dev"), written, signal.SIGKILL) as task:
        assert task.wait(60) == -signal.SIGKILL
    finished(lean, wanted, lean.json("deploy.dev"))


def test_a_deploy_that_fails_after_one_that_was_killed_goes_back_to_the_release_before_both(lean: Lean) -> None:
    side = {"image": lean.image, "entrypoint": ["sleep", "infinity"], "stop_grace_period": "0s"}
    after = {"depends_on": {"app": {"condition": "service_healthy"}}}
    lean.write(more={"side": {**side, **after, "environment": {"A": "a"}}})
    lean.inv("deploy.dev")
    before = lean.running()
    front = docker("inspect", "--format", "{{.Id}}", f"{lean.project}-front-1")
    version(lean)
    lean.write(more={"side": {**side, **after, "environment": {"A": "b"}}, "new": side}, environment={"B": "c"})
    with struck(lean, ("deploy.dev",), removed, signal.SIGKILL) as task:
        assert task.wait(60) == -signal.SIGKILL
    assert lean.running() != before, "one service is new, the others are not"
    lean.version("three", CRASHES)
    with traffic(lean.port, None, 40) as found:
        result = lean.inv("deploy.dev", "--json", code=4)
    assert found.failures == []
    assert json.loads(result.stdout)["outcome"] == "rolled-back"
    assert lean.answer() == "one"
    assert lean.running() == before
    assert docker("inspect", "--format", "{{.Id}}", f"{lean.project}-front-1") == front, "what had not changed stays"
    said = docker("inspect", "--format", "{{.Config.Env}}", lean.hidden()[0], f"{lean.project}-side-1")
    assert "B=c" not in said
    assert "A=a" in said
    docker("rm", "-f", f"{lean.project}-side-1")


def finished(lean: Lean, wanted: str, result: dict[str, Any]) -> None:
    """Hold that a deploy after a killed one left what it should."""
    assert result["outcome"] in ("deployed", "unchanged")
    assert lean.answer() == wanted
    assert lean.orphans() == []
    assert len(lean.running()["app"]) == 1
    newest = lean.json("deploy.history")["releases"][0]
    assert newest["current"]
    assert newest["images"]["app"] == lean.running()["app"][0], "what serves is recorded"
    assert lean.json("deploy.dev")["outcome"] == "unchanged"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [started, reloaded], ids=["before the switch", "after it"])
def test_a_signal_ends_a_deploy_with_the_earlier_release_serving(
    lean: Lean, number: signal.Signals, moment: Callable[[str, str], bool]
) -> None:
    before = lean.running()
    version(lean)
    lean.write(deploy={"update_config": {"monitor": "3s"}})
    skip = int(moment is reloaded)  # before the switch the proxy is told of the new names
    with traffic(lean.port, None, 40) as found, struck(lean, ("deploy.dev", "--json"), moment, number, skip) as task:
        assert task.wait(60) == 128 + number
        assert task.stdout
        assert json.loads(task.stdout.read())["outcome"] == "rolled-back"
    assert found.failures == []
    assert lean.answer() == "one"
    assert lean.running() == before
    assert lean.json("deploy.history")["releases"][0]["outcome"] == "rolled-back"


def test_the_way_back_is_not_ended_by_a_signal(lean: Lean) -> None:
    before = lean.running()
    lean.version("two", CRASHES_LATER)
    lean.write(deploy={"update_config": {"monitor": "4s"}})
    with struck(lean, ("deploy.dev",), reloaded, signal.SIGTERM, skip=2) as task:
        assert task.wait(60) in (4, 128 + signal.SIGTERM)
    assert lean.running() == before
    assert lean.answer() == "one"
