"""Compares what containers may do with the CIS Docker Benchmark."""

from dataclasses import replace
from typing import Any

import pytest
from support import stack

from tasks.host.engine.parse import confined_from_inspect, host_from_info
from tasks.model.engine.confinement import DEFAULT_CAPABILITIES, Confined, Host, Mount, PublishedPort
from tasks.model.errors import InputError
from tasks.model.finding import HIGH, MEDIUM
from tasks.scan.plan.hardening import HEADERS, HardeningReport, Inspected, closing, judge

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


def report(host: Host = BARE, **fields: Any) -> HardeningReport:
    return judge(Inspected((replace(CLOSED, **fields),), host), {})


def items(report: HardeningReport) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in report.findings]


def test_a_hardened_container_has_no_findings() -> None:
    assert report().findings == ()


def test_a_container_with_the_defaults_of_docker_run_has_every_finding_of_a_default() -> None:
    report = judge(Inspected((Confined("shop-web-1", "web", network="bridge", ipc="private"),), BARE), {})

    assert [finding.id.removeprefix("CIS-") for finding in report.findings] == [
        *("4.1", "5.11", "5.13", "5.26", "5.29", "5.4", "5.12", "5.27", "5.30"),
    ]
    assert all(finding.advice and finding.where == "web" for finding in report.findings)


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
        ({"ports": (PublishedPort("127.0.0.1", 443, 8443),)}, "CIS-5.8", "low"),
        ({"network": "host"}, "CIS-5.10", "high"),
        ({"memory": 0}, "CIS-5.11", "medium"),
        ({"cpus": 0.0}, "CIS-5.12", "low"),
        ({"read_only": False}, "CIS-5.13", "medium"),
        ({"ports": (PublishedPort("", 8443, 8443),)}, "CIS-5.14", "medium"),
        ({"ports": (PublishedPort("::", 8443, 8443),)}, "CIS-5.14", "medium"),
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
        {"ports": (PublishedPort("10.0.0.7", 8443, 8443),)},
        {"mounts": (Mount("/etc/shop/secrets/password", "/run/secrets/password", False, "rprivate"),)},
    ],
)
def test_secure_settings_are_no_findings(fields: dict[str, Any]) -> None:
    assert report(**fields).findings == ()


def test_the_whole_file_system_of_the_host_is_two_items() -> None:
    assert items(report(mounts=(Mount("/", "/host", True),))) == [("CIS-5.32", "critical"), ("CIS-5.6", "high")]


def test_apparmor_and_selinux_are_required_where_the_engine_has_them() -> None:
    assert items(report(Host(apparmor=True))) == [("CIS-5.2", "high")]
    assert items(report(Host(apparmor=True), apparmor="docker-default")) == []
    assert items(report(Host(selinux=True), options=("no-new-privileges", "label:disable"))) == [("CIS-5.3", "high")]


def test_without_apparmor_and_selinux_their_items_are_unchecked() -> None:
    assert report().unchecked == ("CIS-5.2, CIS-5.3: the engine's host has neither AppArmor nor SELinux",)
    assert report(Host(selinux=True)).unchecked == ()


def test_an_engine_with_no_new_privileges_for_all_needs_no_option() -> None:
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
    both = replace(CLOSED, ports=(PublishedPort("", 8080, 80), PublishedPort("", 8443, 443)))
    report = judge(Inspected((both, replace(both, name="shop-web-2")), BARE), {})

    assert [finding.title for finding in report.findings] == [
        "port 8080 is open on every address of the host; port 8443 is open on every address of the host"
    ]


def test_the_advice_is_the_line_of_the_compose_file() -> None:
    hardening_report = report(ports=(PublishedPort("", 8080, 80),), pids=0)

    assert [finding.advice for finding in hardening_report.findings] == [
        'ports: ["127.0.0.1:8080:80"], or the address that clients come by',
        "pids_limit: 100",
    ]


def test_an_accepted_item_is_no_finding_and_keeps_its_reason() -> None:
    open_ = replace(CLOSED, ports=(PublishedPort("", 8080, 80),), restart="always")
    report = judge(
        Inspected((open_,), BARE), {"web": {"CIS-5.14": "the way in"}, "": {"CIS-5.15": "reboots"}, "db": {}}
    )

    assert report.findings == ()
    assert [(item.finding.id, item.reason) for item in report.accepted] == [
        ("CIS-5.14", "the way in"),
        ("CIS-5.15", "reboots"),
    ]


def test_an_item_that_another_service_accepts_is_still_a_finding() -> None:
    report = judge(Inspected((replace(CLOSED, restart="always"),), BARE), {"db": {"CIS-5.15": "reboots"}})

    assert items(report) == [("CIS-5.15", "low")]


def test_the_gate_closes_at_its_severity_and_above() -> None:
    findings = report(user="", pids=0, restart="always").findings

    assert [finding.id for finding in closing(findings, HIGH)] == ["CIS-4.1"]
    assert [finding.id for finding in closing(findings, MEDIUM)] == ["CIS-4.1", "CIS-5.29"]
    assert closing(findings, "none") == ()


def test_the_table_has_a_cell_for_each_header() -> None:
    row = replace(CLOSED, dropped=(), ports=(PublishedPort("::", 8080, 80),)).row(BARE)

    assert len(row) == len(HEADERS)
    assert row[:3] == ("shop-web-1", "65532:65532", "default")
    assert "[::]:8080->80/tcp" in row


def test_compose_files_accept_items_with_a_reason() -> None:
    shop = stack(
        {"web": {"x-slipway": {"accept": {"CIS-5.14": "the way in"}}}, "db": {}},
        **{"x-slipway": {"accept": {"CIS-5.15": "reboots"}}},
    )

    assert shop.accepts() == {"": {"CIS-5.15": "reboots"}, "web": {"CIS-5.14": "the way in"}, "db": {}}


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


def test_a_container_is_read_from_the_engines_inspect() -> None:
    container = confined_from_inspect(
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

    assert (container.service, container.user, container.cpus, container.pids, container.health_check) == (
        "web",
        "101",
        0.5,
        0,
        False,
    )
    assert container.network == "shop_a,shop_b"
    assert container.ports == (PublishedPort("", 32768, 80), PublishedPort("", 9001, 81))
    assert container.mounts == (Mount("/srv/a", "/a", True, "rprivate"),)
    assert (container.restart, container.retries, container.apparmor) == ("on-failure", 3, "docker-default")


def test_a_host_is_read_from_the_engines_info() -> None:
    options = ["name=apparmor", "name=seccomp,profile=builtin", "name=no-new-privileges"]

    assert host_from_info({"SecurityOptions": options}) == Host(apparmor=True, no_new_privileges=True)
    assert host_from_info({}) == Host()
