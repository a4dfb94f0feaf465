"""Runs ``inv check``."""

import os
import sys
import time
from pathlib import Path

from invoke import Context

from ..plan import checks as planner
from ..plan.errors import CheckError, CommandError
from ..plan.units import show_duration
from . import files
from .output import emit_table
from .runner import Runner


def _dockerfiles(root: Path, project: Path) -> list[str]:
    found = [
        path for path in project.rglob("Dockerfile*") if path.is_file() and not path.name.endswith(".dockerignore")
    ]
    return sorted(str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in found)


def run(c: Context, fast: bool, only: tuple[str, ...]) -> None:
    """Run the checks, all of them even when one fails; raises CheckError that names those that did not pass."""
    where = files.settings()
    # The tools are installed beside the Python that runs us, which need not be on the PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
    rows, failed = [], []
    for step in planner.select(planner.steps(str(where.root), _dockerfiles(where.root, where.project_dir)), fast, only):
        started = time.monotonic()
        try:
            runner.run(step.command)
            outcome = "passed"
        except CommandError as error:
            outcome = f"failed ({error.exit_code})"
            failed.append(step.name)
        rows.append((step.name, outcome, show_duration(time.monotonic() - started)))
    if runner.dry:
        return
    emit_table(("CHECK", "OUTCOME", "TIME"), rows)
    if failed:
        raise CheckError(f"not passed: {', '.join(failed)}", f"again: inv check --only {failed[0]}")
