"""`inv --list` with all tasks ÷ bare Invoke with one empty task."""

import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Figure, pairs, seconds
from tests.e2e.support import PROGRAM, ROOT


def run() -> Figure:
    """Measure and return the figure."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "tasks.py").write_text(
            "from invoke import task\n\n\n@task\ndef nothing(c):\n    '''Do nothing.'''\n"
        )
        ours, theirs = pairs(
            lambda: seconds([sys.executable, str(PROGRAM), "--search-root", str(ROOT), "--list"]),
            lambda: seconds([sys.executable, "-m", "invoke", "--search-root", directory, "--list"]),
            25,
        )
    return Figure("inv --list ÷ bare Invoke", ours, theirs, 1.15)


if __name__ == "__main__":
    print(run().line())
