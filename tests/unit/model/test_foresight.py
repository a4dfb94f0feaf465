"""What a deploy would refuse because of the Compose files, reported before anything runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from support import image, profile, stack

from tasks.model.engine.image_contents import aliases_reference
from tasks.model.errors import InputError
from tasks.model.stack.foresight import (
    RESERVED_SUFFIXES,
    Files,
    doubts,
    env_files,
    mounted_paths,
    refusals,
    refuse,
    upstream_paths,
)
from tasks.reconcile import state
from tasks.release import secret_key
from tasks.release.plan.release import repository

PROXY = {
    "volumes": [{"type": "volume", "source": "up", "target": "/etc/up"}],
    "networks": {"default": None},
    "x-slipway": {"proxy": {"upstreams": "/etc/up/servers/"}},
}
HEALTH = {"healthcheck": {"test": ["CMD", "true"], "interval": "1s"}}


def reasons(services: dict[str, Any], files: Files | None = None, top: Any = None, **values: str) -> list[str]:
    return [reason for reason, _ in refusals(stack(services, **(top or {})), profile(**values), files)]


JUDGED = {"metrics": {"port": 80}, "watch": {"errors": "1%"}}


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({**JUDGED, "rollout": "start-first"}, ""),
        (JUDGED, "services.web.x-slipway.watch: a service that is recreated is not watched"),
        ({"rollout": "start-first", "watch": {"errors": "1%"}}, "nothing says where its own metrics are"),
        ({**JUDGED, "rollout": "start-first", "metrics": {"exporter": "redis"}}, "nothing says where its own metrics"),
    ],
)
def test_numbers_judge_only_what_is_watched_and_has_numbers(own: dict[str, Any], reason: str) -> None:
    assert [reason in text for text in reasons({"web": {**HEALTH, "x-slipway": own}})] == ([True] if reason else [])


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
        ({"network_mode": "host"}, "network_mode: host: both would listen on the same ports"),
        ({"network_mode": "service:side"}, "network_mode: service:side: both would listen on the same ports"),
        ({"x-slipway": {"rollout": "start-first", "data": "/data"}}, "the same data directory"),
    ],
)
def test_a_rollout_is_refused_for_what_only_one_container_can_have(fields: dict[str, Any], reason: str) -> None:
    where = "services.web.x-slipway.rollout: start-first: two containers at once cannot have"

    assert reasons(start_first(**fields)) == [f"{where} {reason}"]
    assert reasons({"web": {key: value for key, value in fields.items() if key != "x-slipway"}}) == []
    assert reasons(start_first(**fields), KEEP_RELEASES="0") == [f"{where} {reason}"], "it is rolled out all the same"


@pytest.mark.parametrize("name", RESERVED_SUFFIXES)
def test_an_image_with_a_name_that_slipway_uses_is_refused(name: str) -> None:
    reason = f"image: shop-{name} is a name under which Slipway stores data of the project"

    assert reasons({name: {"build": {"context": "."}}}) == [f"services.{name}.{reason}"]
    assert reasons({"web": {"image": f"shop-{name}:1"}}) == [f"services.web.{reason}"]
    assert reasons({name: {"build": {"context": "."}, "image": f"shop/{name}"}, f"{name}s": {}}) == []


def test_slipway_stores_its_data_under_the_refused_names() -> None:
    images: list[str] = []

    class Shop:
        stack = SimpleNamespace(project="shop")
        engine = SimpleNamespace(image=images.append)

    project: Any = Shop()
    state.read(project)
    secret_key.find(project)
    names = {*(image.rpartition(":")[0] for image in images), repository("shop"), aliases_reference("shop")[0]}

    assert names == {f"shop-{name}" for name in RESERVED_SUFFIXES if name != "template"}


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
    def pair(first_port: str, second_port: str, **fields: Any) -> list[str]:
        first = {"ports": [{"target": 80, "published": first_port}]}
        return reasons({"a": first, "b": {"ports": [{"target": 81, "published": second_port, **fields}]}})

    reason = "services.a.ports and services.b.ports: both want port"
    assert pair("8080", "8080") == [f"{reason} 8080 of the host"]
    assert pair("8080", "8080", host_ip="127.0.0.1") == [f"{reason} 8080 and 127.0.0.1:8080 of the host"]
    assert pair("8080", "8080", protocol="udp") == []
    assert pair("8080-8081", "8080") == []
    assert pair("8080-8080", "8080-8080") == [f"{reason} 8080 of the host"]
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
        ({"volumes": []}, "neither a volume nor a bind mount"),
        ({"volumes": [{"type": "volume", "target": "/etc/upper"}]}, "neither a volume nor a bind mount"),
        ({"volumes": [{"type": "volume", "target": "/etc/up", "read_only": True}]}, "it is mounted read-only"),
        ({"networks": {"other": None}}, "shares no network with it"),
        ({"network_mode": "host", "networks": None}, "shares no network with it"),
    ],
)
def test_a_proxy_that_cannot_lead_to_new_containers_is_refused(front: dict[str, Any], reason: str) -> None:
    refused = reasons(blue_green(front))
    assert len(refused) == 1
    assert reason in refused[0]


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
    def refused(timeout: str, **health: str) -> list[str]:
        return reasons({"web": {"healthcheck": {"test": ["CMD", "true"], **health}}}, HEALTH_TIMEOUT=timeout)

    assert refused("60s", interval="1m0s") == [
        "services.web.healthcheck.interval: the first check comes after 1 m 0 s, and HEALTH_TIMEOUT leaves 1 m 0 s "
        "(environment)"
    ]
    assert "healthcheck.start_interval" in refused("20s", start_period="1m", start_interval="30s")[0]
    assert refused("20s", interval="1m", start_period="1m", start_interval="1s") == []
    assert refused("61s", interval="1m") == []
    assert reasons({"web": {"healthcheck": {"test": ["CMD"], "interval": "1h"}}}) == []


def test_missing_mounted_files_are_refused() -> None:
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


def test_a_missing_file_that_docker_would_create_as_a_directory_is_reported() -> None:
    def web(path: str) -> dict[str, Any]:
        mount = {"type": "bind", "source": path, "target": "/x", "bind": {"create_host_path": True}}
        return {"web": {"volumes": [mount]}}

    for path, doubted in (("/p/a.conf", True), ("/p/data", False), ("/p/.cache", False), ("/var/run/x.sock", False)):
        assert bool(unsure(web(path), Files("/p", frozenset({path})))) is doubted, path
    assert unsure(web("/p/a.conf"), Files("/p")) == []


def test_a_health_check_without_an_interval_may_be_too_slow() -> None:
    web = {"web": {"healthcheck": {"test": ["CMD", "true"]}}}
    assert "first check comes after 30.0 s" in unsure(web, HEALTH_TIMEOUT="20s")[0]
    assert unsure(web, HEALTH_TIMEOUT="40s") == []
    assert unsure(web) == []


def test_the_health_check_of_an_image_is_foreseen_where_it_is_known() -> None:
    slow = {"shop:1": image(health_check=True, health={"interval": 90.0})}

    def judge(services: dict[str, Any], timeout: str) -> tuple[list[str], list[str]]:
        shop, values = stack(services), profile(HEALTH_TIMEOUT=timeout)
        both = (refusals(shop, values, None, slow), doubts(shop, values, None, slow))
        return ([reason for reason, _ in both[0]], [reason for reason, _ in both[1]])

    web = {"image": "shop:1"}
    late = "the first check comes after 1 m 30 s"
    refused, doubted = judge({"web": web}, "20s")
    assert late in refused[0]
    assert "services.web.healthcheck.interval (of shop:1)" in refused[0]
    assert doubted == []
    assert judge({"web": web}, "2m") == judge({"web": web}, "") == ([], [])
    refused, doubted = judge({"web": {**web, "build": {"context": "."}}}, "20s")
    assert refused == [], "the image that is built may set another time"
    assert late in doubted[0]
    assert judge({"web": {**web, "healthcheck": {"interval": "1s"}}}, "20s") == ([], [])
    assert judge({"web": {**web, "healthcheck": {"disable": True}}}, "20s") == ([], [])


def test_live_has_to_name_a_bind_source_of_the_service() -> None:
    web = {"volumes": [{"type": "bind", "source": "/p/src", "target": "/src"}], "x-slipway": {"live": ["./src"]}}
    assert reasons({"web": web}, Files("/p")) == []
    wrong = {"web": {**web, "x-slipway": {"live": ["./scr"]}}}
    assert refusals(stack(wrong), profile(), Files("/p")) == [
        ("services.web.x-slipway.live: ./scr is no bind source of the service", "did you mean ./src? There are: ./src")
    ]


def test_all_refusals_are_reported_at_once() -> None:
    refuse([])
    with pytest.raises(InputError) as single:
        refuse([("a: b", "c")])
    assert (single.value.message, single.value.hint) == ("a: b", "c")
    with pytest.raises(InputError) as several:
        refuse([("a: b", "c"), ("d: e", "f")])
    assert several.value.message == "a: b (c)\nd: e (f)"


def test_env_files_are_found_in_each_way_of_writing_them() -> None:
    services = {
        "a": {"env_file": "one.env"},
        "b": {"env_file": ["two.env", {"path": "three.env"}, {"path": "four.env", "required": False}, "$X.env"]},
        "c": {"image": "x"},
        "d": None,
    }
    assert list(env_files({"services": services})) == [("a", "one.env"), ("b", "two.env"), ("b", "three.env")]
    assert list(env_files(None)) == []
