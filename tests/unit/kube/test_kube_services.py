"""The names of services on the network: as in Compose inside the cluster, and nothing outside."""

from collections.abc import Mapping
from typing import Any

import pytest
from outside import by_key, source

from tasks.kube.plan.network.services import part
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import ImageFacts, KubeSource


def network(found: KubeSource, service: str = "web") -> Part:
    return part(found, found.stack.services[service])


def of(service: str = "web", **services: dict[str, Any]) -> Part:
    return network(source(services), service)


def services(found: Part) -> dict[str, Any]:
    assert {(each["apiVersion"], each["kind"]) for each in found.objects} <= {("v1", "Service")}
    return {each["metadata"]["name"]: each["spec"] for each in found.objects}


def listed(spec: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    return [(port["port"], port["targetPort"], port["protocol"]) for port in spec["ports"]]


def test_a_published_port_is_that_of_the_container_inside_the_cluster() -> None:
    found = of(web={"ports": [{"target": 443, "published": "8443", "protocol": "tcp", "mode": "ingress"}]})
    assert found.objects == (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "web",
                "labels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "web"},
            },
            "spec": {
                "selector": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "web"},
                "type": "ClusterIP",
                "ports": [{"name": "tcp-443", "port": 443, "targetPort": 443, "protocol": "TCP"}],
            },
        },
    )
    assert found.container == {"ports": [{"containerPort": 443, "name": "tcp-443", "protocol": "TCP"}]}
    outcome = by_key(found)["ports"]
    assert outcome.kind == "inferred" and "x-slipway.ingress" in outcome.reason


@pytest.mark.parametrize(
    "web",
    [
        {"ports": [{"target": 5432, "published": "5432", "host_ip": "127.0.0.1"}]},
        {"ports": [{"target": 5432, "published": "5432"}]},
        {"expose": ["5432"]},
    ],
)
def test_no_port_is_published_outside_of_the_cluster(web: dict[str, Any]) -> None:
    spec = services(of(web=web))["web"]
    assert spec["type"] == "ClusterIP" and "nodePort" not in str(spec)
    assert "hostPort" not in str(of(web=web).container)


def test_a_service_without_ports_is_reached_by_name_at_any_port() -> None:
    found = of("db", db={"image": "mariadb"}, web={"depends_on": {"db": {"condition": "service_started"}}})
    (spec,) = services(found).values()
    assert spec["clusterIP"] == "None" and "ports" not in spec
    assert found.container == {}


def test_ports_of_the_image_are_enough_for_an_address_of_its_own() -> None:
    found = network(source({"web": {}}, images={"web": ImageFacts(ports=("8080/tcp",))}))
    spec = services(found)["web"]
    assert "clusterIP" not in spec and listed(spec) == [(8080, 8080, "TCP")]
    assert by_key(found)["expose"].reason == "8080: its image says so"


def test_one_port_by_two_protocols_is_two_with_names() -> None:
    web = {
        "ports": [{"target": 53, "protocol": "tcp", "name": "dns"}, {"target": 53, "protocol": "udp", "name": "dns"}]
    }
    ports = services(of(web=web))["web"]["ports"]
    assert [(port["name"], port["protocol"]) for port in ports] == [("dns-tcp", "TCP"), ("dns-udp", "UDP")]


def test_the_protocol_of_the_application_is_kept() -> None:
    web = {"ports": [{"target": 80, "app_protocol": "http"}]}
    assert services(of(web=web))["web"]["ports"][0]["appProtocol"] == "http"
    unknown = {"ports": [{"target": 80, "app_protocol": "our own!"}]}
    assert "appProtocol" not in services(of(web=unknown))["web"]["ports"][0]


def test_hundreds_of_ports_are_reached_without_a_list() -> None:
    spec = services(of(web={"expose": ["30000-30200/udp"]}))["web"]
    assert spec["clusterIP"] == "None" and "ports" not in spec


@pytest.mark.parametrize("fields", [{"x-slipway": {"role": "database"}}, {"deploy": {"endpoint_mode": "dnsrr"}}])
def test_what_has_an_address_for_each_container_is_headless_with_its_ports(fields: dict[str, Any]) -> None:
    spec = services(of("db", db={"expose": ["5432"], **fields}))["db"]
    assert spec["clusterIP"] == "None" and listed(spec) == [(5432, 5432, "TCP")]


def test_a_port_of_this_machine_is_said_to_be_forwarded() -> None:
    found = of(web={"ports": [{"target": 80, "published": "80", "host_ip": "127.0.0.1"}]})
    assert "kubectl port-forward" in by_key(found)["ports"].reason


def test_nobody_asks_a_job_that_listens_nowhere() -> None:
    found = source({"web": {"x-slipway": {"job": "migrate"}}}, images={"web": ImageFacts(ports=("5432/tcp",))})
    assert network(found) == Part()
    assert list(services(of(web={"x-slipway": {"job": "once"}, "expose": ["80"]}))) == ["web"]


def test_a_name_that_is_no_label_gets_the_nearest_one() -> None:
    found = of("my_service", my_service={"expose": ["80"]})
    assert services(found)["my-service"]["selector"]["app.kubernetes.io/name"] == "my-service"


def test_an_alias_is_a_service_of_its_own() -> None:
    found = of(web={"expose": ["80"], "networks": {"front": {"aliases": ["api", "web", "Shop"]}, "back": None}})
    specs = services(found)
    assert list(specs) == ["web", "api", "shop"]
    assert specs["api"] == specs["web"]
    assert by_key(found)["networks.front"].kind == "translated"


@pytest.mark.parametrize("alias", ["api.local", "my_api", "db", "x" * 64])
def test_an_alias_that_can_be_no_service_is_refused(alias: str) -> None:
    found = of(web={"networks": {"front": {"aliases": [alias]}}}, db={"networks": {"front": None}})
    assert list(services(found)) == ["web"]
    outcome = by_key(found)[f"networks.front.aliases.{alias}"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-ALIASES") and alias in outcome.reason


def test_an_alias_of_two_services_leads_to_both() -> None:
    shared = {"networks": {"front": {"aliases": ["api"]}}}
    found = source({"blue": {"expose": ["80"], **shared}, "green": {"expose": ["81"], **shared}})
    blue, green = network(found, "blue"), network(found, "green")
    assert blue.labels == green.labels == {"alias.slipway/api": "true"}
    assert list(services(blue)) == ["blue", "api"] and list(services(green)) == ["green"]
    assert services(blue)["api"]["selector"] == {"app.kubernetes.io/part-of": "shop", "alias.slipway/api": "true"}
    assert listed(services(blue)["api"]) == [(80, 80, "TCP"), (81, 81, "TCP")]


def test_an_alias_that_means_another_service_in_each_network_is_refused() -> None:
    found = source({"a": {"networks": {"one": {"aliases": ["api"]}}}, "b": {"networks": {"two": {"aliases": ["api"]}}}})
    assert by_key(network(found, "a"))["networks.one.aliases.api"].kind == "refused"
    assert list(services(network(found, "a"))) == ["a"]


def test_a_link_names_what_it_leads_to() -> None:
    found = source({"web": {"links": ["db:mysql", "cache"]}, "db": {"expose": ["3306"]}, "cache": {}})
    assert list(services(network(found, "db"))) == ["db", "mysql"]
    assert list(services(network(found, "cache"))) == ["cache"]
    assert by_key(network(found))["links"].kind == "translated"


def test_a_link_to_another_project_is_refused() -> None:
    outcome = by_key(of(web={"external_links": ["redis_1:cache"]}))["external_links"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-EXTERNAL-LINKS")


@pytest.mark.parametrize(
    ("name", "user", "kind", "names"),
    [
        ("shop-web", {}, "ignored", ["web"]),
        ("shop-web", {"environment": {"API": "http://shop-web:80"}}, "translated", ["web", "shop-web"]),
        ("shop-web", {"environment": {"API_HOST": "shop-web"}}, "translated", ["web", "shop-web"]),
        ("web", {}, "translated", ["web"]),
        ("abc_def", {}, "ignored", ["web"]),
        ("abc_def", {"environment": {"API": "http://abc_def:80"}}, "refused", ["web"]),
    ],
)
def test_the_name_of_a_container_is_a_service_where_others_use_it(
    name: str, user: dict[str, Any], kind: str, names: list[str]
) -> None:
    found = of(web={"container_name": name, "expose": ["80"]}, other=user)
    assert by_key(found)["container_name"].kind == kind
    assert list(services(found)) == names


def test_the_network_of_the_host_is_refused_unless_accepted() -> None:
    found = of(web={"network_mode": "host", "expose": ["80"]})
    assert found.pod == {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} and found.objects == ()
    outcome = by_key(found)["network_mode"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-NETWORK-MODE")


def test_the_network_of_another_service_is_refused_unless_accepted() -> None:
    found = of(web={"network_mode": "service:vpn"}, vpn={})
    assert by_key(found)["network_mode"].kind == "refused"


def test_a_service_without_network_has_no_name() -> None:
    found = of(web={"network_mode": "none"})
    assert found.objects == () and by_key(found)["network_mode"].kind == "translated"


@pytest.mark.parametrize("key", ["ipv4_address", "ipv6_address", "mac_address", "interface_name"])
def test_a_fixed_address_is_refused_unless_accepted(key: str) -> None:
    outcome = by_key(of(web={"networks": {"front": {key: "x", "priority": 5}}}))[f"networks.front.{key}"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-FIXED-ADDRESS")
    assert by_key(of(web={"mac_address": "02:42:ac:11:65:43"}))["mac_address"].kind == "refused"
    assert by_key(of(web={"networks": {"front": {"priority": 5}}}))["networks.front.priority"].kind == "ignored"
