"""Adopts every Compose project below a directory and says what came of each: ``python -m tests.bench.foreign DIR``.

It works on a copy, so DIR may be a clone of any repository. For each project: ``adopt --yes``; the same again, which
has to change nothing; ``env.check`` of dev and of all; ``deploy.plan`` and ``deploy.dev --dry``. Nothing is started,
built or pulled. A refusal is shown with its hint; the exit code is 1 when a task ended with a traceback or a defect,
when a file of the project was changed, or when the second adoption changed something.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tasks" / "cli" / "program.py"
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
TASKS = {
    "ADOPT": ("adopt", "--yes"),
    "AGAIN": ("adopt", "--yes"),
    "CHECK DEV": ("env.check", "--env", "dev"),
    "CHECK ALL": ("env.check",),
    "PLAN": ("deploy.plan", "--env", "dev"),
    "DRY RUN": ("--dry", "deploy.dev"),
}
DEFECT = 1  # the exit code of an error that is no documented refusal
TIMEOUT = 180  # seconds


@dataclass
class Outcome:
    """What the tasks answered in a project: exit codes by task, refusals, and what must not have happened."""

    project: str
    codes: dict[str, int] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


def projects(root: Path) -> Iterator[Path]:
    """Yield the directories with a Compose file of a usual name, those of dependencies left out."""
    for directory, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in (".git", "node_modules", "vendor"))
        if any(name in files for name in NAMES):
            yield Path(directory)


def digest(directory: Path) -> dict[str, str]:
    """Return a digest of each file below a directory, by path."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts
    }


def inv(directory: Path, *words: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    """Run a task in a project, as a user does who has `inv` on the PATH; ``timeout`` is in seconds."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLIPWAY_", "COMPOSE_"))}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words],
        cwd=directory, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip


def visit(project: Path, root: Path) -> Outcome:
    """Adopt a project and ask what a user would ask next."""
    outcome = Outcome(str(project.relative_to(root)) or ".")
    before = digest(project)
    adopted: dict[str, str] = {}
    for title, words in TASKS.items():
        done = inv(project, *words)
        outcome.codes[title] = done.returncode
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("#")]
        if done.returncode == DEFECT or "Traceback" in done.stderr or done.returncode < 0:
            outcome.defects.append(f"{title}: {' / '.join(said[-2:])}")
        elif done.returncode:
            outcome.refusals.append(f"{title}: {' / '.join(said[-3:])}")
        now = digest(project)
        if title == "ADOPT":
            adopted = now
        elif title == "AGAIN" and now != adopted:
            outcome.defects.append(f"AGAIN changed {', '.join(sorted({*now.items()} ^ {*adopted.items()})[0])}")
        if title == "ADOPT" and done.returncode:
            break
    after = digest(project)
    changed = [name for name, value in before.items() if after.get(name) != value]
    outcome.defects += [f"changed {name}" for name in changed]
    return outcome


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="how many projects at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="foreign-") as scratch:
        copy = Path(scratch) / options.directory.resolve().name
        shutil.copytree(options.directory, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        found = list(projects(copy))
        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = list(pool.map(lambda project: visit(project, copy), found))
    rows = [(outcome.project, *(outcome.codes.get(title, "-") for title in TASKS)) for outcome in outcomes]
    print(tabulate(rows, headers=("PROJECT", *TASKS), tablefmt="plain"))
    for outcome in outcomes:
        for line in outcome.refusals:
            print(f"{outcome.project}: {line}")
    defects = [f"{outcome.project}: {line}" for outcome in outcomes for line in outcome.defects]
    for line in defects:
        print(f"DEFECT {line}")
    adopted = sum(not any(outcome.codes.values()) for outcome in outcomes)
    print(f"{len(outcomes)} projects, {adopted} without a refusal, {len(defects)} defects")
    return 1 if defects or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
