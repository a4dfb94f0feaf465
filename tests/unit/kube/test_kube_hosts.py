"""Names that a Pod has and knows, its labels and annotations."""

from typing import Any

from workload_release import objects, outcomes, part, release

from tasks.kube.plan.outcome import IGNORED, REFUSED, TRANSLATED


def pod(**service: Any) -> dict[str, Any]:
    said = part(release(app={"image": "app", **service}), "app")
    return {key: value for key, value in said.pod.items() if key != "terminationGracePeriodSeconds"}


def test_further_hosts_are_aliases_by_address() -> None:
    hosts = ["a=10.0.0.1", "b=10.0.0.1", "c=::1", "d:10.0.0.2"]
    assert pod(extra_hosts=hosts) == {
        "hostAliases": [
            {"ip": "10.0.0.1", "hostnames": ["a", "b"]},
            {"ip": "::1", "hostnames": ["c"]},
            {"ip": "10.0.0.2", "hostnames": ["d"]},
        ]
    }


def test_the_host_itself_is_refused() -> None:
    source = release(app={"image": "app", "extra_hosts": ["host.docker.internal=host-gateway"]})
    said = outcomes(source)["extra_hosts"]
    assert (said.kind, said.accept) == (REFUSED, "KUBE-EXTRA-HOSTS")
    assert "hostAliases" not in part(source, "app").pod


def test_name_servers_search_and_options() -> None:
    source = release(
        app={"image": "app", "dns": ["1.1.1.1"], "dns_search": ["corp.example"], "dns_opt": ["use-vc", "ndots:2"]}
    )
    assert part(source, "app").pod["dnsConfig"] == {
        "nameservers": ["1.1.1.1"],
        "searches": ["corp.example"],
        "options": [{"name": "use-vc"}, {"name": "ndots", "value": "2"}],
    }
    kinds = {key: outcomes(source)[key].kind for key in ("dns", "dns_search", "dns_opt")}
    assert kinds == {"dns": REFUSED, "dns_search": TRANSLATED, "dns_opt": TRANSLATED}


def test_a_hostname_is_one_when_it_is_a_label() -> None:
    assert pod(hostname="web-1") == {"hostname": "web-1"}
    assert pod(hostname="web.example") == {}
    assert outcomes(release(app={"image": "a", "hostname": "web.example"}))["hostname"].kind == IGNORED


def test_labels_that_kubernetes_takes_are_labels_and_others_annotations() -> None:
    said = {
        "team": "shop",
        "com.example.team": "",
        "traefik.rule": "Host(`a.example`)",
        "long": "x" * 64,
        "com.example/owner": "me",
        "a/b/c": "1",
        "-bad": "1",
        "cost": "1$$",
        "app.kubernetes.io/name": "other",
    }
    source = release(app={"image": "app", "labels": said})
    made = objects(source, "app")[0]["spec"]["template"]["metadata"]
    assert made == {
        "labels": {
            "team": "shop",
            "com.example.team": "",
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/name": "app",
        },
        "annotations": {
            "traefik.rule": "Host(`a.example`)",
            "long": "x" * 64,
            "com.example/owner": "me",
            "cost": "1$",
        },
    }
    lost = {key for key, outcome in outcomes(source).items() if outcome.kind == IGNORED}
    assert lost == {"labels.a/b/c", "labels.-bad", "labels.app.kubernetes.io/name"}


def test_annotations_are_those_of_pods_and_labels_of_the_deploy_those_of_the_workload() -> None:
    source = release(app={"image": "app", "annotations": {"a.b/c": "d"}, "deploy": {"labels": {"tier": "one two"}}})
    made = objects(source, "app")[0]
    assert made["metadata"]["annotations"] == {"tier": "one two"}
    assert made["spec"]["template"]["metadata"]["annotations"] == {"a.b/c": "d"}
