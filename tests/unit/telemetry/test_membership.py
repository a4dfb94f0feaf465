"""The networks of a stack that its monitoring is in."""

from typing import Any

import pytest
from fakes import FakeEngine, FakeResources, World
from support import container

from tasks.model.engine.facts import Network
from tasks.telemetry import membership

WATCHES = "slipway.monitors=shop"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(membership, "Resources", FakeResources)
    boxes = [
        container("shop-web-1", networks=("shop_front",)),
        container("shop-monitoring-prometheus-1", service="prometheus", networks=("m", "shop_front")),
        container("shop-monitoring-jaeger-1", service="jaeger", networks=("m",)),
        container("other-monitoring-jaeger-1", service="jaeger", networks=("shop_front",)),
    ]
    world = World(boxes)
    world.labels = {
        "shop-monitoring-prometheus-1": (WATCHES, "slipway.joins=shop_front shop_back"),
        "shop-monitoring-jaeger-1": (WATCHES, "slipway.joins=shop_gone"),
        "other-monitoring-jaeger-1": ("slipway.monitors=other", "slipway.joins=other_front"),
    }
    world.networks = {name: Network(name) for name in ("m", "shop_front", "shop_back")}
    return FakeEngine(world)


def test_what_monitors_the_stack_leaves_a_network_and_nobody_else_does(engine: Any) -> None:
    assert list(membership.leaving(engine, "shop", "shop_front")) == [
        ("network", "disconnect", "--force", "shop_front", "shop-monitoring-prometheus-1")
    ]


def test_it_joins_the_networks_that_exist_again_under_the_name_of_its_service(engine: Any) -> None:
    assert list(membership.joining(engine, "shop")) == [
        ("network", "connect", "--alias=prometheus", "shop_back", "shop-monitoring-prometheus-1")
    ]


def test_what_keeps_connections_open_is_started_again(engine: Any) -> None:
    """They hang when their network is gone: nothing closes them."""
    engine.world.change(["shop-monitoring-jaeger-1"], service="postgres-exporter")
    engine.world.labels["shop-monitoring-jaeger-1"] = (WATCHES, "slipway.joins=shop_back")
    assert ("restart", "shop-monitoring-jaeger-1") in list(membership.joining(engine, "shop"))


def test_a_stack_that_nothing_monitors_has_nothing_to_move(engine: Any) -> None:
    assert list(membership.leaving(engine, "lone", "lone_net")) == list(membership.joining(engine, "lone")) == []
