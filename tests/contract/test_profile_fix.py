"""`env.check --fix` against Compose: what it writes is what Compose read before, and all readers read it alike now."""

from pathlib import Path

import pytest
from test_profile_agreement import assert_read_alike, by_compose

from tasks.env.fix import fix
from tasks.model.profile.grammar import parse

UGLY = """\ufeff# settings of a shop\r
export NAME = corner shop # the sign\r
GREETING: it's open
HOST=shop.example.com
URL=http://${HOST}/"a b"
FALLBACK=${NOT_SET_ANYWHERE:-fall back}
PASSWORD=p4$$word; echo
QUOTED="two \\"words\\" and $HOST"
SINGLE='as ${HOST} is'
REPEATED=1
REPEATED=2 3
"""


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "envs").mkdir()
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path / "envs"))
    return tmp_path / "envs" / "dev.env"


def test_a_fixed_profile_has_the_values_that_compose_read(profile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    profile.write_text(UGLY, newline="")
    profile.chmod(0o640)
    keys = ["NAME", "GREETING", "HOST", "URL", "FALLBACK", "PASSWORD", "QUOTED", "REPEATED"]
    before = by_compose(profile, keys)
    fix(["dev"], dry=False)
    after = parse("dev.env", profile.read_bytes())
    values = {entry.key: entry.value for entry in after.entries}
    assert values == before
    # No form that all three read alike holds ${.
    assert [str(fault).partition(":")[2].partition(":")[0] for fault in after.faults] == ["9"]
    assert profile.stat().st_mode & 0o777 == 0o640
    assert "p4" not in capfd.readouterr().err
    fixed = "\n".join(line for line in profile.read_text().split("\n") if not line.startswith("SINGLE"))
    assert_read_alike(fixed.encode())


def test_a_line_that_compose_cannot_read_does_not_keep_the_others_from_being_fixed(profile: Path) -> None:
    profile.write_text("A=one two\nno assignment here\nB = 2\n")
    fix(["dev"], dry=False)
    assert profile.read_text() == "A='one two'\nno assignment here\nB=2\n"


def test_a_dry_run_tells_the_lines_and_writes_nothing(profile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    profile.write_text("A=one two\n")
    fix(["dev"], dry=True)
    assert profile.read_text() == "A=one two\n"
    assert capfd.readouterr().out.endswith("dev.env:1: A: rewritten\n")
