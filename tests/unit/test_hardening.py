"""What a container may do, held against the CIS Docker Benchmark."""

from dataclasses import replace
from typing import Any

import pytest
from support import stack

from tasks.host.engine_facts import confined_from_inspect, host_from_info
from tasks.plan.errors import InputError
from tasks.plan.finding import HIGH, MEDIUM
from tasks.plan.hardening import (
    DEFAULT_CAPABILITIES,
    HEADERS,
    Confined,
    Host,
    Mount,
    Published,
    Report,
    closing,
    judge,
)

BARE = Host()
CLOSED = Confined(
    "shop-web-1",
    "web",
    user="65532:65532",
    dropped=("ALL",),
    network="shop_backend",
    read_only=True,
    memory=2**27,
    cpus=1.0,
    pids=100,
    options=("no-new-privileges:true",),
    ipc="private",
    health_check=True,
)


def report(host: Host = BARE, **fields: Any) -> Report:
    return judge([replace(CLOSED, **fields)], host, {})


def items(found: Report) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in found.findings]


def test_a_closed_container_differs_in_nothing() -> None:
    assert report().findings == ()


def test_a_container_as_docker_run_makes_it_differs_in_all_that_can_be_said_in_compose() -> None:
    found = judge([Confined("shop-web-1", "web", network="bridge", ipc="private")], BARE, {})

    assert [one.id.removeprefix("CIS-") for one in found.findings] == [
        *("4.1", "5.11", "5.13", "5.26", "5.29", "5.4", "5.12", "5.27", "5.30"),
    ]
    assert all(one.advice and one.where == "web" for one in found.findings)


@pytest.mark.parametrize(
    ("fields", "item", "severity"),
    [
        ({"user": ""}, "CIS-4.1", "high"),
        ({"user": "0:0"}, "CIS-4.1", "high"),
        ({"user": "root"}, "CIS-4.1", "high"),
        ({"dropped": ()}, "CIS-5.4", "medium"),
        ({"dropped": ("NET_RAW",)}, "CIS-5.4", "medium"),
        ({"added": ("CAP_SYS_ADMIN",)}, "CIS-5.4", "high"),
        ({"added": ("all",)}, "CIS-5.4", "critical"),
        ({"privileged": True}, "CIS-5.5", "critical"),
        ({"mounts": (Mount("/etc", "/host", False),)}, "CIS-5.6", "high"),
        ({"mounts": (Mount("/proc/1", "/init", False),)}, "CIS-5.6", "high"),
        ({"ports": (Published("127.0.0.1", 443, 8443),)}, "CIS-5.8", "low"),
        ({"network": "host"}, "CIS-5.10", "high"),
        ({"memory": 0}, "CIS-5.11", "medium"),
        ({"cpus": 0.0}, "CIS-5.12", "low"),
        ({"read_only": False}, "CIS-5.13", "medium"),
        ({"ports": (Published("", 8443, 8443),)}, "CIS-5.14", "medium"),
        ({"ports": (Published("::", 8443, 8443),)}, "CIS-5.14", "medium"),
        ({"restart": "always"}, "CIS-5.15", "low"),
        ({"restart": "on-failure", "retries": 6}, "CIS-5.15", "low"),
        ({"restart": "on-failure"}, "CIS-5.15", "low"),
        ({"pid": "host"}, "CIS-5.16", "high"),
        ({"ipc": "host"}, "CIS-5.17", "high"),
        ({"devices": ("/dev/kvm",)}, "CIS-5.18", "high"),
        ({"mounts": (Mount("/srv/x", "/x", True, "rshared"),)}, "CIS-5.20", "medium"),
        ({"uts": "host"}, "CIS-5.21", "high"),
        ({"options": ("no-new-privileges", "seccomp=unconfined")}, "CIS-5.22", "high"),
        ({"options": ()}, "CIS-5.26", "medium"),
        ({"options": ("no-new-privileges:false",)}, "CIS-5.26", "medium"),
        ({"health_check": False}, "CIS-5.27", "low"),
        ({"pids": 0}, "CIS-5.29", "medium"),
        ({"pids": -1}, "CIS-5.29", "medium"),
        ({"network": "bridge"}, "CIS-5.30", "low"),
        ({"userns": "host"}, "CIS-5.31", "high"),
        ({"mounts": (Mount("/run/user/1000/docker.sock", "/s", False),)}, "CIS-5.32", "critical"),
        ({"mounts": (Mount("/run/podman/podman.sock", "/s", False),)}, "CIS-5.32", "critical"),
        ({"mounts": (Mount("/var/run/crio/crio.sock", "/s", False),)}, "CIS-5.32", "critical"),
        ({"mounts": (Mount("/var/run", "/s", False),)}, "CIS-5.32", "critical"),
    ],
)
def test_each_item_is_found_alone(fields: dict[str, Any], item: str, severity: str) -> None:
    assert items(report(**fields)) == [(item, severity)]


@pytest.mark.parametrize(
    "fields",
    [
        {"added": ("NET_BIND_SERVICE",)},
        {"restart": "on-failure", "retries": 5},
        {"restart": "no"},
        {"cpus": 0.0, "cpu_shares": 512},
        {"options": ("no-new-privileges",)},
        {"ports": (Published("10.0.0.7", 8443, 8443),)},
        {"mounts": (Mount("/etc/shop/secrets/password", "/run/secrets/password", False, "rprivate"),)},
    ],
)
def test_what_is_as_it_should_be_is_not_found(fields: dict[str, Any]) -> None:
    assert report(**fields).findings == ()


def test_the_whole_file_system_of_the_host_is_two_items() -> None:
    assert items(report(mounts=(Mount("/", "/host", True),))) == [("CIS-5.32", "critical"), ("CIS-5.6", "high")]


def test_apparmor_and_selinux_are_asked_for_where_the_engine_has_them() -> None:
    assert items(report(Host(apparmor=True))) == [("CIS-5.2", "high")]
    assert items(report(Host(apparmor=True), apparmor="docker-default")) == []
    assert items(report(Host(selinux=True), options=("no-new-privileges", "label:disable"))) == [("CIS-5.3", "high")]


def test_where_the_engine_has_neither_it_says_that_nothing_was_checked() -> None:
    assert report().unchecked == ("CIS-5.2, CIS-5.3: the engine's host has neither AppArmor nor SELinux",)
    assert report(Host(selinux=True)).unchecked == ()


def test_an_engine_that_gives_nobody_new_privileges_need_not_be_told() -> None:
    assert report(Host(no_new_privileges=True), options=()).findings == ()
    assert items(report(Host(no_new_privileges=True), options=("no-new-privileges:false",))) == [("CIS-5.26", "medium")]


@pytest.mark.parametrize(
    ("added", "dropped", "left"),
    [
        ((), (), tuple(sorted(DEFAULT_CAPABILITIES))),
        ((), ("ALL",), ()),
        (("CAP_NET_RAW",), ("all",), ("NET_RAW",)),
        (("SYS_TIME",), ("NET_RAW",), tuple(sorted(DEFAULT_CAPABILITIES - {"NET_RAW"} | {"SYS_TIME"}))),
        (("ALL",), (), ("ALL",)),
        (("ALL",), ("SYS_ADMIN",), ("ALL but SYS_ADMIN",)),
    ],
)
def test_capabilities_are_the_default_without_the_dropped_and_the_added(
    added: tuple[str, ...], dropped: tuple[str, ...], left: tuple[str, ...]
) -> None:
    assert replace(CLOSED, added=added, dropped=dropped).capabilities == left


def test_two_ports_and_two_containers_of_a_service_are_one_finding() -> None:
    both = replace(CLOSED, ports=(Published("", 8080, 80), Published("", 8443, 443)))
    found = judge([both, replace(both, name="shop-web-2")], BARE, {})

    assert [one.title for one in found.findings] == [
        "port 8080 is open on every address of the host; port 8443 is open on every address of the host"
    ]


def test_the_advice_is_the_line_of_the_compose_file() -> None:
    found = report(ports=(Published("", 8080, 80),), pids=0)

    assert [one.advice for one in found.findings] == [
        'ports: ["127.0.0.1:8080:80"], or the address that clients come by',
        "pids_limit: 100",
    ]


def test_an_accepted_item_is_no_finding_and_keeps_its_reason() -> None:
    open_ = replace(CLOSED, ports=(Published("", 8080, 80),), restart="always")
    found = judge([open_], BARE, {"web": {"CIS-5.14": "the way in"}, "": {"CIS-5.15": "reboots"}, "db": {}})

    assert found.findings == ()
    assert [(one.finding.id, one.reason) for one in found.accepted] == [
        ("CIS-5.14", "the way in"),
        ("CIS-5.15", "reboots"),
    ]


def test_what_another_service_accepts_does_not_count() -> None:
    found = judge([replace(CLOSED, restart="always")], BARE, {"db": {"CIS-5.15": "reboots"}})

    assert items(found) == [("CIS-5.15", "low")]


def test_the_gate_closes_at_its_severity_and_above() -> None:
    found = report(user="", pids=0, restart="always").findings

    assert [one.id for one in closing(found, HIGH)] == ["CIS-4.1"]
    assert [one.id for one in closing(found, MEDIUM)] == ["CIS-4.1", "CIS-5.29"]
    assert closing(found, "none") == ()


def test_the_table_has_a_cell_for_each_header() -> None:
    row = replace(CLOSED, dropped=(), ports=(Published("::", 8080, 80),)).row(BARE)

    assert len(row) == len(HEADERS)
    assert row[:3] == ("shop-web-1", "65532:65532", "default")
    assert "[::]:8080->80/tcp" in row


def test_compose_files_accept_items_with_a_reason() -> None:
    found = stack(
        {"web": {"x-slipway": {"accept": {"CIS-5.14": "the way in"}}}, "db": {}},
        **{"x-slipway": {"accept": {"CIS-5.15": "reboots"}}},
    )

    assert found.accepts() == {"": {"CIS-5.15": "reboots"}, "web": {"CIS-5.14": "the way in"}, "db": {}}


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ({"5.14": "x"}, "no item of the report is called '5.14'"),
        ({"CIS-5.14": ""}, "expected the reason, got ''"),
        ({"CIS-5.14": None}, "expected the reason, got None"),
        (["CIS-5.14"], "expected a mapping"),
    ],
)
def test_an_acceptance_without_item_or_reason_is_refused(accept: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"services\.web\.x-slipway\.accept") as caught:
        stack({"web": {"x-slipway": {"accept": accept}}})
    assert message in caught.value.message


def test_the_engines_description_is_read() -> None:
    found = confined_from_inspect(
        {
            "Name": "/shop-web-1",
            "AppArmorProfile": "docker-default",
            "Config": {
                "User": "101",
                "Labels": {"com.docker.compose.service": "web"},
                "Healthcheck": {"Test": ["NONE"]},
            },
            "HostConfig": {
                "CapAdd": None,
                "CapDrop": ["ALL"],
                "CpuQuota": 50000,
                "CpuPeriod": 100000,
                "PidsLimit": None,
                "NetworkMode": "shop_backend",
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}], "81/tcp": [{"HostPort": "9000-9010"}]},
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            },
            "Mounts": [
                {"Type": "bind", "Source": "/srv/a", "Destination": "/a", "RW": True, "Propagation": "rprivate"},
                {"Type": "volume", "Source": "/var/lib/docker/volumes/x/_data", "Destination": "/x", "RW": True},
            ],
            "NetworkSettings": {
                "Networks": {"shop_b": {}, "shop_a": {}},
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "81/tcp": [{"HostPort": "9001"}]},
            },
        }
    )

    assert (found.service, found.user, found.cpus, found.pids, found.health_check) == ("web", "101", 0.5, 0, False)
    assert found.network == "shop_a,shop_b"
    assert found.ports == (Published("", 32768, 80), Published("", 9001, 81))
    assert found.mounts == (Mount("/srv/a", "/a", True, "rprivate"),)
    assert (found.restart, found.retries, found.apparmor) == ("on-failure", 3, "docker-default")


def test_an_engine_says_what_it_confines_with() -> None:
    options = ["name=apparmor", "name=seccomp,profile=builtin", "name=no-new-privileges"]

    assert host_from_info({"SecurityOptions": options}) == Host(apparmor=True, no_new_privileges=True)
    assert host_from_info({}) == Host()
