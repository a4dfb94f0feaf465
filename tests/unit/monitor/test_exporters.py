"""The exporters that a stack needs."""

from typing import Any

import pytest
from support import stack

from tasks.monitor.plan.exporters import Exporter, discovery, exporters, rounds
from tasks.telemetry.plan.servers import with_known_servers

POSTGRES = {"image": "postgres:17", "networks": {"back": None}, "environment": {"POSTGRES_DB": "shop"}}


def found(services: dict[str, Any]) -> tuple[Exporter, ...]:
    known = with_known_servers({"name": "shop", "services": services, "networks": {"back": {"name": "shop_back"}}})
    return exporters(known, {name: "shop_back" for name in services})


def test_a_database_of_an_official_image_is_known_without_saying_so() -> None:
    (exporter,) = found({"db": POSTGRES})

    assert (exporter.kind, exporter.service, exporter.name) == ("postgres", "db", "postgres-exporter")
    assert exporter.network == "shop_back"
    assert exporter.variables == {
        "POSTGRES_URI": "db:5432/shop?sslmode=disable",
        "POSTGRES_MONITOR_USER": "monitoring",
    }
    assert exporter.endpoint == "postgres-exporter:9187"


@pytest.mark.parametrize(
    ("service", "kind", "variables"),
    [
        ({"image": "mariadb:11", "environment": {"MARIADB_DATABASE": "x"}}, "mysql", {"MYSQL_ADDRESS": "s:3306"}),
        ({"image": "mysql:8", "environment": {"MYSQL_DATABASE": "x"}}, "mysql", {"MYSQL_ADDRESS": "s:3306"}),
        ({"image": "redis:7"}, "redis", {"REDIS_ADDRESS": "redis://s:6379"}),
        ({"image": "valkey/valkey:8"}, "redis", {"REDIS_ADDRESS": "redis://s:6379"}),
        (
            {"image": "shop/web", "x-slipway": {"metrics": {"exporter": "nginx", "port": 8083}}},
            "nginx",
            {"NGINX_STATUS_URI": "http://s:8083/stub_status"},
        ),
        (
            {"image": "shop/cache", "x-slipway": {"metrics": {"exporter": "redis", "port": 6380}}},
            "redis",
            {"REDIS_ADDRESS": "redis://s:6380"},
        ),
    ],
)
def test_an_exporter_is_told_where_its_server_is(service: dict[str, Any], kind: str, variables: dict[str, str]) -> None:
    (exporter,) = found({"s": service})
    assert (exporter.kind, exporter.variables) == (kind, variables)


@pytest.mark.parametrize(
    "service",
    [
        {"image": "shop/web"},
        {"image": "mongo:7", "environment": {"MONGO_INITDB_DATABASE": "x"}},  # no exporter of it is known here
        {"image": "bitnami/postgresql:17"},  # configured in another way than the official image
        {"image": "mysql:8"},  # what its database is called is not said
        {**POSTGRES, "x-slipway": {"metrics": {"exporter": "none"}}},
        {**POSTGRES, "deploy": {"replicas": 0}},
        {"image": "shop/db", "x-slipway": {"metrics": {"port": 9464}}},
    ],
)
def test_a_service_without_need_of_an_exporter_has_none(service: dict[str, Any]) -> None:
    assert found({"s": service}) == ()


def test_a_job_has_no_exporter_and_neither_has_what_is_in_no_network() -> None:
    jobs = stack({"db": {**POSTGRES, "x-slipway": {"database": "postgres", "job": "once"}}})
    assert exporters(jobs, {"db": "shop_back"}) == ()
    assert exporters(stack({"db": {**POSTGRES, "x-slipway": {"database": "postgres"}}}), {"db": ""}) == ()


def test_several_servers_of_a_kind_have_an_exporter_each() -> None:
    servers = found({"one": {"image": "redis:7"}, "two": {"image": "redis:7"}, "db": POSTGRES})

    assert [exporter.name for exporter in servers] == ["redis-exporter", "redis-exporter-two", "postgres-exporter"]
    assert [[exporter.service for exporter in group] for group in rounds(servers)] == [["one", "db"], ["two"]]


def test_a_stack_without_servers_reads_the_compose_file_once_all_the_same() -> None:
    assert rounds(()) == ((),)


def test_prometheus_finds_an_exporter_under_the_service_that_it_is_for() -> None:
    assert discovery(found({"db": POSTGRES}), "shop") == [
        {
            "targets": ["postgres-exporter:9187"],
            "labels": {"job": "postgres", "service": "db", "project": "shop"},
        }
    ]
