"""What of a stack is watched, and by which networks."""

from typing import Any

from tasks.monitor.plan.targets import Watched, joined, targets, watched
from tasks.telemetry.plan.servers import with_known_servers

NETWORKS = {"front": {"name": "shop_front"}, "back": {"name": "shop_back"}}
APP: dict[str, Any] = {
    "image": "shop/app",
    "networks": {"front": None, "back": None},
    "deploy": {"replicas": 2},
    "x-slipway": {"metrics": {"port": 9464}},
}


def seen(**services: Any) -> Watched:
    model = {"name": "shop", "services": services, "networks": NETWORKS}
    return watched(with_known_servers(model), model)


def test_a_service_with_metrics_has_its_port_its_path_and_a_network() -> None:
    assert targets(seen(app=APP, web={"image": "x", "networks": {"front": None}})) == {
        "project": "shop",
        "services": {
            "app": {"replicas": 2, "port": 9464, "path": "/metrics", "network": "shop_front"},
            "web": {"replicas": 1},
        },
    }


def test_what_is_meant_to_end_is_not_counted() -> None:
    shop = seen(
        app={**APP, "depends_on": {"prepare": {"condition": "service_completed_successfully"}}},
        prepare={"image": "x"},
        migrate={"image": "x", "x-slipway": {"job": "migrate"}},
        idle={"image": "x", "deploy": {"replicas": 0}},
        load={"image": "x", "x-slipway": {"role": "load-generator", "load": {"targets": ["GET http://app/"]}}},
    )
    assert targets(shop)["services"].keys() == {"app"}  # type: ignore[attr-defined]


def test_a_service_is_reached_by_the_network_that_most_services_have() -> None:
    web = {"image": "x", "networks": {"front": None}}
    data = {"image": "x", "networks": {"back": None}}

    assert seen(app=APP, web=web).networks["app"] == "shop_front"
    assert seen(app=APP, one=data, two=data).networks["app"] == "shop_back"


def test_few_networks_are_joined_and_only_by_what_needs_them() -> None:
    database = {"image": "postgres", "networks": {"back": None}, "environment": {"POSTGRES_DB": "shop"}}
    proxy = {
        "image": "x",
        "networks": {"front": None},
        "ports": [{"target": 8443, "published": "443", "protocol": "tcp"}],
    }
    app = {**APP, "environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}}

    assert joined(seen(app=app, db=database, proxy=proxy)) == {
        "prometheus": ("shop_front",),
        "jaeger": ("shop_front",),
        "blackbox-exporter": ("shop_front",),
        "postgres-exporter": ("shop_back",),
    }


def test_jaeger_is_where_a_service_may_send_its_traces_one_day() -> None:
    quiet = {"image": "x", "networks": {"back": None}, "environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}}
    sends = {**quiet, "environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}}

    assert joined(seen(app=quiet)) == {}
    assert joined(seen(app=sends)) == {"jaeger": ("shop_back",)}
    assert joined(seen(app=APP)).keys() == {"prometheus", "jaeger"}


def test_metrics_out_of_reach_are_told() -> None:
    shop = seen(app={"image": "x", "network_mode": "host", "x-slipway": {"metrics": {"port": 9464}}})

    assert shop.notes == ("app: its metrics are out of reach: it has no network of its own (network_mode: host)",)
    assert targets(shop)["services"] == {"app": {"replicas": 1}}
