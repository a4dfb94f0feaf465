"""What injecting a fault does to which containers."""

from typing import Any

import pytest
from support import container, service

from tasks.chaos.plan.faults import amount, fault
from tasks.chaos.plan.injection import FaultRequest, blast, commands, planned, registries
from tasks.model.engine.facts import Container
from tasks.model.errors import InputError, RefusedError

WEB = container("shop-web-1", networks=("shop_front", "shop_back"), addresses=("172.18.0.2", "172.19.0.2"))
DB = container("shop-db-1", networks=("shop_back",), addresses=("172.19.0.3",), mounted=(("shop_data", "/data"),))


def words(name: str, *containers: Container, service: str = "db", **more: Any) -> list[tuple[str, ...]]:
    """Return the commands of a fault of 5 s."""
    found = planned("shop", wanted(name, service, **more), containers or (WEB, DB))
    return [command.argv for command in commands(found, "helper:1", "/run/docker.sock", {})]


def wanted(name: str, service: str = "db", seconds: float = 5.0, **more: Any) -> FaultRequest:
    return FaultRequest(fault(name), service, seconds, amount(fault(name), ""), **more)


def test_a_cut_between_two_services_is_made_in_the_network_of_the_one_against_the_addresses_of_the_other() -> None:
    [argv] = words("cut", source="web")
    assert "--network=container:id-shop-db-1" in argv and "--cap-drop=ALL" in argv
    assert [word for word in argv if word.startswith("--cap-add")] == ["--cap-add=NET_ADMIN"]
    assert argv[argv.index("helper:1") :] == (
        *("helper:1", "cut", "--seconds=5", "--peer=172.18.0.2", "--peer=172.19.0.2"),
    )
    assert not any("docker.sock" in word for word in argv), "the network needs no engine"


def test_a_helper_is_found_by_its_labels_and_its_name() -> None:
    [argv] = words("pause")
    assert "--name=shop-db-1-chaos-pause" in argv
    assert {"--label=slipway.chaos=shop", "--label=slipway.chaos.target=shop-db-1", "--restart=on-failure:5"} <= set(
        argv
    )
    assert not any("com.docker.compose" in word for word in argv), "it is no container of the stack"


def test_only_what_the_engine_has_to_do_gets_its_socket_and_only_a_kill_the_processes() -> None:
    rights = {name: " ".join(words(name)[0]) for name in ("pause", "kill", "loss", "disk-full", "cpu")}
    assert [name for name, text in rights.items() if "source=/run/docker.sock" in text] == ["pause", "kill", "cpu"]
    assert [name for name, text in rights.items() if "--pid=host" in text] == ["kill"]
    assert "--privileged" not in " ".join(rights.values())


def test_a_helper_that_fills_a_tmpfs_may_use_as_much_memory_as_that_takes() -> None:
    assert [name for name in ("disk-full", "cut", "pause") if "--memory=128m" not in words(name)[0]] == ["disk-full"]


def test_every_running_container_of_a_service_has_the_fault_and_no_job_of_it() -> None:
    second = container("shop-db-2", networks=("shop_back",))
    ended, oneoff = container("shop-db-3", state="exited"), container("shop-db-4", oneoff=True)
    names = [argv[3] for argv in words("stop", DB, second, ended, oneoff)]
    assert names == ["--name=shop-db-1-chaos-stop", "--name=shop-db-2-chaos-stop"]


def test_a_disk_is_that_of_the_only_volume_or_of_the_named_directory() -> None:
    assert "--mount=type=volume,source=shop_data,target=/volume" in words("disk-full")[0]
    assert "--inside=/tmp" in words("disk-full", path="/tmp/")[0]
    assert "--mount=type=volume,source=shop_data,target=/volume" in words("disk-full", path="/data")[0]
    with pytest.raises(InputError, match="which volume of shop-web-1"):
        words("disk-full", service="web")
    with pytest.raises(RefusedError, match="/etc is a directory of the host"):
        words("disk-full", container("shop-db-1", binds=(("/srv", "/etc"),)), path="/etc")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"networks": ("host",)}, "uses the network of the host"),
        ({"networks": (), "shares": ("id-x",)}, "has no network of its own"),
        ({"networks": ()}, "has no network of its own"),
    ],
)
def test_a_fault_is_not_made_in_a_network_of_others(target: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        words("cut", container("shop-db-1", **target))


def test_services_without_a_network_together_cannot_be_cut() -> None:
    with pytest.raises(InputError, match="in no network together"):
        words("cut", container("shop-web-1", networks=("shop_front",)), DB, source="web")


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("kill", {"source": "web"}, "--from: kill"),
        ("cut", {"path": "/data"}, "--path: cut"),
        ("cut", {"seconds": 3601.0}, "60 m 0 s at most|1 h 0 m at most"),
    ],
)
def test_an_option_that_means_nothing_is_refused(name: str, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        words(name, **more)


def test_a_service_that_does_not_run_has_no_faults() -> None:
    with pytest.raises(RefusedError, match="no container of db of shop runs"):
        words("kill", WEB)


def test_the_blast_radius_says_what_where_and_how_it_is_undone() -> None:
    lines = blast(planned("shop", wanted("loss", source="web"), (WEB, DB)))
    assert lines == (
        "loss: a share of its packets gets lost, each way (30 %); only the traffic with web (172.18.0.2, 172.19.0.2)",
        "containers: shop-db-1",
        "undone after 5.0 s, whatever becomes of this process: the rules are taken out of its network namespace",
    )


def test_a_certificate_takes_the_mounts_of_its_container_and_the_signal_of_the_service() -> None:
    [argv] = words("certificate-expired", signal="USR2", path="/etc/tls/web.pem")
    assert argv[argv.index("helper:1") :] == (
        *("helper:1", "certificate-expired", "--seconds=5", "--target=id-shop-db-1"),
        *("--inside=/etc/tls/web.pem", "--signal=USR2"),
    )
    assert "--privileged" not in argv and "--network=none" in argv
    with pytest.raises(RefusedError, match="on which signal db reads its certificate again"):
        words("certificate-expired")


def test_what_the_whole_host_has_is_made_once_and_says_who_has_it_too() -> None:
    away = FaultRequest(fault("registry-away"), "", 5.0, registries=("registry.example:5000",))
    found = planned("shop", away, ())
    [argv] = [command.argv for command in commands(found, "helper:1", "/run/docker.sock", {})]
    assert {"--name=shop-chaos-registry-away", "--label=slipway.chaos.target=the host", "--network=host"} <= set(argv)
    assert argv[-2:] == ("--peer=registry.example:5000", "--mark=shop")
    assert not any("docker.sock" in word for word in argv)
    assert blast(found, ("other", "third"))[1] == (
        "the whole host, of registry.example:5000; other projects on it: other, third"
    )
    [argv] = [
        command.argv
        for command in commands(
            planned("shop", FaultRequest(fault("engine-restart"), "", 0.0), ()), "helper:1", "/s", {}
        )
    ]
    assert {"--privileged", "--pid=host", "--cgroupns=host"} <= set(argv)
    assert "--security-opt=no-new-privileges" not in argv, "what it starts is the engine"


def test_a_fault_of_the_host_is_not_that_of_a_service_and_needs_a_registry() -> None:
    with pytest.raises(InputError, match="--service: the whole host has engine-restart"):
        planned("shop", FaultRequest(fault("engine-restart"), "db", 0.0), ())
    with pytest.raises(RefusedError, match="no image of shop is from a registry"):
        planned("shop", FaultRequest(fault("registry-away"), "", 5.0), ())


def test_the_registries_of_a_project_are_those_that_its_images_name_and_docker_hub_for_what_is_pulled() -> None:
    known = (
        service("web", image="registry.example:5000/shop/web:1", build={"context": "."}),
        service("api", image="ghcr.io/shop/api:1"),
        service("db", image="postgres:17"),
        service("local", image="shop-local", build={"context": "."}),
    )
    assert registries(known) == ("ghcr.io:443", "registry-1.docker.io:443", "registry.example:5000")
