"""What a deploy would refuse for what the files say, known before it begins."""

from typing import Any

import pytest
from support import profile, stack

from tasks.plan.errors import InputError
from tasks.plan.foresight import Files, doubts, env_files, mounted_paths, refusals, refuse, upstream_paths

PROXY = {
    "volumes": [{"type": "volume", "source": "up", "target": "/etc/up"}],
    "networks": {"default": None},
    "x-slipway": {"proxy": {"upstreams": "/etc/up/servers/"}},
}
HEALTH = {"healthcheck": {"test": ["CMD", "true"], "interval": "1s"}}


def reasons(services: dict[str, Any], files: Files | None = None, top: Any = None, **values: str) -> list[str]:
    return [reason for reason, _ in refusals(stack(services, **(top or {})), profile(**values), files)]


def start_first(**fields: Any) -> dict[str, Any]:
    return {"web": {"x-slipway": {"rollout": "start-first"}, **fields}}


def blue_green(front: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    web = {"networks": {"default": None}, "x-slipway": {"rollout": "blue-green"}, **fields}
    return {"web": web, "front": {**PROXY, **(front or {})}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"container_name": "shop"}, "container_name: shop"),
        ({"ports": [{"target": 80, "published": "8080"}]}, "a published port: 8080"),
        ({"ports": [{"target": 80, "published": "8080-8081"}], "scale": 2}, "a published port: 8080-8081"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.7"}}}, "ipv4_address: 10.0.0.7"),
        ({"networks": {"default": {"ipv6_address": "2001:db8::7"}}}, "ipv6_address: 2001:db8::7"),
        ({"networks": {"default": {"mac_address": "02:42:ac:11:65:43"}}}, "mac_address: 02:42:ac:11:65:43"),
        ({"mac_address": "02:42:ac:11:65:43"}, "mac_address: 02:42:ac:11:65:43"),
        ({"network_mode": "host"}, "network_mode: host: both would listen in one place"),
        ({"network_mode": "service:side"}, "network_mode: service:side: both would listen in one place"),
        ({"x-slipway": {"rollout": "start-first", "data": "/data"}}, "the files of one data directory"),
    ],
)
def test_two_containers_at_once_cannot_have_what_there_is_once(fields: dict[str, Any], reason: str) -> None:
    where = "services.web.x-slipway.rollout: start-first: two containers at once cannot have"

    assert reasons(start_first(**fields)) == [f"{where} {reason}"]
    assert reasons({"web": {key: value for key, value in fields.items() if key != "x-slipway"}}) == []
    assert reasons(start_first(**fields), KEEP_RELEASES="0") == []


def test_a_range_that_has_room_for_old_and_new_is_fine() -> None:
    ports = [{"target": 80, "published": "8080-8082"}]

    assert reasons(start_first(ports=ports)) == []
    assert "a published port: 8080-8082" in reasons(start_first(ports=ports, scale=2))[0]
    one_by_one = {"update_config": {"parallelism": 1}, "replicas": 2}
    assert reasons(start_first(ports=ports, deploy=one_by_one)) == []


def test_what_asks_for_the_rollout_is_named() -> None:
    swarm = {"container_name": "web", "deploy": {"update_config": {"order": "start-first"}}}
    assert reasons({"web": swarm})[0].startswith("services.web.deploy.update_config.order: start-first: ")


def test_a_job_is_not_rolled_out() -> None:
    assert reasons(start_first(container_name="x", **{"x-slipway": {"rollout": "start-first", "job": "once"}})) == []


def test_two_services_cannot_want_one_port_of_the_host() -> None:
    def pair(one: str, other: str, **fields: Any) -> list[str]:
        first = {"ports": [{"target": 80, "published": one}]}
        return reasons({"a": first, "b": {"ports": [{"target": 81, "published": other, **fields}]}})

    said = "services.a.ports and services.b.ports: both want port"
    assert pair("8080", "8080") == [f"{said} 8080 of the host"]
    assert pair("8080", "8080", host_ip="127.0.0.1") == [f"{said} 8080 and 127.0.0.1:8080 of the host"]
    assert pair("8080", "8080", protocol="udp") == []
    assert pair("8080-8081", "8080") == []
    assert pair("8080-8080", "8080-8080") == [f"{said} 8080 of the host"]
    twice = [{"target": 80, "published": "8080"}, {"target": 81, "published": "8080"}]
    assert reasons({"a": {"ports": twice}}) == ["services.a.ports: 80 and 81: both want port 8080 of the host"]


def test_two_hosts_addresses_have_a_port_each() -> None:
    ports = [{"target": 80, "published": "80", "host_ip": host} for host in ("10.0.0.1", "10.0.0.2", "::1")]
    assert reasons({"a": {"ports": ports}}) == []


def test_replicas_need_a_port_and_an_address_each() -> None:
    assert reasons({"a": {"scale": 2, "ports": [{"target": 80, "published": "8080"}]}}) == [
        "services.a.ports: 2 containers cannot share 8080"
    ]
    address = {"networks": {"default": {"ipv4_address": "10.0.0.7"}}}
    assert reasons({"a": {**address, "scale": 2}}) == [
        "services.a.networks: ipv4_address: 10.0.0.7: 2 containers cannot share it"
    ]
    assert reasons({"a": address, "b": address}) == [
        "services.b.networks: ipv4_address: 10.0.0.7: service a has it already"
    ]


def test_blue_green_needs_a_proxy_that_runs() -> None:
    assert reasons({"web": {"x-slipway": {"rollout": "blue-green"}}}) == [
        "services.web.x-slipway.rollout: blue-green: no service says x-slipway.proxy"
    ]
    assert "the proxy front has no containers" in reasons(blue_green({"scale": 0}))[0]
    assert reasons(blue_green()) == []


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ({"volumes": []}, "no volume and no bind mount is there"),
        ({"volumes": [{"type": "volume", "target": "/etc/upper"}]}, "no volume and no bind mount is there"),
        ({"volumes": [{"type": "volume", "target": "/etc/up", "read_only": True}]}, "it is mounted read-only"),
        ({"networks": {"other": None}}, "shares no network with it"),
        ({"network_mode": "host", "networks": None}, "shares no network with it"),
    ],
)
def test_a_proxy_that_cannot_lead_to_new_containers_is_refused(front: dict[str, Any], reason: str) -> None:
    found = reasons(blue_green(front))
    assert len(found) == 1
    assert reason in found[0]


def test_the_upstream_file_of_a_bind_mount_is_read() -> None:
    services = blue_green({"volumes": [{"type": "bind", "source": "/srv/up", "target": "/etc/up"}]})
    path = "/srv/up/servers/web.conf"

    assert upstream_paths(stack(services)) == (path,)
    assert reasons(services, Files(upstreams={path: "upstream web { server web:8000; }"})) == []
    assert f"{path} does not exist" in reasons(services, Files(upstreams={path: None}))[0]
    assert "has no line `server web:PORT;`" in reasons(services, Files(upstreams={path: "server app:8000;"}))[0]
    assert reasons(services, Files()) == []


def test_a_rollout_without_a_health_check_is_refused_where_the_profile_asks_for_one() -> None:
    web = start_first(healthcheck={"disable": True})
    assert "its healthcheck is disabled" in reasons(web)[0]
    assert reasons(web, REQUIRE_HEALTHCHECK="false") == []
    assert reasons(start_first()) == []  # the image may have one


def test_a_health_check_that_answers_after_the_timeout_is_refused() -> None:
    def found(timeout: str, **health: str) -> list[str]:
        return reasons({"web": {"healthcheck": {"test": ["CMD", "true"], **health}}}, HEALTH_TIMEOUT=timeout)

    assert found("60s", interval="1m0s") == [
        "services.web.healthcheck.interval: the first check comes after 1 m 0 s, and HEALTH_TIMEOUT leaves 1 m 0 s "
        "(environment)"
    ]
    assert "healthcheck.start_interval" in found("20s", start_period="1m", start_interval="30s")[0]
    assert found("20s", interval="1m", start_period="1m", start_interval="1s") == []
    assert found("61s", interval="1m") == []
    assert reasons({"web": {"healthcheck": {"test": ["CMD"], "interval": "1h"}}}) == []


def test_what_a_service_mounts_has_to_be_there() -> None:
    def mount(path: str, **bind: bool) -> dict[str, Any]:
        return {"type": "bind", "source": path, "target": "/x", "bind": bind}

    services = {"web": {"volumes": [mount("/p/a"), mount("/p/b", create_host_path=True)], "configs": [{"source": "c"}]}}
    top = {"configs": {"c": {"file": "/p/c.conf"}}}
    files = Files("/p", frozenset({"/p/a", "/p/b", "/p/c.conf"}))

    assert mounted_paths(stack(services, **top)) == ("/p/a", "/p/b", "/p/c.conf")
    assert reasons(services, files, top) == [
        "services.web.volumes: /p/a does not exist", "services.web.configs: c: /p/c.conf does not exist"
    ]  # fmt: skip
    assert reasons(services, Files(), top) == []


def unsure(services: dict[str, Any], files: Files | None = None, **values: str) -> list[str]:
    return [reason for reason, _ in doubts(stack(services), profile(**values), files)]


def test_a_file_of_which_docker_would_make_a_directory_is_told() -> None:
    def web(path: str) -> dict[str, Any]:
        mount = {"type": "bind", "source": path, "target": "/x", "bind": {"create_host_path": True}}
        return {"web": {"volumes": [mount]}}

    for path, told in (("/p/a.conf", True), ("/p/data", False), ("/p/.cache", False), ("/var/run/x.sock", False)):
        assert bool(unsure(web(path), Files("/p", frozenset({path})))) is told, path
    assert unsure(web("/p/a.conf"), Files("/p")) == []


def test_a_health_check_without_an_interval_may_be_too_slow() -> None:
    web = {"web": {"healthcheck": {"test": ["CMD", "true"]}}}
    assert "first check comes after 30.0 s" in unsure(web, HEALTH_TIMEOUT="20s")[0]
    assert unsure(web, HEALTH_TIMEOUT="40s") == []
    assert unsure(web) == []


def test_what_is_said_to_be_read_live_is_a_bind_source() -> None:
    web = {"volumes": [{"type": "bind", "source": "/p/src", "target": "/src"}], "x-slipway": {"live": ["./src"]}}
    assert reasons({"web": web}, Files("/p")) == []
    wrong = {"web": {**web, "x-slipway": {"live": ["./scr"]}}}
    assert refusals(stack(wrong), profile(), Files("/p")) == [
        ("services.web.x-slipway.live: ./scr is no bind source of the service", "did you mean ./src? There are: ./src")
    ]


def test_all_refusals_are_told_at_once() -> None:
    refuse([])
    with pytest.raises(InputError) as one:
        refuse([("a: b", "c")])
    assert (one.value.message, one.value.hint) == ("a: b", "c")
    with pytest.raises(InputError) as two:
        refuse([("a: b", "c"), ("d: e", "f")])
    assert two.value.message == "a: b (c)\nd: e (f)"


def test_env_files_are_found_in_each_way_of_writing_them() -> None:
    services = {
        "a": {"env_file": "one.env"},
        "b": {"env_file": ["two.env", {"path": "three.env"}, {"path": "four.env", "required": False}, "$X.env"]},
        "c": {"image": "x"},
        "d": None,
    }
    assert list(env_files({"services": services})) == [("a", "one.env"), ("b", "two.env"), ("b", "three.env")]
    assert list(env_files(None)) == []
