"""The init container that makes new volumes as Docker does: its script is run by the shell of this machine."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from kube_data import expanded
from support import ROOT, service

from tasks.kube.plan.mounts.prepare import NewDirectory, complete, init_container
from tasks.kube.plan.mounts.proxy_files import after_copy

UPSTREAM = ROOT / "docker_project" / "nginx" / "upstreams" / "app.conf"


def run(root: Path, *directories: NewDirectory) -> str:
    """Run the script with volumes in a directory of this machine; return what it says on stderr."""
    for directory in directories:
        (root / directory.volume).mkdir(exist_ok=True)
    (init,) = init_container("prepare", directories)["initContainers"]
    shell, option, script = init["command"]
    text = expanded(script).replace("/.slipway/", f"{root}/")
    ran = subprocess.run(
        [shell, option, text], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    return ran.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    (path / "sub").mkdir(parents=True)
    (path / "file").write_text("of the image")
    (path / ".hidden").write_text("too")
    (path / "sub" / "run").write_text("#!/bin/sh\n")
    (path / "sub" / "run").chmod(0o755)
    path.chmod(0o750)
    return path


def test_a_new_volume_gets_the_files_and_modes_of_the_image(tmp_path: Path, image: Path) -> None:
    assert run(tmp_path, NewDirectory("v", copied=str(image))) == ""
    made = tmp_path / "v" / "data"
    assert (made / "file").read_text() == "of the image"
    assert (made / ".hidden").read_text() == "too"
    assert (made / "sub" / "run").stat().st_mode & 0o777 == 0o755
    assert stat.S_IMODE(made.stat().st_mode) == 0o750
    assert [entry.name for entry in (tmp_path / "v").iterdir()] == ["data"]


def test_a_volume_with_data_is_left_alone(tmp_path: Path, image: Path) -> None:
    run(tmp_path, NewDirectory("v", copied=str(image)))
    (tmp_path / "v" / "data" / "file").write_text("changed")
    run(tmp_path, NewDirectory("v", copied=str(image)))
    assert (tmp_path / "v" / "data" / "file").read_text() == "changed"


def test_an_empty_directory_of_another_service_is_filled_in_place(tmp_path: Path, image: Path) -> None:
    run(tmp_path, NewDirectory("v"))
    before = (tmp_path / "v" / "data").stat().st_ino
    run(tmp_path, NewDirectory("v", copied=str(image)))
    assert (tmp_path / "v" / "data" / "file").read_text() == "of the image"
    assert (tmp_path / "v" / "data").stat().st_ino == before


def test_what_ended_half_way_begins_again(tmp_path: Path, image: Path) -> None:
    (tmp_path / "v" / "data.new").mkdir(parents=True)
    (tmp_path / "v" / "data.new" / "half").write_text("")
    run(tmp_path, NewDirectory("v", copied=str(image)))
    assert not (tmp_path / "v" / "data" / "half").exists()
    assert (tmp_path / "v" / "data" / "file").exists()


def test_a_path_that_the_image_has_not_is_an_empty_directory(tmp_path: Path) -> None:
    run(tmp_path, NewDirectory("v", copied="/no/such path"))
    assert list((tmp_path / "v" / "data").iterdir()) == []


def test_a_directory_has_the_mode_that_is_said(tmp_path: Path) -> None:
    run(tmp_path, NewDirectory("v", mode="700"))
    assert stat.S_IMODE((tmp_path / "v" / "data").stat().st_mode) == 0o700


def test_upstream_files_of_nginx_ask_for_names_once(tmp_path: Path) -> None:
    image = tmp_path / "upstreams"
    image.mkdir()
    (image / "app.conf").write_bytes(UPSTREAM.read_bytes())
    proxy = service("edge", image="x", **{"x-slipway": {"proxy": {"kind": "nginx"}}})
    run(tmp_path, NewDirectory("v", copied=str(image), after=after_copy(proxy)))
    text = (tmp_path / "v" / "data" / "app.conf").read_text()
    assert "    server app:8000 max_fails=0;\n" in text
    assert text == UPSTREAM.read_text().replace("app:8000 resolve max_fails=0", "app:8000 max_fails=0")


def backed(directory: Path, text: str) -> str:
    """Return upstream files of nginx on a cluster where ``app`` takes turns in two slots."""
    image = directory / "upstreams"
    image.mkdir()
    (image / "app.conf").write_text(text)
    proxy = service("edge", image="x", **{"x-slipway": {"proxy": {"kind": "nginx"}}})
    run(directory, NewDirectory("v", copied=str(image), after=after_copy(proxy, ["app", "other"])))
    return (directory / "v" / "data" / "app.conf").read_text()


def test_nginx_has_the_pods_that_served_before_as_a_backup(tmp_path: Path) -> None:
    assert "    server app:8000 max_fails=0; server app-former:8000 max_fails=0 backup;\n" in backed(
        tmp_path, UPSTREAM.read_text()
    )


def test_a_server_with_a_backup_is_never_left_out_and_others_stay_as_they_are(tmp_path: Path) -> None:
    text = "upstream a {\n  server app max_fails=3 weight=2; # ours\n  server apps:80;\n  server 10.0.0.1:80;\n}\n"
    assert backed(tmp_path, text) == text.replace(
        "server app max_fails=3 weight=2;", "server app weight=2 max_fails=0; server app-former max_fails=0 backup;"
    )


@pytest.mark.parametrize("method", ["ip_hash;", "hash $remote_addr consistent;", "random two;"])
def test_where_nginx_takes_no_backup_there_is_none(tmp_path: Path, method: str) -> None:
    text = f"upstream a {{\n  {method}\n  server app:80;\n}}\n"
    assert backed(tmp_path, text) == text


def test_upstream_files_of_haproxy_ask_for_names_once(tmp_path: Path) -> None:
    image = tmp_path / "upstreams"
    image.mkdir()
    line = "    default-server resolvers docker resolve-prefer ipv4 init-addr libc,none\n    server web web:8000\n"
    (image / "web.cfg").write_text(line)
    proxy = service("edge", image="x", **{"x-slipway": {"proxy": {"kind": "haproxy"}}})
    run(tmp_path, NewDirectory("v", copied=str(image), after=after_copy(proxy)))
    assert (tmp_path / "v" / "data" / "web.cfg").read_text() == line.replace(" resolvers docker", "")


@pytest.mark.parametrize("kind", ["caddy", "traefik"])
def test_proxies_that_complete_names_have_their_files_as_they_are(kind: str) -> None:
    assert after_copy(service("edge", image="x", **{"x-slipway": {"proxy": {"kind": kind}}})) == ""


def test_two_directories_are_made_by_one_container(tmp_path: Path, image: Path) -> None:
    run(tmp_path, NewDirectory("a", copied=str(image)), NewDirectory("b", mode="770"))
    assert (tmp_path / "a" / "data" / "file").exists()
    assert (tmp_path / "b" / "data").is_dir()


def test_an_init_container_without_an_image_runs_that_of_the_service_confined_alike() -> None:
    service_container = {
        "name": "web",
        "image": "shop/web@sha256:a",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"runAsUser": 70},
        "resources": {"limits": {"memory": "64Mi"}},
        "env": [{"name": "A", "value": "1"}],
    }
    own, other = {"name": "prepare", "command": ["x"]}, {"name": "wait", "image": "busybox"}
    pod = complete({"containers": [service_container], "initContainers": [own, other], "volumes": []})
    first, second = pod["initContainers"]
    assert first == {
        "image": "shop/web@sha256:a",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"runAsUser": 70},
        "resources": {"limits": {"memory": "64Mi"}},
        "name": "prepare",
        "command": ["x"],
    }
    assert second == other
    assert pod["volumes"] == []
    assert complete({"containers": [service_container]}) == {"containers": [service_container]}
