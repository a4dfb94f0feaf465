"""Making a machine ready."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import profile

from tasks.host.profile import settings
from tasks.host.runner import Runner
from tasks.model.errors import RefusedError
from tasks.model.tools import judge_tool
from tasks.setup import base_images, cluster, kube_clients
from tasks.setup import setup as acting
from tasks.setup.base_images import write_local_layer
from tasks.setup.plan import check
from tasks.setup.plan.setup import Machine, certificate, clear, install, rootfs, start_engine

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


def test_older_debian_takes_what_a_cluster_needs_of_the_newer_suite() -> None:
    machine = replace(READY, codename="bookworm", missing_programs=("golang-go", "golang-src", "etcd-server", "ipset"))

    assert lines(machine)[-1].endswith("golang-go/trixie golang-src/trixie etcd-server/trixie ipset")


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
    commands = clear(replace(READY, stale_files=("/var/run/docker.pid",)))
    assert [command.argv for command in commands] == [("rm", "-f", "/var/run/docker.pid")]
    assert clear(READY) == ()


def test_a_dry_run_prints_what_adds_the_findings_to_the_profile_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path))
    layer = tmp_path / "base.local.env"
    layer.write_text("KEPT=1\n")

    write_local_layer(Runner(dry=True), {"BASE_IMAGES": "local", "CA_BUNDLE": "/it's/ca.crt"})

    assert layer.read_text() == "KEPT=1\n"
    subprocess.run(["sh"], input=capsys.readouterr().out, text=True, check=True, stdout=subprocess.DEVNULL)
    assert layer.read_text() == "KEPT=1\nBASE_IMAGES=local\nCA_BUNDLE=/it's/ca.crt\n"


@pytest.mark.parametrize(
    ("everything", "called", "installed"),
    [
        (False, ["setup", "deploy.dev"], []),
        (False, ["setup", "check"], ["zsh", "fish", "promtool", "a node"]),
        (
            True,
            ["setup"],
            [
                *("zsh", "fish", "promtool", "a node", "cluster begun", "cosign", "clients"),
                *("images of the monitoring", "cluster built: True"),
            ],
        ),
        (
            True,
            ["setup", "check"],
            [
                *("zsh", "fish", "promtool", "a node", "cluster begun", "cosign", "clients"),
                *("images of the monitoring", "cluster built: False"),
            ],
        ),
    ],
)
def test_what_tests_need_is_installed_for_checks(
    monkeypatch: pytest.MonkeyPatch, everything: bool, called: list[str], installed: list[str]
) -> None:
    asked: list[str] = []
    node = check.PROGRAMS[check.CLUSTER_TESTS]
    monkeypatch.setattr(
        base_images, "install", lambda _runner, needs: asked.extend(["a node"] if needs == node else needs)
    )
    monkeypatch.setattr(kube_clients, "install", lambda _: asked.append("clients"))
    monkeypatch.setattr(cluster, "begin", lambda _: asked.append("cluster begun"))
    monkeypatch.setattr(cluster, "finish", lambda _, wait: asked.append(f"cluster built: {wait}"))
    for name in ("install_and_start", "write_local_layer", "probe_machine", "make_secrets", "missing_bases"):
        monkeypatch.setattr(base_images, name, lambda *_: None)
    monkeypatch.setattr(base_images, "provide_monitoring", lambda _: asked.append("images of the monitoring"))
    project = SimpleNamespace(profile=profile(), stack=None, runner=Runner(), missing_secrets=lambda _: ())
    monkeypatch.setattr(acting, "Project", lambda *_: project)
    config = SimpleNamespace(run=SimpleNamespace(dry=False, echo=False), get={"called": " ".join(called)}.get)
    c: Any = SimpleNamespace(config=config)

    acting.run(c, everything)
    assert asked == installed


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ((), "this machine is ready\n"),
        (
            ("/s/password", "/s/key"),
            "this machine is ready, but for staging these secret files do not exist: /s/password, /s/key\n"
            "  hint: write them there (mode 0644 in a directory of mode 0700)\n",
        ),
    ],
)
def test_an_environment_that_lacks_secrets_is_not_called_ready(
    capsys: pytest.CaptureFixture[str], missing: tuple[str, ...], said: str
) -> None:
    project: Any = SimpleNamespace(
        profile=profile("staging"), stack=None, runner=Runner(), missing_secrets=lambda _: missing
    )
    acting._tell_ready(project)
    assert capsys.readouterr().err == said


def test_where_a_program_cannot_be_installed_its_tests_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fish").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base_images, "inspect_machine", lambda _programs: replace(READY, distribution="fedora"))

    acting._install_programs(Runner())
    *others, cluster = capsys.readouterr().err.splitlines()
    assert others == [
        "the tests of completion leave out zsh: cannot install on fedora: zsh",
        "the tests of rules leave out promtool: cannot install on fedora: promtool",
    ]
    assert cluster.startswith("the tests of cluster leave out go, etcd, containerd, ctr, ")
    assert "cannot install on fedora: golang-go, golang-src, etcd-server, containerd, " in cluster


def test_the_local_layer_keeps_its_lines_its_mode_and_its_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    envs, kept = tmp_path / "envs", tmp_path / "kept.env"
    envs.mkdir()
    monkeypatch.setattr(settings, "settings", lambda: SimpleNamespace(envs_dir=envs, shown=str))
    layer = envs / "base.local.env"

    write_local_layer(Runner(), {"BASE_IMAGES": "local"})
    assert layer.read_text() == "# Found by `inv setup`; change what is wrong.\nBASE_IMAGES=local\n"
    assert layer.stat().st_mode & 0o777 == 0o644

    layer.rename(kept)
    layer.symlink_to(kept)
    kept.chmod(0o600)
    write_local_layer(Runner(), {"CA_BUNDLE": "/etc/ca.crt"})
    assert kept.read_text().splitlines()[1:] == ["BASE_IMAGES=local", "CA_BUNDLE=/etc/ca.crt"]
    assert kept.stat().st_mode & 0o777 == 0o600, "it may have a password"
    assert layer.is_symlink()
    assert sorted(envs.iterdir()) == [layer]
