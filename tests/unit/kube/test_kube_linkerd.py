"""The mesh of Linkerd: who has a proxy, who is let in at which port, and how requests go."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from kube_data import kube_source, objects_of, told, workload_of

from tasks.kube.plan.live.takeover import routes_of
from tasks.kube.plan.live.words import word
from tasks.kube.plan.mesh.shares import divided, of_both
from tasks.kube.plan.outcome import IGNORED, REFUSED
from tasks.kube.plan.source import ImageFacts, KubeSettings
from tasks.kube.plan.translate import Translation, translate
from tasks.kube.plan.workloads.slots import slot_of

FRONT, BACK = {"front": None}, {"back": None}
NETWORKS = {"front": {"name": "shop_front"}, "back": {"name": "shop_back", "internal": True}}
CHECK = {"test": ["CMD", "true"], "interval": "5s", "timeout": "2s", "retries": 3}
SHOP: dict[str, Any] = {
    "nginx": {"image": "nginx", "networks": FRONT, "ports": [{"target": 8443, "published": "443"}]},
    "app": {"image": "app", "networks": {**FRONT, **BACK}, "expose": ["8080"], "healthcheck": CHECK},
    "migrate": {"image": "app", "networks": BACK, "x-slipway": {"job": "migrate"}},
    "database": {"image": "db", "networks": BACK, "expose": ["5432"], "x-slipway": {"role": "database"}},
}
LINKERD = KubeSettings(namespace="shop", mesh="linkerd")
ASKED = {**SHOP, "nginx": {**SHOP["nginx"], "environment": {"UPSTREAM": "http://app:8080"}}}
CANARY = {"x-slipway": {"canary": {"weight": [20]}}, "ports": [{"target": 8080, "app_protocol": "http"}], "expose": []}
OWN = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}


def meshed(
    services: Mapping[str, Any] = SHOP, settings: KubeSettings = LINKERD, images: Any = None, **top: Any
) -> Translation:
    return translate(kube_source(services, settings=settings, images=images, **{"networks": NETWORKS, **top}))


def changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**SHOP, name: {**SHOP[name], **fields}}


def made(translated: Translation, kind: str, name: str) -> Mapping[str, Any]:
    return next(each for each in objects_of(translated, kind) if each["metadata"]["name"] == name)


def names(translated: Translation, kind: str) -> list[str]:
    return sorted(each["metadata"]["name"] for each in objects_of(translated, kind))


def admitted(translated: Translation, server: str) -> list[str]:
    """Return whom the policy of a Server lets in: accounts, ``*`` for any of the mesh, or addresses."""
    policy = made(translated, "AuthorizationPolicy", server)["spec"]
    assert policy["targetRef"] == {"group": "policy.linkerd.io", "kind": "Server", "name": server}
    (reference,) = policy["requiredAuthenticationRefs"]
    spec = made(translated, reference["kind"], reference["name"])["spec"]
    accounts = [f"{one['kind']} {one['name']}" for one in spec.get("identityRefs", ())]
    return [*accounts, *spec.get("identities", ()), *(one["cidr"] for one in spec.get("networks", ()))]


def test_each_pod_has_a_proxy_that_ends_after_it_and_lets_nobody_in_by_default() -> None:
    translated = meshed()
    for name in SHOP:
        template = workload_of(translated, name)["template"]
        notes = dict(template["metadata"]["annotations"])
        ports = notes.pop("config.linkerd.io/opaque-ports", None)
        assert ports == {"nginx": "8443", "app": "8080", "migrate": None, "database": "5432"}[name]
        assert notes == {
            "linkerd.io/inject": "enabled",
            "config.linkerd.io/proxy-enable-native-sidecar": "true",
            "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
            "config.linkerd.io/default-inbound-policy": "deny",
        }
        assert template["spec"]["serviceAccountName"] == name
        assert not [key for key in template["metadata"]["labels"] if "istio" in key]
    assert names(translated, "ServiceAccount") == sorted(SHOP)
    assert not [each for each in translated.objects if "istio.io" in each["apiVersion"]]


def test_services_that_share_no_network_do_not_talk() -> None:
    translated = meshed()
    everybody = [f"ServiceAccount {name}" for name in ("app", "database", "migrate", "migrate-hook", "nginx")]
    assert admitted(translated, "app.8080") == everybody
    assert admitted(translated, "database.5432") == everybody[:-1]


def test_a_server_is_of_one_port_and_closed_but_for_its_policy() -> None:
    server = made(meshed(), "Server", "app.8080")
    assert (server["apiVersion"], server["spec"]) == (
        "policy.linkerd.io/v1beta3",
        {"podSelector": {"matchLabels": OWN}, "port": 8080, "proxyProtocol": "opaque", "accessPolicy": "deny"},
    )
    assert names(meshed(), "Server") == ["app.8080", "database.5432", "nginx.8443"], "nobody asks the job"


def test_what_is_published_is_open_to_all_of_the_mesh() -> None:
    assert admitted(meshed(), "nginx.8443") == ["*"]


def test_only_the_port_of_an_ingress_outside_of_the_mesh_is_open_to_all() -> None:
    led = changed("nginx", **{"x-slipway": {"ingress": {"host": "shop.example.com", "port": 8443}}}, expose=["9000"])
    outside, inside = meshed(led), meshed(led, KubeSettings(mesh="linkerd", mesh_ingress=True))
    assert admitted(outside, "nginx.8443") == ["0.0.0.0/0", "::/0"]
    assert admitted(outside, "nginx.9000") == ["ServiceAccount app", "ServiceAccount nginx"]
    assert admitted(inside, "nginx.8443") == ["*"]
    assert names(inside, "NetworkAuthentication") == []
    (outcome,) = told(outside, "services.nginx.x-slipway.ingress")
    assert outcome.kind == "inferred" and outcome.reason.startswith("port 8443 takes requests without mTLS too")


def test_in_an_external_network_any_identity_is_let_in_and_labels_decide() -> None:
    translated = meshed(networks={"front": {"name": "edge", "external": True}, "back": NETWORKS["back"]})
    assert admitted(translated, "app.8080") == ["*"]
    assert "*" not in admitted(translated, "database.5432")
    into = [outcome.into for outcome in told(translated, "networks.front.external")]
    assert "MeshTLSAuthentication: any identity of the mesh" in into


def test_a_proxy_without_a_way_to_the_world_reaches_its_control_plane() -> None:
    controllers = {"key": "linkerd.io/control-plane-component", "operator": "In", "values": ["destination", "identity"]}
    assert made(meshed(), "NetworkPolicy", "database")["spec"]["egress"][-1] == {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [controllers]}}],
        "ports": [{"port": port, "protocol": "TCP"} for port in (8080, 8086, 8090)],
    }


def test_what_is_published_is_reached_at_the_port_of_the_proxy_too() -> None:
    def ports(settings: KubeSettings) -> list[int]:
        return [
            one["port"]
            for one in made(meshed(settings=settings), "NetworkPolicy", "nginx")["spec"]["ingress"][1]["ports"]
        ]

    assert ports(LINKERD) == [4143, 8443]
    assert ports(replace(LINKERD, mesh="istio")) == ports(replace(LINKERD, mesh="")) == [8443]


@pytest.mark.parametrize("mode", ["none", "host"])
def test_what_is_in_no_network_of_the_cluster_has_no_proxy(mode: str) -> None:
    translated = meshed({"web": {"image": "web", "network_mode": mode}})
    template = workload_of(translated, "web")["template"]
    assert template["metadata"]["annotations"] == {"linkerd.io/inject": "disabled"}
    assert "serviceAccountName" not in template["spec"]
    assert not [each for each in translated.objects if "linkerd.io" in each["apiVersion"]]
    assert any("it has no sidecar" in outcome.reason for outcome in told(translated, "services.web.network_mode"))


@pytest.mark.parametrize(
    ("application", "protocol"),
    [
        ("http", "HTTP/1"),
        ("kubernetes.io/h2c", "HTTP/2"),
        ("grpc", "gRPC"),
        ("grpc-web", "unknown"),
        ("mongo", "opaque"),
    ],
)
def test_a_port_is_opaque_until_the_project_shows_that_it_speaks_http(application: str, protocol: str) -> None:
    translated = meshed(changed("app", expose=[], ports=[{"target": 8080, "app_protocol": application}]))
    opaque = "8080" if protocol == "opaque" else ""
    assert made(translated, "Server", "app.8080")["spec"]["proxyProtocol"] == protocol
    assert made(translated, "Service", "app")["metadata"]["annotations"]["config.linkerd.io/opaque-ports"] == opaque
    assert bool(objects_of(translated, "HTTPRoute")) == (not opaque)


def test_what_the_project_asks_by_http_is_recognised_by_what_comes() -> None:
    translated = meshed(ASKED)
    assert made(translated, "Server", "app.8080")["spec"]["proxyProtocol"] == "unknown"
    assert [port["name"] for port in made(translated, "Service", "app")["spec"]["ports"]] == ["tcp-8080"]


def test_only_what_is_idempotent_is_sent_again() -> None:
    translated = meshed(ASKED)
    again, others = made(translated, "HTTPRoute", "app.8080.idempotent"), made(translated, "HTTPRoute", "app.8080")
    parent = [{"group": "", "kind": "Service", "name": "app", "port": 8080}]
    backend = [{"name": "app", "port": 8080}]
    methods = [{"method": name} for name in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")]
    # the check finds a container dead after 3 times 5 s, and the 2 s of the last one
    assert {key: text for key, text in again["metadata"]["annotations"].items() if "linkerd" in key} == {
        "retry.linkerd.io/http": "gateway-error",
        "retry.linkerd.io/limit": "2",
        "retry.linkerd.io/timeout": "17s",
    }
    assert again["spec"] == {"parentRefs": parent, "rules": [{"matches": methods, "backendRefs": backend}]}
    assert not [key for key in others["metadata"]["annotations"] if "linkerd" in key]
    assert others["spec"] == {"parentRefs": parent, "rules": [{"backendRefs": backend}]}


def test_a_time_is_said_in_whole_numbers() -> None:
    check = {**CHECK, "interval": "500ms", "timeout": "250ms"}
    translated = meshed({**ASKED, "app": {**SHOP["app"], "healthcheck": check}})
    notes = made(translated, "HTTPRoute", "app.8080.idempotent")["metadata"]["annotations"]
    assert notes["retry.linkerd.io/timeout"] == "1750ms", "3 times 0.5 s, and 0.25 s"


def test_each_name_of_a_service_is_led_to_for_itself() -> None:
    asked = {"UPSTREAM": "http://app:8080 http://api:8080"}
    aliased = changed("app", networks={"front": {"aliases": ["api"]}, **BACK})
    translated = meshed({**aliased, "nginx": {**SHOP["nginx"], "environment": asked}})
    parents = {each["spec"]["parentRefs"][0]["name"] for each in objects_of(translated, "HTTPRoute")}
    assert parents == {"app", "api"}


def test_a_headless_service_has_no_routes_and_the_report_says_so() -> None:
    translated = meshed({**ASKED, "app": {**SHOP["app"], "deploy": {"endpoint_mode": "dnsrr"}}})
    assert objects_of(translated, "HTTPRoute") == []
    reasons = [outcome.reason for outcome in told(translated, "services.app.ports", [IGNORED])]
    assert any("they are not tried again" in reason for reason in reasons)


def test_no_header_is_changed() -> None:
    rules = [rule for each in objects_of(meshed(ASKED), "HTTPRoute") for rule in each["spec"]["rules"]]
    assert rules and not [rule for rule in rules if "filters" in rule]


@pytest.mark.parametrize(
    ("fields", "key", "reason"),
    [
        ({"expose": ["4143"]}, "services.app.ports", "the sidecar listens at 4143 itself"),
        ({"user": "2102:2102"}, "services.app.user", "user 2102 is the sidecar's"),
        ({"expose": ["30000-30100"]}, "services.app.ports", "Linkerd has a Server for each port, and these are 101"),
    ],
)
def test_what_linkerd_can_not_carry_is_refused(fields: dict[str, Any], key: str, reason: str) -> None:
    (outcome,) = told(meshed(changed("app", **fields)), key, [REFUSED])
    assert outcome.reason.startswith(reason) and outcome.hint


def test_the_user_of_an_image_counts_too() -> None:
    assert told(meshed(images={"app": ImageFacts("app", user="proxy", uid=2102)}), "services.app.user", [REFUSED])


def test_the_report_says_what_the_mesh_does_not_carry() -> None:
    translated = meshed(changed("app", expose=["8080", "4567", "53/udp"]))
    reasons = [outcome.reason for outcome in told(translated, "services.app.ports")]
    assert "a mesh carries TCP: 53/udp is guarded by the NetworkPolicy only" in reasons
    assert "4567, 8080: carried as TCP, without retries; ports.app_protocol says what it is" in reasons
    assert any(reason.startswith("4567: Linkerd leads it past its proxies") for reason in reasons)
    checks = [outcome.reason for outcome in told(translated, "services.app.healthcheck", [IGNORED])]
    assert checks and checks[0].startswith("Linkerd times connections by client")


def test_the_report_says_which_ports_are_closed() -> None:
    silent = {"web": {"image": "web", "networks": FRONT}}
    (none,) = told(meshed(silent), "services.web.expose")
    assert none.reason == "no port is known, so nobody is let in; expose names them"
    (some,) = told(meshed(), "services.database.expose")
    assert some.reason == "5432: nobody is let in at other ports; expose names them"


def test_the_weights_of_a_canary_divide_requests_between_the_services_of_two_slots() -> None:
    translated = meshed(changed("app", **CANARY))
    routes = routes_of(translated.objects, ("app",))
    assert [each["metadata"]["name"] for each in routes] == ["app.8080.idempotent", "app.8080"]

    def backends(percent: int) -> list[tuple[str, int, int]]:
        found = [each["spec"]["rules"][0]["backendRefs"] for each in divided(routes, "blue", "green", percent)]
        assert found[0] == found[1]
        return [(one["name"], one["port"], one["weight"]) for one in found[0]]

    assert backends(20) == [("app-blue", 8080, 80), ("app-green", 8080, 20)]
    assert backends(0) == [("app-blue", 8080, 100)], "a slot without Pods is no destination"
    assert backends(100) == [("app-green", 8080, 100)]
    again = divided(routes, "blue", "green", 5)[0]
    assert again["metadata"] == routes[0]["metadata"] and again["spec"]["rules"][0]["matches"]


def test_the_services_of_the_slots_lead_there_whichever_slot_serves() -> None:
    source = kube_source(changed("app", **CANARY), settings=LINKERD, networks=NETWORKS)
    translated = translate(replace(source, slots={"app": "green"}))
    services = [each for each in objects_of(translated, "Service") if each["metadata"]["name"].startswith("app")]

    def slots(found: Any) -> dict[str, Any]:
        return {each["metadata"]["name"]: each["spec"]["selector"].get("slipway/slot") for each in found}

    assert slots(services) == {"app": "green", "app-blue": "blue", "app-green": "green"}
    assert slots(of_both(services)) == {"app": None, "app-blue": "blue", "app-green": "green"}
    assert slot_of(reversed(services), OWN) == "green", "what a slot has of its own does not say who serves"


def test_a_canary_without_requests_or_names_that_lead_them_has_its_share_of_the_pods() -> None:
    tcp = {"x-slipway": CANARY["x-slipway"]}
    headless = {**CANARY, "deploy": {"endpoint_mode": "dnsrr"}}
    for fields in (tcp, headless):
        translated = meshed(changed("app", **fields))
        assert names(translated, "Service") == ["app", "database", "nginx"]
        (outcome,) = [one for one in translated.outcomes if one.key == "services.app.x-slipway.canary"]
        assert outcome.kind == "inferred" and "share of the Pods" in outcome.reason


def test_the_report_says_who_divides_the_requests_of_a_canary() -> None:
    (outcome,) = [
        one for one in meshed(changed("app", **CANARY)).outcomes if one.key == "services.app.x-slipway.canary"
    ]
    assert (outcome.kind, outcome.into) == ("translated", "a Deployment in each slot, and the weights of the HTTPRoute")


def test_a_route_of_a_gateway_is_none_of_the_mesh() -> None:
    led = changed("nginx", **{"x-slipway": {"ingress": {"host": "shop.example.com"}}})
    translated = meshed(led, replace(LINKERD, gateway="edge/public"))
    assert names(translated, "HTTPRoute") == ["nginx", "nginx.8443", "nginx.8443.idempotent"]
    routes = routes_of(translated.objects, ("nginx",))
    assert sorted(each["metadata"]["name"] for each in routes) == ["nginx.8443", "nginx.8443.idempotent"]
    words = {each["metadata"]["name"]: word(each, ("spec", "rules"))[0] for each in objects_of(translated, "HTTPRoute")}
    assert words == {"nginx": "x-slipway ingress", "nginx.8443": "healthcheck", "nginx.8443.idempotent": "healthcheck"}
