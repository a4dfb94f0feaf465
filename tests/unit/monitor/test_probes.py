"""What is asked of a stack from outside."""

from typing import Any

import pytest
from support import stack

from tasks.monitor.plan.probes import Probe, discovery, probes

PORTS = [
    {"target": 8080, "published": "80", "protocol": "tcp"},
    {"target": 8443, "published": "443", "protocol": "tcp"},
]


def asked(*smoke: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> tuple[Probe, ...]:
    proxy = {"image": "x", "ports": PORTS if ports is None else ports, "x-slipway": {"smoke": list(smoke)}}
    return probes(stack({"proxy": proxy}), {"proxy": "shop_front"})


def test_the_address_of_a_smoke_check_is_asked_behind_its_published_port() -> None:
    assert asked({"url": "https://localhost/health?full=1"}) == (
        Probe("https://proxy:8443/health?full=1", "http_2xx", "proxy", "shop_front", "localhost"),
    )


def test_a_check_of_another_status_only_shows_whether_its_tls_works() -> None:
    assert asked({"url": "https://shop.example.com/old", "status": 301}) == (
        Probe("proxy:8443", "tls_connect", "proxy", "shop_front", "shop.example.com"),
    )


def test_a_tls_port_without_a_check_is_asked_for_its_certificate() -> None:
    assert asked({"url": "http://localhost/health"}) == (
        Probe("http://proxy:8080/health", "http_2xx", "proxy", "shop_front", "localhost"),
        Probe("proxy:8443", "tls_connect", "proxy", "shop_front"),
    )


def test_an_address_of_another_host_is_asked_as_it_is() -> None:
    assert asked({"url": "https://shop.example.com:8000/"}, ports=[]) == (
        Probe("https://shop.example.com:8000/", "http_2xx", "proxy"),
    )


@pytest.mark.parametrize(
    "check",
    [
        {"url": "http://localhost:9999/"},  # no port of the stack: nothing in its networks answers there
        {"url": "http://localhost/", "from": "container"},
        {"url": "http://localhost/", "status": 308},
    ],
)
def test_what_cannot_be_asked_from_the_networks_of_the_stack_is_left_out(check: dict[str, Any]) -> None:
    assert asked(check, ports=PORTS[:1]) == ()


def test_the_same_address_is_asked_once() -> None:
    assert len(asked({"url": "https://localhost/"}, {"url": "https://localhost/", "body": "ok"})) == 1


def test_prometheus_passes_on_the_name_that_the_server_is_asked_by() -> None:
    assert discovery(asked({"url": "https://localhost/"}), "shop") == [
        {
            "targets": ["https://proxy:8443/"],
            "labels": {"module": "http_2xx", "service": "proxy", "project": "shop", "hostname": "localhost"},
        }
    ]
