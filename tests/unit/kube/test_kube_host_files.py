"""What host paths are, and which of them may be copied into an object."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.kube.plan.source import HostFile
from tasks.kube.sources.host_files import host_files, sources
from tasks.model.errors import InputError


def binding(*paths: Path, **top: Any) -> dict[str, Any]:
    volumes = [{"type": "bind", "source": str(path), "target": "/x"} for path in paths]
    return {"services": {"web": {"volumes": volumes}}, **top}


def test_a_file_of_the_project_has_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"\xff\n")
    assert host_files(binding(path), tmp_path) == {str(path): HostFile("file", {"": b"\xff\n"}, True)}


def test_a_directory_has_the_files_below_it(tmp_path: Path) -> None:
    (tmp_path / "conf/more").mkdir(parents=True)
    (tmp_path / "conf/b").write_text("2")
    (tmp_path / "conf/more/a").write_text("1")
    found = host_files(binding(tmp_path / "conf"), tmp_path)[str(tmp_path / "conf")]
    assert found == HostFile("directory", {"b": b"2", "more/a": b"1"}, True)


def test_a_path_outside_of_the_project_is_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "etc"
    outside.mkdir()
    (outside / "passwd").write_text("root")
    (tmp_path / "project").mkdir()
    found = host_files(binding(outside, outside / "passwd"), tmp_path / "project")
    assert found[str(outside)] == HostFile("directory", tracked=False)
    assert found[str(outside / "passwd")] == HostFile("file", {}, False)


def test_a_link_that_leads_out_of_the_project_is_not_of_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    project = tmp_path / "project"
    project.mkdir()
    (project / "conf").symlink_to(tmp_path / "key")
    assert host_files(binding(project / "conf"), project)[str(project / "conf")] == HostFile("file", {}, False)


def test_a_file_of_a_secret_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/key").write_text("secret")
    model = binding(tmp_path / "tls", tmp_path / "tls/key", secrets={"key": {"file": str(tmp_path / "tls/key")}})
    assert [found.tracked for found in host_files(model, tmp_path).values()] == [False, False]


def test_what_git_ignores_is_not_copied(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.key\n/private/\n")
    (tmp_path / "private").mkdir()
    for name in ("a.conf", "b.key", "private/c"):
        (tmp_path / name).write_text("1")
    paths = [tmp_path / name for name in ("a.conf", "b.key", "private", "private/c")]
    assert [host_files(binding(path), tmp_path)[str(path)].tracked for path in paths] == [True, False, False, False]


def test_nothing_is_copied_while_git_does_not_tell_what_it_ignores(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".git" / "config").write_text("[broken")
    (tmp_path / "a.conf").write_text("1")
    with pytest.raises(InputError, match="git does not tell which files"):
        host_files(binding(tmp_path / "a.conf"), tmp_path)


def test_a_socket_and_what_is_missing_are_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        place = os.path.relpath(tmp_path / "s")
        listening.bind(place)
        found = host_files(binding(tmp_path / "s", tmp_path / "none", Path("/dev/null")), tmp_path)
    assert [found[str(path)].kind for path in (tmp_path / "s", tmp_path / "none", Path("/dev/null"))] == [
        "socket",
        "missing",
        "device",
    ]


def test_a_config_is_read_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (tmp_path / "project").mkdir()
    model = binding(configs={"c": {"file": str(tmp_path / "outside")}, "inline": {"content": "y"}})
    assert host_files(model, tmp_path / "project") == {str(tmp_path / "outside"): HostFile("file", {"": b"x"}, True)}


def test_no_more_is_read_than_says_that_it_is_too_much(tmp_path: Path) -> None:
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    content = host_files(binding(tmp_path / "disk"), tmp_path)[str(tmp_path / "disk")].files[""]
    assert 1 << 20 < len(content) <= 1 << 21


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "a").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        host_files(binding(tmp_path / "a"), tmp_path)


def test_what_keeps_a_directory_from_being_copied_is_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.key\n")
    (tmp_path / "conf").mkdir()
    for name in ("a", "b.key"):
        (tmp_path / "conf" / name).write_text("1")
    found = host_files(binding(tmp_path / "conf", tmp_path / "conf/b.key"), tmp_path)
    assert [(each.tracked, each.withheld) for each in found.values()] == [(False, "b.key"), (False, "b.key")]


def test_what_git_and_slipway_keep_is_no_file_of_a_directory(tmp_path: Path) -> None:
    for name in (".git/config", ".slipway/state", "a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    assert host_files(binding(tmp_path), tmp_path)[str(tmp_path)].files == {"a": b"1"}


def test_sources_are_what_the_image_of_a_service_can_have(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    (tmp_path / ".dockerignore").write_text("docs\n")
    for name in ("app/main.py", "app/main.pyc", "app/modules/a", "app/docs", "docs/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("1")
    web = {
        "build": {"context": str(tmp_path), "dockerfile": "Dockerfile"},
        "volumes": [
            {"type": "bind", "source": str(tmp_path / "app"), "target": "/code"},
            {"type": "bind", "source": str(tmp_path / "docs"), "target": "/docs"},
            {"type": "volume", "target": "/code/modules"},
        ],
    }
    found = sources({"services": {"web": web}}, tmp_path, "web")
    assert {target: sorted(files) for target, files in found.items()} == {"/code": ["docs", "main.py"], "/docs": []}
