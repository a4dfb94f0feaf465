"""The systemd unit of an agent, as systemd reads it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.gitops.plan.unit import quoted, unit
from tasks.model.errors import InputError

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
