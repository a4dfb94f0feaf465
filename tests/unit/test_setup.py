"""Making a machine ready."""

from dataclasses import replace

import pytest

from tasks.plan.doctor import judge_tool
from tasks.plan.errors import RefusedError
from tasks.plan.setup import Machine, certificate, clear, install, rootfs, start_engine

BARE = Machine(
    distribution="debian",
    codename="trixie",
    root=True,
    sudo=False,
    systemd=False,
    mirror="http://mirror.example.com/debian",
    keyring="/usr/share/keyrings/debian-archive-keyring.gpg",
    findings=(judge_tool("compose", None), judge_tool("buildx", None)),
    missing_programs=("git", "openssl"),
)
READY = replace(
    BARE,
    findings=(judge_tool("compose", "2.26.1"), judge_tool("buildx", "0.13.1")),
    missing_programs=(),
    engine_installed=True,
    engine_answers=True,
)


def lines(machine: Machine) -> list[str]:
    return [command.shell() for command in install(machine)]


def test_where_all_is_there_nothing_is_installed() -> None:
    assert install(READY) == ()


def test_where_all_is_there_any_system_will_do() -> None:
    assert install(replace(READY, distribution="fedora", root=False)) == ()


def test_a_bare_debian_gets_the_packages_of_its_own_suite() -> None:
    assert lines(BARE) == [
        "apt-get update -qq",
        "apt-get install -y -qq -o=Dpkg::Use-Pty=0 --no-install-recommends "
        "docker.io docker-cli docker-compose docker-buildx iptables git openssl",
    ]


def test_ubuntu_calls_its_packages_by_other_names() -> None:
    assert lines(replace(BARE, distribution="ubuntu", codename="noble", missing_programs=()))[1] == (
        "apt-get install -y -qq -o=Dpkg::Use-Pty=0 --no-install-recommends "
        "docker.io docker-compose-v2 docker-buildx iptables"
    )


def test_an_older_debian_takes_from_the_newer_suite_what_it_has_not_got_at_all() -> None:
    source, _, _, packages = install(replace(READY, codename="bookworm", missing_programs=("git", "cosign")))

    assert source.argv[0] == "tee"
    assert packages.argv[-2:] == ("git", "cosign/trixie")
    assert lines(replace(READY, missing_programs=("cosign",)))[1].endswith(" cosign")


def test_an_older_debian_takes_only_named_packages_of_the_newer_suite() -> None:
    source, pin, update, packages = install(replace(BARE, codename="bookworm", missing_programs=()))

    assert source.shell().endswith("tee /etc/apt/sources.list.d/slipway-trixie.sources")
    assert source.stdin == (
        "Types: deb\nURIs: http://mirror.example.com/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    assert pin.stdin == "Package: *\nPin: release n=trixie\nPin-Priority: 100\n"
    assert update.shell() == "apt-get update -qq"
    assert packages.argv[-5:] == (
        "docker.io/trixie", "docker-cli/trixie", "docker-compose/trixie", "docker-buildx/trixie", "iptables",
    )  # fmt: skip


def test_without_a_mirror_the_newer_suite_cannot_be_named() -> None:
    with pytest.raises(RefusedError, match="apt names no Debian mirror"):
        install(replace(BARE, codename="bookworm", mirror=""))


def test_only_a_missing_program_leaves_docker_alone() -> None:
    assert (
        lines(replace(READY, missing_programs=("openssl",)))[1]
        == "apt-get install -y -qq -o=Dpkg::Use-Pty=0 --no-install-recommends openssl"
    )


def test_an_engine_that_is_installed_and_does_not_run_is_not_installed_again() -> None:
    assert install(replace(READY, engine_answers=False)) == ()


def test_an_engine_elsewhere_is_not_installed_here() -> None:
    assert install(replace(READY, engine_installed=False, engine_answers=False, remote=True)) == ()


def test_who_is_not_root_goes_through_sudo() -> None:
    assert all(command.argv[0] == "sudo" for command in install(replace(BARE, root=False, sudo=True)))


def test_apt_asks_nothing_through_sudo_either() -> None:
    # sudo resets the environment: what is only set around it does not reach apt-get.
    packages = install(replace(BARE, root=False, sudo=True))[-1]

    assert "DEBIAN_FRONTEND=noninteractive" in packages.argv[: packages.argv.index("apt-get")]


def test_without_root_and_sudo_nothing_can_be_installed() -> None:
    with pytest.raises(RefusedError) as caught:
        install(replace(BARE, root=False))

    assert caught.value.message == "installing Docker needs root, and there is no sudo"


@pytest.mark.parametrize(("distribution", "shown"), [("fedora", "fedora"), ("", "this system")])
def test_another_system_is_told_what_it_lacks(distribution: str, shown: str) -> None:
    with pytest.raises(RefusedError) as caught:
        install(replace(BARE, distribution=distribution))

    assert caught.value.message == f"cannot install on {shown}: compose, buildx, git, openssl"


def test_the_engine_starts_by_systemd_where_there_is_one() -> None:
    command, stays = start_engine(replace(BARE, systemd=True))

    assert (command.shell(), stays) == ("systemctl enable --now docker", False)


def test_without_systemd_the_engine_itself_goes_on_running() -> None:
    command, stays = start_engine(BARE)

    assert (command.shell(), stays) == ("dockerd --ip6tables=false", True)


def test_a_certificate_names_the_hosts_and_the_loopback_addresses() -> None:
    assert certificate("/tls/tls.crt", "/tls/tls.key", ("localhost", "shop.test"), 365).shell() == (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,DNS:shop.test,IP:127.0.0.1,IP:::1 -keyout /tls/tls.key -out /tls/tls.crt"
    )


def test_a_root_file_system_comes_from_the_mirror_that_apt_uses() -> None:
    argv = rootfs("trixie", "r.tar", ("ca-certificates", "tzdata"), "http://mirror/debian").argv

    assert argv[:3] == ("mmdebstrap", "--variant=minbase", "--include=ca-certificates,tzdata")
    assert argv[-3:] == ("trixie", "r.tar", "http://mirror/debian")


def test_without_a_mirror_and_packages_mmdebstrap_uses_its_own() -> None:
    argv = rootfs("trixie", "r.tar", (), "").argv

    assert argv[-2:] == ("trixie", "r.tar")
    assert not any(word.startswith("--include") for word in argv)


def test_pid_files_of_a_killed_engine_are_removed_before_it_starts() -> None:
    made = clear(replace(READY, stale_files=("/var/run/docker.pid",)))
    assert [one.argv for one in made] == [("rm", "-f", "/var/run/docker.pid")]
    assert clear(READY) == ()
