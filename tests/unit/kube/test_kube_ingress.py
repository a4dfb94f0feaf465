"""What leads to a service from outside of the cluster: an Ingress, or a route of a Gateway."""

from typing import Any

import pytest
from outside import by_key, source

from tasks.kube.plan.network import ingress, policies, services
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import KubeSettings, KubeSource

PUBLISHED = {"ports": [{"target": 8080, "published": "80"}]}


def web(settings: KubeSettings | None = None, said: dict[str, Any] | None = None, **fields: Any) -> KubeSource:
    wanted = {"host": "shop.example.com"} if said is None else said
    return source({"web": {**PUBLISHED, "x-slipway": {"ingress": wanted}, **fields}}, settings=settings)


def led(found: KubeSource) -> Part:
    return ingress.part(found, found.stack.services["web"])


def spec(found: KubeSource) -> dict[str, Any]:
    (made,) = led(found).objects
    rules: dict[str, Any] = made["spec"]
    return rules


def test_an_ingress_leads_a_host_to_the_service() -> None:
    found = led(web())
    assert found.objects == (
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {
                "name": "web",
                "labels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "web"},
            },
            "spec": {
                "rules": [
                    {
                        "host": "shop.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "web", "port": {"number": 8080}}},
                                }
                            ]
                        },
                    }
                ]
            },
        },
    )
    assert by_key(found)["x-slipway.ingress"].kind == "translated"


def test_the_host_of_a_certificate_has_no_path() -> None:
    found = spec(web(said={"host": "shop.example.com", "path": "/api", "tls": "shop-tls"}))
    assert found["tls"] == [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}]
    assert found["rules"][0]["http"]["paths"][0]["path"] == "/api"


def test_an_issuer_fills_a_secret_of_the_service() -> None:
    found = web(said={"host": "shop.example.com", "tls": "issuer:letsencrypt"})
    assert spec(found)["tls"] == [{"hosts": ["shop.example.com"], "secretName": "web-tls"}]
    assert led(found).objects[0]["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}


def test_annotations_are_those_of_the_ingress() -> None:
    found = web(said={"annotations": {"example.com/timeout": "30"}})
    assert led(found).objects[0]["metadata"]["annotations"] == {"example.com/timeout": "30"}
    assert "host" not in spec(found)["rules"][0]


def test_the_class_is_the_services_own_or_the_profiles() -> None:
    profile = KubeSettings(ingress_class="public")
    assert spec(web(profile))["ingressClassName"] == "public"
    assert spec(web(profile, {"class": "internal"}))["ingressClassName"] == "internal"
    assert "ingressClassName" not in spec(web())


def test_with_a_gateway_it_is_a_route() -> None:
    said = {"host": "shop.example.com", "path": "/api", "tls": "shop-tls", "class": "x"}
    found = led(web(KubeSettings(gateway="edge/public"), said))
    (route,) = found.objects
    assert (route["apiVersion"], route["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    assert route["spec"] == {
        "parentRefs": [{"name": "public", "namespace": "edge"}],
        "hostnames": ["shop.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                "backendRefs": [{"name": "web", "port": 8080}],
            }
        ],
    }
    assert {key: outcome.kind for key, outcome in by_key(found).items()} == {
        "x-slipway.ingress": "translated",
        "x-slipway.ingress.tls": "ignored",
        "x-slipway.ingress.class": "ignored",
    }
    assert spec(web(KubeSettings(gateway="public")))["parentRefs"] == [{"name": "public"}]


@pytest.mark.parametrize(
    ("fields", "port"),
    [
        ({}, 8080),
        ({"expose": ["9000"]}, 8080),
        ({"ports": [], "expose": ["9000"]}, 9000),
        ({"ports": [{"target": 1, "host_ip": "127.0.0.1"}, {"target": 2}]}, 2),
        ({"ports": [{"target": 53, "protocol": "udp"}, {"target": 54}]}, 54),
        ({"ports": [{"target": 1}, {"target": 2}], "x-slipway": {"ingress": {"port": 3}}}, 3),
    ],
)
def test_requests_get_to_the_published_port_or_the_one_that_is_said(fields: dict[str, Any], port: int) -> None:
    backend = spec(web(**fields))["rules"][0]["http"]["paths"][0]["backend"]
    assert backend["service"]["port"]["number"] == port


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ports": [{"target": 1}, {"target": 2}]}, "several ports: 1, 2"),
        ({"ports": []}, "no port of the service is known"),
        ({"network_mode": "none"}, "no Service"),
        ({"network_mode": "host"}, "no Service"),
    ],
)
def test_without_a_port_to_lead_to_it_is_refused(fields: dict[str, Any], reason: str) -> None:
    found = led(web(**fields))
    assert found.objects == ()
    outcome = by_key(found)["x-slipway.ingress"]
    assert outcome.kind == "refused" and reason in outcome.reason


def test_a_service_that_does_not_ask_gets_none() -> None:
    found = source({"web": PUBLISHED})
    assert led(found) == Part()


def test_the_port_is_one_of_the_service_and_open_to_all() -> None:
    found = web(said={"port": 9000}, ports=[], networks={"back": None})
    found = source({"web": found.raw("web")}, networks={"back": {"internal": True}})
    service = found.stack.services["web"]
    (made,) = services.part(found, service).objects
    assert [port["port"] for port in made["spec"]["ports"]] == [9000]
    (policy,) = policies.part(found, service).objects
    assert policy["spec"]["ingress"][1:] == [{"ports": [{"port": 9000, "protocol": "TCP"}]}]
