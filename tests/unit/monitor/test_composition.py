"""The Compose model of the monitoring."""

from typing import Any

import pytest
from support import profile

from tasks.model.errors import InputError, RefusedError
from tasks.monitor.plan.composition import SecretVolume, composition, engine_socket, variables
from tasks.monitor.plan.exporters import rounds
from tasks.monitor.plan.targets import Watched, watched
from tasks.telemetry.plan.servers import with_known_servers

FILE: dict[str, Any] = {
    "name": "shop-monitoring",
    "services": {
        "prometheus": {
            "image": "p",
            "networks": {"monitoring": None},
            "volumes": [{"type": "volume", "source": "prometheus", "target": "/prometheus"}],
        },
        "alertmanager": {
            "image": "a",
            "secrets": [{"source": "alert_webhook", "target": "/run/secrets/alert_webhook"}],
        },
        "redis-exporter": {
            "image": "r",
            "profiles": ["redis"],
            "environment": {"REDIS_ADDR": "redis://one:6379"},
            "networks": {"monitoring": None},
        },
        "postgres-exporter": {"image": "x", "profiles": ["postgres"]},
        "grafana": {"image": "g", "profiles": ["grafana"]},
    },
    "networks": {"monitoring": {"name": "shop-monitoring_monitoring", "internal": True}},
    "volumes": {"prometheus": {"name": "shop-monitoring_prometheus"}, "unused": {"name": "shop-monitoring_unused"}},
    "secrets": {"alert_webhook": {"name": "x", "file": "/run/secrets/alert_webhook"}},
}


def seen(**services: Any) -> Watched:
    model = {"name": "shop", "services": services, "networks": {"back": {"name": "shop_back"}}}
    return watched(with_known_servers(model), model)


def composed(shop: Watched, dashboards: bool = False) -> tuple[dict[str, Any], tuple[SecretVolume, ...]]:
    return composition(shop, [(FILE, group) for group in rounds(shop.exporters)], dashboards)


REDIS = {"image": "redis:7", "networks": {"back": None}}


def test_of_what_is_optional_only_the_exporters_start_that_the_stack_needs() -> None:
    model, _ = composed(seen(one=REDIS))

    assert model["services"].keys() == {"prometheus", "alertmanager", "redis-exporter"}
    assert "profiles" not in model["services"]["redis-exporter"]


def test_an_exporter_joins_the_network_of_its_server() -> None:
    model, _ = composed(seen(one=REDIS))

    assert model["services"]["redis-exporter"]["networks"] == {"monitoring": None, "shop_back": None}
    assert model["networks"]["shop_back"] == {"name": "shop_back", "external": True}


def test_each_of_several_servers_has_an_exporter_with_its_own_address() -> None:
    shop = seen(one=REDIS, two=REDIS)
    first, second = rounds(shop.exporters)
    services = {
        **FILE["services"],
        "redis-exporter": {**FILE["services"]["redis-exporter"], "environment": {"REDIS_ADDR": "redis://two:6379"}},
    }
    model, _ = composition(shop, [(FILE, first), ({**FILE, "services": services}, second)], False)

    assert model["services"]["redis-exporter"]["environment"]["REDIS_ADDR"] == "redis://one:6379"
    assert model["services"]["redis-exporter-two"]["environment"]["REDIS_ADDR"] == "redis://two:6379"


def test_secrets_are_in_a_volume_of_the_engine_that_only_their_service_has() -> None:
    model, secrets = composed(seen())

    assert secrets == (SecretVolume("alertmanager", "secrets-alertmanager", {"alert_webhook": "alert_webhook"}),)
    assert "secrets" not in model and "secrets" not in model["services"]["alertmanager"]
    assert model["services"]["alertmanager"]["volumes"] == [
        {"type": "volume", "source": "secrets-alertmanager", "target": "/run/secrets", "read_only": True}
    ]
    assert model["volumes"]["secrets-alertmanager"] == {
        "name": "shop-monitoring_secrets-alertmanager",
        "external": True,
    }


def test_containers_and_volumes_say_what_they_monitor() -> None:
    model, _ = composed(seen())

    assert {raw["labels"]["slipway.monitors"] for raw in model["services"].values()} == {"shop"}
    assert model["volumes"]["prometheus"]["labels"] == {"slipway.monitors": "shop"}
    assert "unused" not in model["volumes"]


def test_grafana_starts_where_its_image_can_be_had() -> None:
    assert "grafana" in composed(seen(), dashboards=True)[0]["services"]
    assert "grafana" not in composed(seen())[0]["services"]


def test_a_file_of_ones_own_without_an_exporter_that_is_needed_is_refused() -> None:
    database = {"image": "mariadb", "networks": {"back": None}, "environment": {"MARIADB_DATABASE": "shop"}}
    with pytest.raises(InputError, match="has no service mysqld-exporter, for db"):
        composed(seen(db=database))


def test_two_services_of_a_name_in_one_network_are_refused() -> None:
    with pytest.raises(RefusedError, match="the stack has a service prometheus"):
        composed(seen(one=REDIS, prometheus={"image": "prom/prometheus", "networks": {"back": None}}))


def test_a_service_of_that_name_in_another_network_is_none_of_our_business() -> None:
    composed(seen(prometheus={"image": "prom/prometheus", "networks": {"back": None}}))


def test_the_file_gets_the_settings_of_the_profile_and_where_the_server_is() -> None:
    shop = seen(one=REDIS)
    values = variables(profile(MONITOR_RETENTION="30d"), shop, "/tmp/generated", True, shop.exporters)

    assert values["MONITORED_PROJECT"] == "shop"
    assert values["MONITOR_RETENTION"] == "30d"
    assert values["MONITOR_INTERVAL"] == "15s"
    assert values["PROMETHEUS_PORT"] == "9090"
    assert values["MONITORING_GENERATED"] == "/tmp/generated"
    assert values["MONITOR_RECEIVER"] == "webhook"
    assert values["REDIS_ADDRESS"] == "redis://one:6379"


def test_the_address_of_the_webhook_is_not_among_what_the_file_gets() -> None:
    secret = "https://hooks.example.com/x"
    assert secret not in str(variables(profile(ALERT_WEBHOOK=secret), seen(), "/tmp/x", True, ()))


@pytest.mark.parametrize(
    ("address", "socket"),
    [
        ("unix:///var/run/docker.sock", "/var/run/docker.sock"),
        ("unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("unix:///home/me/.docker/desktop/docker.sock", "/var/run/docker.sock"),
        ("ssh://deploy@staging", "/var/run/docker.sock"),
        ("ssh://deploy@staging/run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
    ],
)
def test_the_socket_is_the_one_that_the_engine_has_on_its_host(address: str, socket: str) -> None:
    assert engine_socket(address) == socket
