"""What a throw-away copy shares with what runs: nothing; what it gets instead, and what is refused."""

from typing import Any

import pytest

from tasks.plan import shared, throwaway
from tasks.plan.errors import RefusedError
from tasks.plan.shared import DATA, DIRECTORY, SPECIAL, TEXT
from tasks.plan.stack import parse
from tasks.plan.throwaway import Copy


def bind(source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, **({"read_only": True} if read_only else {})}


def model(services: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"name": "shop", "services": services, **top}


def faults(services: dict[str, Any], kinds: dict[str, str] | None = None) -> list[str]:
    try:
        shared.refuse(model(services), services, kinds or {})
    except RefusedError as error:
        return error.message.splitlines()[1:]
    return []


def test_a_directory_that_can_be_written_to_is_an_empty_volume_for_all_that_mount_it() -> None:
    services = {
        "store": {"volumes": [bind("/srv/data", "/data")]},
        "backup": {"volumes": [bind("/srv/data", "/from", read_only=True), bind("/srv/conf", "/conf", read_only=True)]},
    }
    own = shared.own_volumes(model(services), {"/srv/data": DIRECTORY, "/srv/conf": DIRECTORY})
    assert own == {"/srv/data": "slipway-own-1"}
    assert shared.mounts(services["store"], own) == [{"type": "volume", "source": "slipway-own-1", "target": "/data"}]
    assert shared.mounts(services["backup"], own) == [
        {"type": "volume", "source": "slipway-own-1", "target": "/from", "read_only": True},
        bind("/srv/conf", "/conf", read_only=True),
    ]


def test_a_directory_that_is_not_there_yet_is_not_made_on_the_host() -> None:
    assert shared.own_volumes(model({"a": {"volumes": [bind("/srv/new", "/new")]}}), {}) == {
        "/srv/new": "slipway-own-1"
    }


def test_a_file_of_text_is_mounted_so_that_it_cannot_be_written_to() -> None:
    services = {"web": {"volumes": [bind("/srv/web.conf", "/etc/web.conf"), {"type": "tmpfs", "target": "/tmp"}]}}
    own = shared.own_volumes(model(services), {"/srv/web.conf": TEXT})
    assert own == {}
    assert shared.mounts(services["web"], own) == [
        bind("/srv/web.conf", "/etc/web.conf", read_only=True),
        {"type": "tmpfs", "target": "/tmp"},
    ]
    assert shared.told(model(services), services, {"/srv/web.conf": TEXT}) == (
        "web: /etc/web.conf cannot be written to in the copy: it is /srv/web.conf",
    )


def test_everything_that_cannot_be_copied_is_refused_at_once_by_name() -> None:
    services = {
        "agent": {"network_mode": "host", "pid": "host", "ipc": "container:else", "devices": ["/dev/sda:/dev/sda:rwm"]},
        "old": {"volumes_from": ["container:live:ro", "agent"], "external_links": ["live:db"]},
        "proxy": {"volumes": [bind("/var/run/docker.sock", "/sock", read_only=True), bind("/srv/pipe", "/pipe")]},
        "notes": {"volumes": [bind("/srv/notes.db", "/notes.db")]},
        "new": {"use_api_socket": True, "provider": {"type": "cloud"}},
    }
    kinds = {"/var/run/docker.sock": SPECIAL, "/srv/pipe": SPECIAL, "/srv/notes.db": DATA}
    assert [one.split(" (")[0] for one in faults(services, kinds)] == [
        "agent: network_mode: host",
        "agent: pid: host",
        "agent: ipc: container:else",
        "agent: devices: /dev/sda",
        "old: volumes_from: container:live:ro",
        "old: external_links: live:db",
        "proxy: volumes: /var/run/docker.sock:/sock:ro",
        "proxy: volumes: /srv/pipe:/pipe",
        "notes: volumes: /srv/notes.db:/notes.db",
        "new: use_api_socket",
        "new: provider",
    ]


@pytest.mark.parametrize(
    "raw",
    [
        {"network_mode": "none", "pid": "service:other", "ipc": "shareable"},
        {"devices": [{"source": "/dev/fuse", "target": "/dev/fuse"}, "/dev/dri/card0:/dev/dri/card0"]},
        {"volumes_from": ["other"], "links": ["other"]},
        {"volumes": [bind("/", "/host", read_only=True), bind("/srv/cert.p12", "/cert.p12", read_only=True)]},
    ],
)
def test_what_is_the_stacks_own_or_takes_nothing_from_anybody_is_fine(raw: dict[str, Any]) -> None:
    assert faults({"a": raw, "other": {}}, {"/": DIRECTORY, "/srv/cert.p12": DATA}) == []


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"environment": {"HOST": "10.9.0.3"}}, "environment: HOST"),
        ({"environment": {"URL": "redis://10.9.0.3:6379/0"}}, "environment: URL"),
        ({"command": ["serve", "--peer=[fd00::3]:80"]}, "command"),
        ({"extra_hosts": ["db:10.9.0.3"]}, "extra_hosts"),
        ({"healthcheck": {"test": ["CMD", "ping", "10.9.0.3"]}}, "healthcheck: test"),
    ],
)
def test_who_names_a_fixed_address_would_reach_what_runs(raw: dict[str, Any], where: str) -> None:
    db = {"networks": {"back": {"ipv4_address": "10.9.0.3", "ipv6_address": "fd00::3"}}}
    (found,) = faults({"db": db, "web": raw})
    assert found.startswith(f"web: {where}: ")
    assert found.endswith("is the address of the db that runs; name the service")


def test_other_addresses_that_look_alike_are_no_fault() -> None:
    db = {"networks": {"back": {"ipv4_address": "10.9.0.3"}}}
    assert faults({"db": db, "web": {"environment": {"A": "10.9.0.31", "B": "110.9.0.3", "C": "10.9.0.3.4"}}}) == []


def test_addresses_subnets_and_drivers_are_not_the_copys() -> None:
    raw = {"networks": {"back": {"ipv4_address": "10.9.0.3", "aliases": ["db"]}, "front": {"mac_address": "02::1"}}}
    assert shared.attached(raw) == {"back": {"aliases": ["db"]}, "front": None}
    assert shared.attached({"networks": {"back": {"aliases": ["db"]}, "front": None}}) is None
    options = {"com.docker.network.bridge.name": "br0", "com.docker.network.driver.mtu": "1400"}
    network = {
        "name": "live", "external": True, "driver": "macvlan", "driver_opts": options, "internal": True,
        "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}, "enable_ipv6": True,
    }  # fmt: skip
    assert shared.network(network) == {"internal": True, "driver_opts": {"com.docker.network.driver.mtu": "1400"}}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ({"driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": "/srv/live"}}, {}),
        ({"driver_opts": {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/live"}}, {}),
        ({"driver": "rexray", "driver_opts": {"size": "10"}}, {}),
        ({"external": True, "name": "live"}, {}),
        ({"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}},
         {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}),
    ],
)  # fmt: skip
def test_a_volume_of_a_copy_is_nowhere_but_on_its_engine(raw: dict[str, Any], kept: dict[str, Any]) -> None:
    assert shared.volume(raw) == kept


def test_what_is_there_once_is_left_out() -> None:
    raw = {
        "ports": [{"target": 1}], "container_name": "x", "mac_address": "02::1", "cgroup_parent": "live.slice",
        "uts": "host", "userns_mode": "host", "cgroup": "host", "network_mode": "bridge",
        "logging": {"driver": "syslog"},
    }  # fmt: skip
    assert set(shared.resets(raw)) == set(raw)
    assert shared.resets({"cgroup": "private", "network_mode": "none", "logging": {"driver": "json-file"}}) == ()


def test_a_copy_that_compose_did_not_understand_is_found_out() -> None:
    labels = {"networks": {"back": {"name": "shop-it-1_back"}}, "volumes": {"data": {"name": "shop-it-1_data"}}}
    assert shared.remaining(model({"a": {"volumes": [bind("/c", "/c", read_only=True)]}}, **labels), "shop-it-1") == ()
    services = {
        "a": {"ports": [{"target": 1}], "volumes": [bind("/d", "/d")], "networks": {"b": {"ipv4_address": "1"}}}
    }
    networks = {"back": {"name": "shop_back"}, "b": {"name": "shop-it-1_b", "ipam": {"config": [{"subnet": "x"}]}}}
    volumes = {"data": {"name": "shop-it-1_data", "external": True}}
    assert shared.remaining(model(services, networks=networks, volumes=volumes), "shop-it-1") == (
        "networks: back", "networks: b", "volumes: data", "a: ports", "a: networks", "a: volumes: /d:/d",
    )  # fmt: skip


def test_a_dollar_in_a_path_is_doubled_once() -> None:
    found = model({"a": {"image": "a", "volumes": [bind("/srv/a$b", "/a")]}})
    copy = Copy("shop-it-1", "shop", "here:1:2", ("a",), kinds={"/srv/a$b": TEXT})
    text = throwaway.override(found, parse(found), copy)
    assert '"/srv/a$$b"' in text
