"""How long the end of a failed run of containers waits: only for what the engine may still be creating."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support import profile

from tasks.host.project import Project
from tasks.host.reports import Run
from tasks.host.runner import Runner
from tasks.model.command import Command
from tasks.model.errors import SlipwayError, StoppedError
from tasks.sandbox import container
from tasks.sandbox.plan.container import Box


class Engine:
    """An engine that knows no container, and may fail when it is asked for one."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.removed: list[str] = []

    def inspect(self, name: str) -> None:
        if name == self.failing:
            raise SlipwayError("the engine is gone")

    def remove_container(self, name: str) -> None:
        self.removed.append(name)


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripts: dict[str, str], failing: str = "") -> list[float]:
    """Run commands instead of containers; returns what was waited for at the end, beside the polling."""
    waited: list[float] = []

    def slept(seconds: float) -> None:
        if seconds != container.POLL_INTERVAL:
            waited.append(seconds)
        time.sleep(container.POLL_INTERVAL)

    boxes = [Box(name, "image", name, "", str(tmp_path / name), 2**30) for name in scripts]
    for box in boxes:
        Path(box.reports).mkdir()
    commands: Any = SimpleNamespace(
        memory_limit=container.container_plan.memory_limit,
        command=lambda box, *_: Command(("sh", "-c", scripts[box.name])),
    )
    monkeypatch.setattr(container, "container_plan", commands)
    monkeypatch.setattr(container, "time", SimpleNamespace(sleep=slept, monotonic=time.monotonic))
    engine = Engine(failing)
    project: Any = SimpleNamespace(
        profile=profile(), engine=engine, runner=Runner(), stack=SimpleNamespace(project="shop")
    )
    try:
        container.run_all(cast(Project, project), Run("1", tmp_path), boxes, lambda _: "")
    finally:
        assert set(scripts) <= set(engine.removed)
        (tmp_path / "waited").write_text(" ".join(str(seconds) for seconds in waited))
    return waited


def waited(tmp_path: Path) -> str:
    return (tmp_path / "waited").read_text()


def test_containers_that_end_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, {"one": "exit 1", "two": "exit 0"}) == []


def test_a_failure_after_the_last_command_has_ended_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SlipwayError, match="the engine is gone"):
        run(tmp_path, monkeypatch, {"one": "exit 0"}, failing="one")
    assert waited(tmp_path) == ""


def test_a_failure_while_another_command_runs_waits_for_what_it_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with pytest.raises(SlipwayError, match="the engine is gone"):
        run(tmp_path, monkeypatch, {"one": "exit 0", "two": "exec sleep 60"}, failing="one")
    assert waited(tmp_path) == "1.0"


def test_a_run_that_is_stopped_waits_for_what_its_commands_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoppedError):
        run(tmp_path, monkeypatch, {"one": f"sleep 0.3; kill -{signal.SIGTERM.value} {os.getpid()}; exec sleep 60"})
    assert waited(tmp_path) == "1.0"
