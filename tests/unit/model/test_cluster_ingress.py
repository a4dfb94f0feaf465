"""x-slipway.ingress: what leads to a service from outside of a cluster."""

import pytest
from support import service

from tasks.model.errors import InputError
from tasks.model.stack.cluster.ingress import IngressRoute


def test_a_host_is_enough() -> None:
    read = service(**{"x-slipway": {"ingress": {"host": "shop.example.com"}}}).slipway.ingress
    assert read == IngressRoute(host="shop.example.com", path="/")
    assert service().slipway.ingress is None
    assert service(**{"x-slipway": {"ingress": {}}}).slipway.ingress == IngressRoute()


def test_everything_may_be_said() -> None:
    raw = {
        "host": "*.example.com",
        "path": "/api",
        "port": 8080,
        "tls": "shop-tls",
        "class": "internal",
        "annotations": {"example.com/timeout": 30},
    }
    read = service(**{"x-slipway": {"ingress": raw}}).slipway.ingress
    assert read == IngressRoute(
        "*.example.com", "/api", 8080, "shop-tls", class_name="internal", annotations={"example.com/timeout": "30"}
    )


def test_a_certificate_is_a_secret_or_issued() -> None:
    read = service(**{"x-slipway": {"ingress": {"host": "a.example.com", "tls": "issuer:letsencrypt"}}}).slipway.ingress
    assert read == IngressRoute("a.example.com", issuer="letsencrypt")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("shop.example.com", "x-slipway.ingress: expected a mapping"),
        ({"hosts": "a"}, "unknown key 'hosts'"),
        ({"host": "https://shop.example.com"}, "host: expected the name of a host"),
        ({"host": "shop.example.com/api"}, "host: expected the name of a host"),
        ({"host": "Shop_1"}, "host: expected the name of a host"),
        ({"path": "api"}, "path: expected a path"),
        ({"path": "/a?b=c"}, "path: expected a path"),
        ({"port": "http"}, "port: expected a port of the container"),
        ({"port": 70000}, "port: expected a port of the container"),
        ({"port": True}, "port: expected a port of the container"),
        ({"tls": "Shop TLS"}, "tls: expected the name of an object"),
        ({"tls": "issuer:letsencrypt"}, "tls: a certificate is issued for a host"),
        ({"class": "a/b"}, "class: expected the name of an object"),
        ({"annotations": ["a=b"]}, "annotations: expected a mapping"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_place(raw: object, message: str) -> None:
    with pytest.raises(InputError, match=r"services\.web\.x-slipway\.ingress") as caught:
        service(**{"x-slipway": {"ingress": raw}})
    assert message in caught.value.message and caught.value.hint
