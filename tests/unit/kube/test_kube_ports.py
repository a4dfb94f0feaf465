"""At which ports a service is known to listen, and what they are called."""

from typing import Any

import pytest
from outside import source

from tasks.kube.plan.network.ports import ContainerPort, container_ports, port_names
from tasks.kube.plan.source import HostFile, ImageFacts, KubeSource


def ports(service: str = "web", image: ImageFacts | None = None, **services: dict[str, Any]) -> dict[int, str]:
    found = source({service: {}, **services}, images={service: image} if image else {})
    return numbers(found, service)


def numbers(found: KubeSource, service: str = "web") -> dict[int, str]:
    return {port.number: port.protocol for port in container_ports(found, found.stack.services[service])}


def test_ports_are_declared_exposed_and_of_the_image() -> None:
    web = {"ports": [{"target": 443, "published": "8443", "protocol": "tcp"}], "expose": ["9000", "5000-5001/udp"]}
    assert ports(web=web, image=ImageFacts(ports=("8080/tcp", "443/tcp"))) == {
        443: "tcp",
        5000: "udp",
        5001: "udp",
        8080: "tcp",
        9000: "tcp",
    }


def test_metrics_have_a_port() -> None:
    assert ports(web={"x-slipway": {"metrics": {"port": 9464}}}) == {9464: "tcp"}


@pytest.mark.parametrize(
    "other",
    [
        {"environment": {"API": "http://web:8000/x"}},
        {"command": ["proxy", "--to", "web:8000"]},
        {"healthcheck": {"test": ["CMD", "curl", "http://web:8000/"]}},
        {"environment": {"API": "http://api:8000"}, "links": ["web:api"]},
        {"x-slipway": {"role": "load-generator", "load": {"targets": ["GET http://web:8000/"]}}},
    ],
)
def test_a_port_is_known_when_another_service_names_it(other: dict[str, Any]) -> None:
    assert ports(other=other) == {8000: "tcp"}


@pytest.mark.parametrize(
    "text",
    ["web:8.1", "web:8-alpine", "http://my-web:8000", "web.example.com:8000", "web:80000", "web:000000", "a web: 80"],
)
def test_no_port_is_taken_from_another_host(text: str) -> None:
    assert ports(other={"environment": {"API": text}}) == {}


def test_the_tag_of_an_image_is_no_port() -> None:
    assert ports("redis", other={"environment": {"CACHE_IMAGE": "redis:7", "CACHE": "redis:6379"}}) == {6379: "tcp"}
    assert ports(other={"command": ["pull", "registry.example.com/shop/web:1", "shop/web:2"]}) == {}
    # Only the name of a variable says so.
    assert ports("redis", **{"image-store": {"command": ["serve", "redis:6379"]}}) == {6379: "tcp"}


def test_a_port_is_known_when_a_mounted_file_names_it() -> None:
    files = {
        "/shop/conf": HostFile(
            "directory", {"a.conf": b"server web:8000;", "blob": b"\0web:1", "big": b"web:2 " * 20_000}
        )
    }
    found = KubeSource(*_parts(), files=files)
    (port,) = container_ports(found, found.stack.services["web"])
    assert (port.number, port.reason) == (8000, "/shop/conf/a.conf says so")


def _parts() -> tuple[Any, Any]:
    found = source({"web": {}})
    return found.model, found.stack


def test_a_port_is_known_when_a_config_names_it() -> None:
    found = source({"web": {}}, configs={"proxy": {"content": "server web:8000;"}})
    assert numbers(found) == {8000: "tcp"}


@pytest.mark.parametrize(("host", "expected"), [("", True), ("0.0.0.0", True), ("127.0.0.1", False), ("::1", False)])
def test_a_port_on_the_loopback_interface_is_open_to_nobody_else(host: str, expected: bool) -> None:
    found = source({"web": {"ports": [{"target": 80, "published": "80", "host_ip": host}]}})
    (port,) = container_ports(found, found.stack.services["web"])
    assert port.open is expected


def test_one_port_by_two_protocols_is_two() -> None:
    web = {"ports": [{"target": 53, "protocol": "tcp"}, {"target": 53, "protocol": "udp"}, {"target": 53}]}
    found = source({"web": web})
    assert [(port.number, port.protocol) for port in container_ports(found, found.stack.services["web"])] == [
        (53, "tcp"),
        (53, "udp"),
    ]


def test_names_of_ports_are_short_and_different() -> None:
    many = [
        ContainerPort(53, "tcp", "dns"),
        ContainerPort(53, "udp", "dns"),
        ContainerPort(65535, "sctp"),
        ContainerPort(80, "tcp", "The_very--long name of it"),
        ContainerPort(81, "tcp", "123"),
        ContainerPort(82, "tcp", "the-very-long-other"),
        ContainerPort(82, "udp", "the-very-long-other"),
    ]
    names = port_names(many)
    assert names == [
        "dns-tcp",
        "dns-udp",
        "sctp-65535",
        "the-very-long-n",
        "s-123",
        "the-very-lo-tcp",
        "the-very-lo-udp",
    ]
    assert all(len(name) <= 15 for name in names) and len(set(names)) == len(names)
