"""`./inv`: Invoke in a `.venv` that it makes on first use, and anew when requirements.txt has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PROGRAM = "import sys\nprint(sys.prefix, *sys.argv[1:])\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout whose tasks say what Python runs them, and with what words."""
    root = tmp_path / "clone"
    (root / "tasks" / "host").mkdir(parents=True)
    shutil.copy(ROOT / "inv", root)
    (root / "requirements.txt").write_text("")
    (root / "tasks" / "host" / "program.py").write_text(_PROGRAM)
    return root


def inv(clone: Path, *words: str, path: str = "", **extra: str) -> "subprocess.CompletedProcess[str]":
    """Run the wrapper with a Python that is found first."""
    before = path or f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": before, "PYTHON": "", **extra}
    return subprocess.run(
        [clone / "inv", *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def test_the_first_use_makes_a_venv_and_the_next_one_uses_it(clone: Path) -> None:
    said = f"{clone / '.venv'} --search-root {clone} deploy.dev --json\n"
    first, second = inv(clone, "deploy.dev", "--json"), inv(clone, "deploy.dev", "--json")
    assert (first.returncode, first.stdout) == (0, said), first.stderr
    assert first.stderr.startswith("making ")
    assert (second.returncode, second.stdout, second.stderr) == (0, said, "")


@pytest.mark.parametrize("name", ["inv", "invoke"])
def test_the_programs_of_the_venv_are_the_checkouts_own(clone: Path, tmp_path: Path, name: str) -> None:
    inv(clone)
    words = [clone / ".venv" / "bin" / name, "env.list"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{clone / '.venv'} env.list\n"), done.stderr


def test_an_activated_venv_is_made_anew_with_the_python_that_it_came_from(clone: Path) -> None:
    inv(clone)
    (clone / "requirements.txt").write_text("# changed\n")
    activated = f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}"
    found = inv(clone, "env.list", path=activated, VIRTUAL_ENV=str(clone / ".venv"))
    assert (found.returncode, found.stdout) == (0, f"{clone / '.venv'} --search-root {clone} env.list\n"), found.stderr


def test_what_cannot_be_installed_ends_with_a_hint_and_leaves_no_venv(clone: Path) -> None:
    (clone / "requirements.txt").write_text("nothing-is-pinned-here\n")
    found = inv(clone, "env.list")
    assert found.returncode == 3
    assert found.stderr.splitlines()[-1].startswith("  hint: ")
    assert not (clone / ".venv").exists()


def test_without_python_the_hint_says_how_to_get_it(clone: Path, tmp_path: Path) -> None:
    for name in ("sh", "readlink", "dirname", "cmp", "flock"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    answer = inv(clone, "env.list", path=str(tmp_path))
    assert answer.returncode == 3
    assert answer.stderr.splitlines()[0] == "no Python 3.11 or newer with the venv module"
    assert "./inv setup installs it" in answer.stderr
