"""The systemd unit of an agent, as systemd reads it."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_project import FakeProject
from fakes import World

from tasks.gitops.install import install
from tasks.gitops.plan.unit import quoted, unit
from tasks.model.errors import InputError, RefusedError

ENV = {"SLIPWAY_ENVS_DIR": "/srv/my shop/envs", "SLIPWAY_ROOT": "/srv/my shop"}


def made() -> str:
    return unit("prod (shop)", ("/bin/true", "gitops.run", "--env", "prod"), "/tmp", "root", ENV)


def test_a_unit_starts_the_agent_again_and_gives_a_deploy_time_to_go_back() -> None:
    lines = made().splitlines()
    for line in (
        "ExecStart=/bin/true gitops.run --env prod",
        "WorkingDirectory=/tmp",
        "User=root",
        'Environment="SLIPWAY_ENVS_DIR=/srv/my shop/envs"',
        "Restart=always",
        "KillMode=mixed",
        "TimeoutStopSec=930",
    ):
        assert line in lines, line


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "slipway-prod.service"
    path.write_text(made())
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert "slipway-prod.service" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("word", "text"),
    [("a", "a"), ("a b", '"a b"'), ("50%", '"50%%"'), ("$HOME", '"$$HOME"'), ('a"b', '"a\\"b"'), ("", '""')],
)
def test_words_are_quoted_where_systemd_would_read_more_into_them(word: str, text: str) -> None:
    assert quoted(word) == text


def test_a_dollar_in_an_assignment_stays_one() -> None:
    assert quoted("A=$x", expanded=False) == "A=$x"


def test_what_a_unit_cannot_say_is_refused() -> None:
    with pytest.raises(InputError, match="cannot say that"):
        quoted("a\nExecStartPre=/bin/sh")


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    (tmp_path / "signers").write_text("ann@example.com ssh-ed25519 AAAA\n")
    values = {"GITOPS_REPOSITORY": "git@git.example.com:ann/shop.git", "GITOPS_ALLOWED_SIGNERS": "signers"}
    made = FakeProject(World(), tmp_path, **values, GITOPS_DIR=str(tmp_path / "state"))
    names = ("project_dir", "envs_dir", "hooks_dir", "reports_dir", "backups_dir", "home")
    made.settings = SimpleNamespace(root=tmp_path, shown=str, **{name: tmp_path / name for name in names})
    made.files({"web": {"image": "web:1"}})
    return made


def test_the_unit_of_an_environment_has_its_directories(
    project: FakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(project, "deploy", "")
    said = capsys.readouterr().out
    assert f"{tmp_path}/home/tasks/cli/program.py --search-root {tmp_path}/home gitops.run --env dev" in said
    assert f"Environment=SLIPWAY_ENVS_DIR={tmp_path}/envs_dir" in said
    assert "User=deploy" in said and f"WorkingDirectory={tmp_path}" in said


def test_a_unit_is_written_to_a_file(project: FakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "slipway-dev.service"
    install(project, "", str(target))
    assert target.read_text().startswith("[Unit]\n")
    assert "systemctl enable --now slipway-dev" in capsys.readouterr().err
    with pytest.raises(RefusedError, match=r"--out .*: No such file"):
        install(project, "", str(tmp_path / "nowhere" / "x.service"))


def test_an_agent_that_could_not_work_gets_no_unit(project: FakeProject, tmp_path: Path) -> None:
    (tmp_path / "signers").unlink()
    with pytest.raises(InputError, match="GITOPS_ALLOWED_SIGNERS"):
        install(project, "", str(tmp_path / "x.service"))
    assert not (tmp_path / "x.service").exists()
