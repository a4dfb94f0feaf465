"""`./inv`: Invoke in a `.venv` that it makes on first use, and anew when requirements.txt has changed."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PROGRAM = "import sys\n\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n"


def checkout(root: Path) -> Path:
    """Make a checkout whose tasks print the Python that runs them, and their arguments."""
    (root / "tasks" / "cli").mkdir(parents=True)
    shutil.copy(ROOT / "inv", root)
    (root / "requirements.txt").write_text("")
    (root / "tasks" / "cli" / "program.py").write_text(_PROGRAM)
    return root


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout that has not been used."""
    return checkout(tmp_path / "clone")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    """A checkout and the result of its first use, which takes seconds to make a .venv."""
    clone = checkout(tmp_path_factory.mktemp("used") / "clone")
    return clone, inv(clone, "deploy.dev", "--json")


Used = tuple[Path, "subprocess.CompletedProcess[str]"]


def inv(clone: Path, *words: str, path: str = "", **extra: str) -> "subprocess.CompletedProcess[str]":
    """Run the wrapper with the Python of these tests first on PATH, or with ``path`` as PATH."""
    before = path or f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": before, "PYTHON": "", **extra}
    return subprocess.run(
        [clone / "inv", *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def test_the_first_use_makes_a_venv_and_the_next_one_uses_it(used: Used) -> None:
    clone, first = used
    said = f"{clone / '.venv'} --search-root {clone} deploy.dev --json\n"
    second = inv(clone, "deploy.dev", "--json")
    assert (first.returncode, first.stdout) == (0, said), first.stderr
    assert first.stderr.startswith("making ")
    assert (second.returncode, second.stdout, second.stderr) == (0, said, "")


@pytest.mark.parametrize("name", ["inv", "invoke"])
def test_the_programs_of_the_venv_are_the_checkouts_own(used: Used, tmp_path: Path, name: str) -> None:
    clone, _ = used
    words = [clone / ".venv" / "bin" / name, "env.list"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{clone / '.venv'} env.list\n"), done.stderr


def test_an_activated_venv_is_made_anew_with_the_python_that_it_came_from(used: Used) -> None:
    clone, _ = used  # made anew it is as good as before
    (clone / "requirements.txt").write_text("# changed\n")
    activated = f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}"
    answer = inv(clone, "env.list", path=activated, VIRTUAL_ENV=str(clone / ".venv"))
    assert (answer.returncode, answer.stdout) == (0, f"{clone / '.venv'} --search-root {clone} env.list\n"), (
        answer.stderr
    )


def test_what_cannot_be_installed_ends_with_a_hint_and_leaves_no_venv(clone: Path) -> None:
    (clone / "requirements.txt").write_text("nothing-is-pinned-here\n")
    answer = inv(clone, "env.list")
    assert answer.returncode == 3
    assert answer.stderr.splitlines()[-1].startswith("  hint: ")
    assert not (clone / ".venv").exists()


def test_without_python_the_hint_says_how_to_get_it(clone: Path, tmp_path: Path) -> None:
    for name in ("sh", "readlink", "dirname", "cmp", "flock"):
        if program := shutil.which(name):
            (tmp_path / name).symlink_to(program)
    answer = inv(clone, "env.list", path=str(tmp_path))
    assert answer.returncode == 3
    assert answer.stderr.splitlines()[0] == "no Python 3.11 or newer with the venv module"
    assert "./inv setup installs it" in answer.stderr


def wheel(directory: Path, name: str) -> str:
    """Make a wheel of one empty module; returns the line of a lock file that names it."""
    meta = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{meta}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{meta}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
    rows = [f"{path},sha256={digests[path].decode().rstrip('=')},{len(text)}\n" for path, text in files.items()]
    made = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in {**files, f"{meta}/RECORD": "".join(rows)}.items():
            archive.writestr(path, text)
    return f"{name} @ {made.as_uri()} --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"


@pytest.fixture
def grouped(clone: Path, tmp_path: Path) -> Path:
    """A checkout with a package for users, one for scans and one for checks."""
    for file, name in (("", "running"), ("-scan", "scanning"), ("-check", "checking")):
        (clone / f"requirements{file}.txt").write_text(wheel(tmp_path, name))
    return clone


def packages(clone: Path) -> set[str]:
    """Return which of the three packages are in the .venv."""
    names = {path.name.partition("-")[0] for path in (clone / ".venv").glob("lib/python3*/site-packages/*.dist-info")}
    return names & {"running", "scanning", "checking"}


def test_a_task_brings_the_packages_that_it_needs_and_no_others(grouped: Path) -> None:
    for words, there in (
        ("deploy.dev", {"running"}),
        ("setup deploy.dev", {"running"}),
        ("setup scan", {"running", "scanning"}),
        ("setup --all check", {"running", "scanning", "checking"}),
    ):
        answer = inv(grouped, *words.split())
        assert (answer.returncode, packages(grouped)) == (0, there), answer.stderr
        assert inv(grouped, *words.split()).stderr == ""


def test_only_a_task_that_needs_a_group_asks_for_it(clone: Path) -> None:
    for group in ("scan", "check"):
        (clone / f"requirements-{group}.txt").write_text("")
    for words, groups in (
        ("setup", []),
        ("logs --service check", []),
        ("logs --service=scan --follow", []),
        ("scan.code", []),
        ("--dry scan", []),
        ("scan --help", []),
        ("--help check", []),
        ("--list", []),
        ("scan", ["scan"]),
        ("build --json scan.images", ["scan"]),
        ("image.sbom --env staging", ["scan"]),
        ("check --only unit", ["scan", "check"]),
        ("check --fast", ["scan", "check"]),
    ):
        for marker in (clone / ".venv").glob("requirements-*.installed"):
            marker.unlink()
        answer = inv(clone, *words.split())
        added = [
            line.split("requirements-")[1].split(".")[0] for line in answer.stderr.splitlines() if "adding" in line
        ]
        assert (answer.returncode, added) == (0, groups), (words, answer.stderr)


def test_what_was_added_is_added_again_when_the_venv_is_made_anew(grouped: Path, tmp_path: Path) -> None:
    inv(grouped, "check")
    (grouped / "requirements.txt").write_text(wheel(tmp_path, "running") + "# changed\n")
    answer = inv(grouped, "env.list")
    assert (answer.returncode, packages(grouped)) == (0, {"running", "scanning", "checking"}), answer.stderr


def test_a_group_whose_lock_file_changed_is_installed_again(grouped: Path, tmp_path: Path) -> None:
    inv(grouped, "scan")
    (grouped / "requirements-scan.txt").write_text(wheel(tmp_path, "scanning") + wheel(tmp_path, "checking"))
    assert inv(grouped, "env.list").stderr == ""  # it has no use for scanners, old or new
    assert packages(grouped) == {"running", "scanning"}
    assert inv(grouped, "scan").stderr.startswith("adding the packages of requirements-scan.txt to ")
    assert packages(grouped) == {"running", "scanning", "checking"}


def test_a_group_that_cannot_be_installed_leaves_the_venv_in_use(grouped: Path) -> None:
    (grouped / "requirements-scan.txt").write_text("nothing-is-pinned-here\n")
    answer = inv(grouped, "scan")
    assert answer.returncode == 3
    assert answer.stderr.splitlines()[-2].startswith("could not install requirements-scan.txt into ")
    assert answer.stderr.splitlines()[-1].startswith("  hint: ")
    assert inv(grouped, "env.list").returncode == 0


def test_two_at_once_install_once(grouped: Path) -> None:
    both = [
        subprocess.Popen(
            [grouped / "inv", "scan"],
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHON": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert sorted(stderr.count("making ") + stderr.count("adding ") for _, stderr in answers) == [0, 2]
    assert packages(grouped) == {"running", "scanning"}
