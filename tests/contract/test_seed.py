"""A run of the tests can be repeated: all that it draws at random comes from the seed that it prints."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRAWING = """
import random
from hypothesis import given, strategies as st
DRAWN = open("drawn", "a")
def test_random(): DRAWN.write(f"{random.random()} ")
@given(st.randoms(use_true_random=True), st.integers())
def test_hypothesis(generator, number): DRAWN.write(f"{generator.random()} {number} ")
"""


def drawn(directory: Path, *words: str) -> tuple[str, str]:
    """Run two tests that draw at random; return the seed that was printed, and what they have drawn."""
    (directory / "test_drawing.py").write_text(DRAWING)
    (directory / "drawn").unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(directory)]
    done = subprocess.run(
        [*command, "-p", "tests.conftest", "-p", "no:cacheprovider", "test_drawing.py", *words],
        cwd=directory, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    seeds = re.findall(r"^seed (\d+): --seed \1 ", done.stdout, re.MULTILINE)
    assert len(seeds) == 1
    return seeds[0], (directory / "drawn").read_text()


def test_a_run_draws_something_new_and_its_seed_draws_it_again(tmp_path: Path) -> None:
    seed, first = drawn(tmp_path)
    other, second = drawn(tmp_path)
    assert other != seed and second != first
    assert drawn(tmp_path, "--seed", seed) == (seed, first)
    again, spread = drawn(tmp_path, "--seed", seed, "--numprocesses", "1")
    assert (again, spread) == (seed, first)
