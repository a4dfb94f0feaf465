"""Tests that a throw-away copy shares nothing with running containers: what it gets instead, what is refused."""

from typing import Any

import pytest

from tasks.model.errors import RefusedError
from tasks.model.stack.stack import parse
from tasks.test.plan import shared, stack
from tasks.test.plan.shared import DATA, DIRECTORY, SPECIAL, TEXT
from tasks.test.plan.stack import Copy


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


def test_a_writable_directory_is_the_same_empty_volume_for_all_services_that_mount_it() -> None:
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


def test_a_directory_that_does_not_exist_is_not_created_on_the_host() -> None:
    assert shared.own_volumes(model({"a": {"volumes": [bind("/srv/new", "/new")]}}), {}) == {
        "/srv/new": "slipway-own-1"
    }


def test_a_text_file_is_mounted_read_only() -> None:
    services = {"web": {"volumes": [bind("/srv/web.conf", "/etc/web.conf"), {"type": "tmpfs", "target": "/tmp"}]}}
    own = shared.own_volumes(model(services), {"/srv/web.conf": TEXT})
    assert own == {}
    assert shared.mounts(services["web"], own) == [
        bind("/srv/web.conf", "/etc/web.conf", read_only=True),
        {"type": "tmpfs", "target": "/tmp"},
    ]
    assert shared.mount_notes(model(services), services, {"/srv/web.conf": TEXT}) == (
        "web: /etc/web.conf cannot be written to in the copy: it is /srv/web.conf",
    )


def test_everything_that_cannot_be_copied_is_named_in_a_single_refusal() -> None:
    services = {
        "agent": {"network_mode": "host", "pid": "host", "ipc": "container:else", "devices": ["/dev/sda:/dev/sda:rwm"]},
        "old": {"volumes_from": ["container:live:ro", "agent"], "external_links": ["live:db"]},
        "proxy": {"volumes": [bind("/var/run/docker.sock", "/sock", read_only=True), bind("/srv/pipe", "/pipe")]},
        "notes": {"volumes": [bind("/srv/notes.db", "/notes.db")]},
        "new": {"use_api_socket": True, "provider": {"type": "cloud"}},
    }
    kinds = {"/var/run/docker.sock": SPECIAL, "/srv/pipe": SPECIAL, "/srv/notes.db": DATA}
    assert [fault.split(" (")[0] for fault in faults(services, kinds)] == [
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
def test_settings_that_share_nothing_outside_of_the_stack_are_accepted(raw: dict[str, Any]) -> None:
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
def test_a_fixed_address_of_a_service_is_refused(raw: dict[str, Any], where: str) -> None:
    db = {"networks": {"back": {"ipv4_address": "10.9.0.3", "ipv6_address": "fd00::3"}}}
    (fault,) = faults({"db": db, "web": raw})
    assert fault.startswith(f"web: {where}: ")
    assert fault.endswith("is the address of the running db; use the service's name")


def test_similar_addresses_are_accepted() -> None:
    db = {"networks": {"back": {"ipv4_address": "10.9.0.3"}}}
    assert faults({"db": db, "web": {"environment": {"A": "10.9.0.31", "B": "110.9.0.3", "C": "10.9.0.3.4"}}}) == []


def test_a_copy_has_no_fixed_addresses_subnets_and_network_drivers() -> None:
    raw = {"networks": {"back": {"ipv4_address": "10.9.0.3", "aliases": ["db"]}, "front": {"mac_address": "02::1"}}}
    assert shared.copy_attachments(raw) == {"back": {"aliases": ["db"]}, "front": None}
    assert shared.copy_attachments({"networks": {"back": {"aliases": ["db"]}, "front": None}}) is None
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
def test_a_volume_of_a_copy_has_no_place_outside_of_the_engine(raw: dict[str, Any], kept: dict[str, Any]) -> None:
    assert shared.volume(raw) == kept


def test_keys_that_name_something_that_exists_only_once_are_reset() -> None:
    raw = {
        "ports": [{"target": 1}], "container_name": "x", "mac_address": "02::1", "cgroup_parent": "live.slice",
        "uts": "host", "userns_mode": "host", "cgroup": "host", "network_mode": "bridge",
        "logging": {"driver": "syslog"},
    }  # fmt: skip
    assert set(shared.reset_keys(raw)) == set(raw)
    assert shared.reset_keys({"cgroup": "private", "network_mode": "none", "logging": {"driver": "json-file"}}) == ()


def test_what_a_resolved_copy_still_shares_is_listed() -> None:
    labels = {"networks": {"back": {"name": "shop-it-1_back"}}, "volumes": {"data": {"name": "shop-it-1_data"}}}
    assert (
        shared.still_shared(model({"a": {"volumes": [bind("/c", "/c", read_only=True)]}}, **labels), "shop-it-1") == ()
    )
    services = {
        "a": {"ports": [{"target": 1}], "volumes": [bind("/d", "/d")], "networks": {"b": {"ipv4_address": "1"}}}
    }
    networks = {"back": {"name": "shop_back"}, "b": {"name": "shop-it-1_b", "ipam": {"config": [{"subnet": "x"}]}}}
    volumes = {"data": {"name": "shop-it-1_data", "external": True}}
    assert shared.still_shared(model(services, networks=networks, volumes=volumes), "shop-it-1") == (
        "networks: back", "networks: b", "volumes: data", "a: ports", "a: networks", "a: volumes: /d:/d",
    )  # fmt: skip


def test_a_dollar_in_a_path_is_doubled_once() -> None:
    document = model({"a": {"image": "a", "volumes": [bind("/srv/a$b", "/a")]}})
    copy = Copy("shop-it-1", "shop", "here:1:2", ("a",), kinds={"/srv/a$b": TEXT})
    text = stack.override(document, parse(document), copy)
    assert '"/srv/a$$b"' in text
