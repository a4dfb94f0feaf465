"""A service mesh: who has a sidecar and as whom, who is let in, and how requests go."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from kube_data import kube_source, objects_of, told, workload_of

from tasks.kube.plan.mesh.shares import divided, of_both
from tasks.kube.plan.outcome import REFUSED
from tasks.kube.plan.source import ImageFacts, KubeSettings
from tasks.kube.plan.translate import Translation, translate
from tasks.kube.plan.workloads.charts import of_chart

FRONT, BACK = {"front": None}, {"back": None}
NETWORKS = {"front": {"name": "shop_front"}, "back": {"name": "shop_back", "internal": True}}
CHECK = {"test": ["CMD", "true"], "interval": "5s", "timeout": "2s", "retries": 3}
SHOP: dict[str, Any] = {
    "nginx": {"image": "nginx", "networks": FRONT, "ports": [{"target": 8443, "published": "443"}]},
    "app": {"image": "app", "networks": {**FRONT, **BACK}, "expose": ["8080"], "healthcheck": CHECK},
    "migrate": {"image": "app", "networks": BACK, "x-slipway": {"job": "migrate"}},
    "database": {"image": "db", "networks": BACK, "expose": ["5432"], "x-slipway": {"role": "database"}},
}
ISTIO = KubeSettings(namespace="shop", mesh="istio")


def meshed(
    services: Mapping[str, Any] = SHOP, settings: KubeSettings = ISTIO, images: Any = None, **top: Any
) -> Translation:
    return translate(kube_source(services, settings=settings, images=images, **{"networks": NETWORKS, **top}))


def spec(made: Translation, kind: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(each for each in objects_of(made, kind) if each["metadata"]["name"] == name)["spec"]
    return found


def changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**SHOP, name: {**SHOP[name], **fields}}


def accounts(made: Translation, name: str) -> list[str]:
    """Return the accounts that the policy of a service lets in."""
    rules = spec(made, "AuthorizationPolicy", name).get("rules", ())
    sources = [entry["source"] for rule in rules for entry in rule.get("from", ())]
    return [account for source in sources for account in source.get("serviceAccounts", ())]


def test_nothing_is_added_without_a_mesh() -> None:
    made = translate(kube_source(SHOP, networks=NETWORKS))
    assert not [each for each in made.objects if "istio.io" in each["apiVersion"] or each["kind"] == "ServiceAccount"]
    assert "serviceAccountName" not in workload_of(made, "app")["template"]["spec"]


def test_each_pod_has_a_native_sidecar_and_an_account_of_its_own() -> None:
    made = meshed()
    for name in SHOP:
        template = workload_of(made, name)["template"]
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
        # without it a Job would go on for as long as its sidecar
        assert template["metadata"]["annotations"] == {"sidecar.istio.io/nativeSidecar": "true"}
        assert template["spec"]["serviceAccountName"] == name
        assert template["spec"]["automountServiceAccountToken"] is False
    assert sorted(each["metadata"]["name"] for each in objects_of(made, "ServiceAccount")) == sorted(SHOP)


def test_services_that_share_no_network_do_not_talk() -> None:
    made = meshed()
    assert accounts(made, "nginx") == ["app", "nginx"]
    assert accounts(made, "app") == ["app", "database", "migrate", "migrate-hook", "nginx"]
    assert accounts(made, "database") == ["app", "database", "migrate", "migrate-hook"]


def test_what_is_published_is_open_to_all_of_the_mesh() -> None:
    assert spec(meshed(), "AuthorizationPolicy", "nginx") == {
        "selector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "nginx"}},
        "action": "ALLOW",
        "rules": [
            {"from": [{"source": {"serviceAccounts": ["app", "nginx"]}}]},
            {"to": [{"operation": {"ports": ["8443"]}}]},
        ],
    }


def test_a_policy_names_at_most_sixteen_accounts_in_a_source() -> None:
    many = {f"web{number}": {"image": "web", "networks": FRONT} for number in range(20)}
    made = meshed(many)
    (rule,) = spec(made, "AuthorizationPolicy", "web0")["rules"]
    assert [len(entry["source"]["serviceAccounts"]) for entry in rule["from"]] == [16, 4]
    assert accounts(made, "web0") == sorted(many)


def test_in_an_external_network_any_identity_is_let_in_and_labels_decide() -> None:
    networks = {"front": {"name": "edge", "external": True}, "back": NETWORKS["back"]}
    made = meshed(networks=networks)
    assert {"from": [{"source": {"principals": ["*"]}}]} in spec(made, "AuthorizationPolicy", "nginx")["rules"]
    assert {"from": [{"source": {"principals": ["*"]}}]} not in spec(made, "AuthorizationPolicy", "database")["rules"]
    into = [outcome.into for outcome in told(made, "networks.front.external")]
    assert "AuthorizationPolicy: any identity of the mesh" in into


def test_mtls_is_strict_and_only_the_port_of_an_ingress_outside_of_the_mesh_is_not() -> None:
    led = changed("nginx", **{"x-slipway": {"ingress": {"host": "shop.example.com"}}})
    strict = {"mode": "STRICT"}
    outside, inside = meshed(led), meshed(led, KubeSettings(mesh="istio", mesh_ingress=True))
    found = spec(outside, "PeerAuthentication", "nginx")
    assert (found["mtls"], found["portLevelMtls"]) == (strict, {"8443": {"mode": "PERMISSIVE"}})
    assert "portLevelMtls" not in spec(inside, "PeerAuthentication", "nginx")
    assert "portLevelMtls" not in spec(outside, "PeerAuthentication", "app")
    (outcome,) = told(outside, "services.nginx.x-slipway.ingress")
    assert outcome.kind == "inferred" and outcome.reason.startswith("port 8443 takes requests without mTLS too")


def test_a_sidecar_without_a_way_to_the_world_reaches_istiod() -> None:
    pilots = {"key": "istio", "operator": "In", "values": ["pilot", "istiod"]}
    egress = spec(meshed(), "NetworkPolicy", "database")["egress"]
    assert egress[-1] == {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [pilots]}}],
        "ports": [{"port": 15012, "protocol": "TCP"}],
    }
    without = translate(kube_source(SHOP, networks=NETWORKS))
    assert len(spec(without, "NetworkPolicy", "database")["egress"]) == len(egress) - 1


@pytest.mark.parametrize("mode", ["none", "host"])
def test_what_is_in_no_network_of_the_cluster_has_no_sidecar(mode: str) -> None:
    made = meshed({"web": {"image": "web", "network_mode": mode}})
    template = workload_of(made, "web")["template"]
    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert "serviceAccountName" not in template["spec"]
    assert not [each for each in made.objects if "istio.io" in each["apiVersion"]]
    assert any("it has no sidecar" in outcome.reason for outcome in told(made, "services.web.network_mode"))


def test_a_port_is_tcp_until_the_project_shows_that_it_speaks_http() -> None:
    def port(services: Mapping[str, Any]) -> tuple[str, str, bool]:
        made = meshed(services)
        (found,) = spec(made, "Service", "app")["ports"]
        routed = any(each["metadata"]["name"] == "app" for each in objects_of(made, "VirtualService"))
        return found["name"], found.get("appProtocol", ""), routed

    asked = changed("nginx", environment={"UPSTREAM": "http://app:8080"})
    smoke = changed("app", **{"x-slipway": {"smoke": [{"url": "http://localhost:8080/", "from": "container"}]}})
    said = [{"target": 8080, "app_protocol": "grpc"}]
    tcp = changed("nginx", environment={"UPSTREAM": "app:8080"})
    assert port(SHOP) == port(tcp) == ("tcp-8080", "", False)
    assert port(asked) == port(smoke) == ("port-8080", "", True), "Istio looks at what comes"
    assert port(changed("app", expose=[], ports=said)) == ("tcp-8080", "grpc", True)
    other = [{"target": 8080, "app_protocol": "mongo"}]
    assert port({**asked, "app": {**SHOP["app"], "ports": other}}) == ("tcp-8080", "mongo", False)


def test_only_what_is_idempotent_is_sent_again_once_a_server_may_have_it() -> None:
    made = meshed(changed("nginx", environment={"UPSTREAM": "http://app:8080"}))
    route = [{"destination": {"host": "app"}}]
    assert spec(made, "VirtualService", "app") == {
        "hosts": ["app"],
        "http": [
            {
                "name": "idempotent",
                "match": [{"method": {"regex": "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"}}],
                "route": route,
                # the check finds a container dead after 3 times 5 s, and the 2 s of the last one
                "retries": {
                    "attempts": 2,
                    "perTryTimeout": "17s",
                    "retryOn": "connect-failure,refused-stream,reset,gateway-error",
                },
            },
            {"name": "others", "route": route, "retries": {"attempts": 2, "retryOn": "connect-failure,refused-stream"}},
        ],
    }


def test_a_pod_that_fails_as_often_as_its_check_may_gets_nothing_for_a_while() -> None:
    deploy = {"replicas": 4, "update_config": {"delay": "12s"}}
    assert spec(meshed(changed("app", deploy=deploy)), "DestinationRule", "app") == {
        "host": "app",
        "trafficPolicy": {
            "connectionPool": {"tcp": {"connectTimeout": "2s"}},
            "outlierDetection": {
                "consecutiveGatewayErrors": 3,
                "consecutive5xxErrors": 0,
                "interval": "5s",
                "baseEjectionTime": "12s",
                "maxEjectionPercent": 75,
            },
        },
    }


def test_the_only_pod_is_never_taken_out() -> None:
    made = meshed()
    assert "outlierDetection" not in spec(made, "DestinationRule", "app")["trafficPolicy"]
    names = [each["metadata"]["name"] for each in objects_of(made, "DestinationRule")]
    assert names == ["app"], "a service without a check says nothing of connections"


def test_each_name_of_a_service_is_led_to_for_itself() -> None:
    asked = {"UPSTREAM": "http://app:8080 http://api:8080"}
    aliased = changed("app", networks={"front": {"aliases": ["api"]}, **BACK})
    made = meshed({**aliased, "nginx": {**SHOP["nginx"], "environment": asked}})
    hosts = {each["metadata"]["name"]: each["spec"]["hosts"] for each in objects_of(made, "VirtualService")}
    assert hosts == {"app": ["app"], "api": ["api"]}


def test_no_header_is_changed() -> None:
    made = meshed(changed("nginx", environment={"UPSTREAM": "http://app:8080"}))
    assert not [
        rule for each in objects_of(made, "VirtualService") for rule in each["spec"]["http"] if "headers" in rule
    ]


@pytest.mark.parametrize(
    ("fields", "key", "reason"),
    [
        ({"expose": ["15006"]}, "services.app.ports", "the sidecar listens at 15006 itself"),
        ({"user": "1337:1337"}, "services.app.user", "user 1337 is the sidecar's"),
    ],
)
def test_what_would_go_past_the_sidecar_is_refused(fields: dict[str, Any], key: str, reason: str) -> None:
    (outcome,) = told(meshed(changed("app", **fields)), key, [REFUSED])
    assert outcome.reason.startswith(reason) and outcome.hint


def test_the_user_of_an_image_counts_too() -> None:
    made = meshed(images={"app": ImageFacts("app", user="proxy", uid=1337)})
    assert told(made, "services.app.user", [REFUSED])


def test_the_report_says_what_the_mesh_does_not_carry() -> None:
    made = meshed(changed("app", expose=["8080", "53/udp"]))
    reasons = [outcome.reason for outcome in told(made, "services.app.ports")]
    assert "a mesh carries TCP: 53/udp is guarded by the NetworkPolicy only" in reasons
    assert "8080: carried as TCP, without retries; ports.app_protocol says what it is" in reasons


def test_the_account_of_a_hook_is_there_before_it_and_is_let_in() -> None:
    first = {**SHOP, "migrate": {**SHOP["migrate"], "depends_on": {}}}
    made = meshed(first)
    before = [each for each in of_chart(made.objects).always if "helm.sh/hook" in each["metadata"]["annotations"]]
    account, job = before
    assert (account["kind"], account["metadata"]["name"]) == ("ServiceAccount", "migrate-hook")
    assert account["metadata"]["annotations"]["helm.sh/hook-weight"] == "0"
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "migrate-hook"
    assert "migrate-hook" in accounts(made, "database")


CANARY = {"x-slipway": {"canary": {"weight": [20]}}, "ports": [{"target": 8080, "app_protocol": "http"}], "expose": []}


def test_the_routes_of_a_canary_divide_requests_between_two_slots() -> None:
    made = meshed(changed("app", **CANARY))
    subsets = spec(made, "DestinationRule", "app")["subsets"]
    assert subsets == [{"name": slot, "labels": {"slipway/slot": slot}} for slot in ("blue", "green")]
    routes = [each for each in objects_of(made, "VirtualService") if each["metadata"]["name"] == "app"]

    def destinations(percent: int) -> list[list[tuple[str, int]]]:
        (route,) = divided(routes, "blue", "green", percent)
        found = [one["route"] for one in route["spec"]["http"]]
        assert all(one["destination"]["host"] == "app" for several in found for one in several)
        return [[(one["destination"]["subset"], one["weight"]) for one in several] for several in found]

    assert destinations(20) == [[("blue", 80), ("green", 20)]] * 2
    assert destinations(0) == [[("blue", 100)]] * 2, "a slot without Pods is no destination"
    assert destinations(100) == [[("green", 100)]] * 2
    retries = [one["retries"] for one in divided(routes, "blue", "green", 5)[0]["spec"]["http"]]
    assert retries == [one["retries"] for one in routes[0]["spec"]["http"]]


def test_while_requests_are_divided_a_service_leads_to_both_slots() -> None:
    source = kube_source(changed("app", **CANARY), settings=ISTIO, networks=NETWORKS)
    made = translate(replace(source, slots={"app": "green"}))
    services = [each for each in objects_of(made, "Service") if each["metadata"]["name"] == "app"]
    assert services[0]["spec"]["selector"]["slipway/slot"] == "green"
    (both,) = of_both(services)
    assert both["spec"]["selector"] == {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}


def test_the_report_says_who_divides_the_requests_of_a_canary() -> None:
    key = "services.app.x-slipway.canary"
    (shared,) = [outcome for outcome in meshed(changed("app", **CANARY)).outcomes if outcome.key == key]
    assert (shared.kind, shared.into) == (
        "translated",
        "a Deployment in each slot, and the weights of the VirtualService",
    )
    tcp = {"x-slipway": CANARY["x-slipway"]}
    (by_pods,) = [outcome for outcome in meshed(changed("app", **tcp)).outcomes if outcome.key == key]
    assert by_pods.kind == "inferred" and "share of the Pods" in by_pods.reason
