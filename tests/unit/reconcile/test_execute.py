"""An engine that does not come to an end with a command: the deploy does."""

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine, World
from support import container, desired, profile

from tasks.host.runner import Runner
from tasks.model.compose import ANSWER_SECONDS, PULL_SECONDS, Source, time_limit
from tasks.model.errors import SlipwayError
from tasks.reconcile.execute import Execution
from tasks.reconcile.parallel import Tools
from tasks.reconcile.plan import operation as operation_plan
from tasks.reconcile.plan.observed import State
from tasks.reconcile.plan.operation import Operation, Plan


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that never ends; return the file with its arguments."""
    asked = tmp_path / "asked"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {asked}\nexec sleep 60\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return asked


@pytest.mark.parametrize(
    ("operation", "state", "words"),
    [
        (Operation(operation_plan.CREATE, "web", services=("web",), counts={"web": 1}), "running", "docker compose"),
        (Operation(operation_plan.RECREATE, "web", services=("web",), counts={"web": 1}), "running", "docker compose"),
        (Operation(operation_plan.UP, "web", services=("web",), counts={"web": 1}), "running", "docker compose"),
        (Operation(operation_plan.START, "web", services=("web",)), "exited", "docker start shop-web-1"),
        (Operation(operation_plan.STOP, "web", names=("shop-web-1",)), "running", "docker stop shop-web-1"),
        (Operation(operation_plan.RESTART, "web", names=("shop-web-1",)), "running", "docker restart shop-web-1"),
        (Operation(operation_plan.REMOVE, "web", names=("shop-web-1",)), "exited", "docker rm shop-web-1"),
        (
            Operation(operation_plan.REPLACE_NETWORK, "net", names=("shop-web-1",)),
            "running",
            "docker network disconnect",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Operation) else "",
)
def test_a_command_that_the_engine_does_not_come_to_an_end_with_ends_the_deploy(
    hanging: Path, operation: Operation, state: str, words: str
) -> None:
    project: Any = SimpleNamespace(
        profile=profile(HEALTH_TIMEOUT="1s"),
        cwd=str(hanging.parent),
        engine=FakeEngine(World([container(state=state, grace=0.0)])),
        runner=Runner(),
        stack=SimpleNamespace(project="shop"),
    )
    tools = Tools(verify=lambda: None, probe=lambda *_: None, back_up=lambda _: None, answer=0.4)
    began = time.monotonic()

    with pytest.raises(SlipwayError) as caught:
        Execution(project, desired({"web": {"image": "web"}}), tools, State()).carry_out(
            Plan((), (replace(operation, group="step"),))
        )

    assert time.monotonic() - began < 20
    assert caught.value.message.startswith(words)
    assert caught.value.message.endswith(
        # Compose waits for the dependencies of what it starts, too.
        "not done within 1.4 s" if operation.kind == operation_plan.UP else "not done within 0.4 s"
    )
    assert "does the engine still answer" in caught.value.hint
    assert hanging.read_text()
    assert tools.steps[0]["outcome"] == "failed"


def test_a_command_has_the_time_that_its_containers_images_and_dependencies_take() -> None:
    assert time_limit([]) == ANSWER_SECONDS >= 120
    assert time_limit([10, 300]) == ANSWER_SECONDS + 300
    assert time_limit([10, -1]) is None, "who may take for ever to end is waited for"
    assert time_limit([], pulls=True) == ANSWER_SECONDS + PULL_SECONDS
    assert time_limit([5], waits=60) == ANSWER_SECONDS + 65


def test_every_docker_command_of_a_deploy_has_a_limit() -> None:
    source = Source(profile(), "/srv")
    assert source.docker("start", "a").timeout == ANSWER_SECONDS
    assert source.docker("stop", "a", seconds=time_limit([600])).timeout == ANSWER_SECONDS + 600
    assert source.compose("create", seconds=7).timeout == 7
    assert source.compose("pull").timeout is None, "a registry may be slow"


def test_a_backup_is_made_of_the_database_that_the_operation_names(tmp_path: Path) -> None:
    saved: list[str] = []
    project: Any = SimpleNamespace(
        profile=profile(), cwd=str(tmp_path), engine=FakeEngine(World([])), runner=Runner(), stack=None
    )
    tools = Tools(verify=lambda: None, probe=lambda *_: None, back_up=saved.append)
    backups = [Operation(operation_plan.BACKUP, name, services=(name,)) for name in ("store", "queue")]
    execution = Execution(project, desired({"store": {"image": "a"}, "queue": {"image": "b"}}), tools, State())
    for backup in backups:
        execution._carry_out_one(project, backup)
    assert saved == ["store", "queue"]


def test_smoke_tests_are_repeated_for_a_while_only_where_a_service_was_told_to_read_its_files(tmp_path: Path) -> None:
    asked: list[float] = []
    project: Any = SimpleNamespace(
        profile=profile(), cwd=str(tmp_path), engine=FakeEngine(World([])), runner=Runner(), stack=None
    )
    tools = Tools(
        verify=lambda: None, probe=lambda _project, _names, patience: asked.append(patience), back_up=lambda _: None
    )
    execution = Execution(project, desired({"web": {"image": "a"}}), tools, State())
    for kind in (operation_plan.SMOKE, operation_plan.RELOAD, operation_plan.SMOKE):
        execution._carry_out_one(project, Operation(kind, "web", services=("web",)))
    assert asked[0] == 0
    assert asked[1] >= 5


@pytest.mark.parametrize(
    ("group", "patience"),
    [("up web", 5.0), ("scale web", 5.0), ("blue-green web", 0.0)],
    ids=["made anew", "more of it", "in a rollout the proxy is told beforehand"],
)
def test_smoke_tests_are_repeated_for_a_while_where_a_proxy_has_to_look_up_a_new_address(
    group: str, patience: float, tmp_path: Path
) -> None:
    asked: list[float] = []
    project: Any = SimpleNamespace(
        profile=profile(), cwd=str(tmp_path), engine=FakeEngine(World([])), runner=Runner(), stack=None
    )
    tools = Tools(
        verify=lambda: None, probe=lambda _project, _names, seconds: asked.append(seconds), back_up=lambda _: None
    )
    web = {"image": "a", "x-slipway": {"rollout": "blue-green"}}
    execution = Execution(project, desired({"web": web}), tools, State())
    execution._work[operation_plan.START] = lambda _: None
    for kind in (operation_plan.START, operation_plan.SMOKE):
        execution._carry_out_one(project, Operation(kind, "web", services=("web",), group=group))
    assert asked == [patience]
