"""Ctrl-C of a parallel session of tests: the workers' fixtures remove what they made, and no task goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TAKES = 10  # seconds, most of them waiting

ROOT = Path(__file__).parents[2]
_UNTIL_XDIST_INTERRUPTS_AGAIN = 5.5  # seconds: execnet sends its workers a SIGINT of its own after five
_TEST = f"""
import subprocess, time
from pathlib import Path
import pytest

@pytest.fixture
def made(request):
    place = Path(__file__).with_name(request.node.name)
    task = subprocess.Popen(["sleep", "600"], start_new_session=True)
    place.with_suffix(".task").write_text(str(task.pid))
    place.with_suffix(".made").touch()
    yield
    time.sleep({_UNTIL_XDIST_INTERRUPTS_AGAIN})
    place.with_suffix(".made").unlink()

def long():
    # In pieces: Python handles a signal that comes just before a system call when the call has ended.
    for _ in range(6000):
        time.sleep(0.1)

def test_one(made):
    long()

def test_two(made):
    long()
"""


def _begin(directory: Path) -> "subprocess.Popen[str]":
    """Start two workers on a test each, and return once both run."""
    directory.mkdir()
    (directory / "test_slow.py").write_text(_TEST)
    words = ("-q", "--numprocesses=2", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={directory}")
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words, str(directory)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(directory.glob("*.made"))) < 2:
        assert session.poll() is None and time.monotonic() < deadline, session.communicate(timeout=60)
        time.sleep(0.1)
    return session


@pytest.mark.timeout(180)
def test_ctrl_c_of_a_parallel_session_leaves_nothing(tmp_path: Path) -> None:
    of_a_terminal, alone = _begin(tmp_path / "terminal"), _begin(tmp_path / "alone")

    os.killpg(of_a_terminal.pid, signal.SIGINT)
    os.kill(alone.pid, signal.SIGINT)

    for session in (of_a_terminal, alone):
        said, _ = session.communicate(timeout=120)
        assert session.returncode == pytest.ExitCode.INTERRUPTED, said
        assert "removing what the tests have made" in said
    assert list(tmp_path.rglob("*.made")) == []
    tasks = [int(path.read_text()) for path in tmp_path.rglob("*.task")]
    assert len(tasks) == 4
    assert [pid for pid in tasks if _runs(pid)] == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
