"""The monitoring goes: alone, or with its stack."""

from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine, World
from support import container, profile, stack

from tasks.host.runner import Runner
from tasks.model.command import Command
from tasks.model.engine.facts import LabelledResource
from tasks.monitor import down

PARTS = (
    LabelledResource("container", "c1", "shop-monitoring-prometheus-1", {}),
    LabelledResource("volume", "v1", "shop-monitoring_prometheus", {}),
)


class Recorded(Runner):
    """A runner that keeps what it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def run(self, command: Command, explain: Any = None) -> None:
        self.lines.append(command.shell())


def project(*parts: LabelledResource) -> Any:
    class Engine(FakeEngine):
        def owned(self, label: str) -> tuple[LabelledResource, ...]:
            return parts if label == "slipway.monitors=shop" else ()

        def networks(self, project: str, *labels: str) -> tuple[Any, ...]:
            return ()

    engine = Engine(World([container("shop-monitoring-prometheus-1")]))
    return SimpleNamespace(stack=stack({}), profile=profile(), engine=engine, runner=Recorded())


def test_its_history_stays() -> None:
    shop = project(*PARTS)
    down.down(shop, volumes=False, yes=False)
    assert shop.runner.lines == ["docker compose --project-name shop-monitoring down --remove-orphans"]


def test_its_history_goes_when_asked_and_confirmed() -> None:
    shop = project(*PARTS)
    down.down(shop, volumes=True, yes=True)
    assert shop.runner.lines[1:] == ["docker volume rm shop-monitoring_prometheus"]


def test_of_what_does_not_run_it_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    shop = project(PARTS[1])
    down.down(shop, volumes=False, yes=False)

    assert shop.runner.lines == []
    assert "kept: shop-monitoring_prometheus (--volumes removes them)" in capsys.readouterr().err


def test_its_history_goes_also_after_its_containers() -> None:
    shop = project(PARTS[1])
    down.down(shop, volumes=True, yes=True)
    assert shop.runner.lines == ["docker volume rm shop-monitoring_prometheus"]
