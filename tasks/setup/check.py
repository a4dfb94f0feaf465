"""Runs ``inv check``."""

import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from invoke import Context

from ..host.output import emit, emit_table, note
from ..host.profile import settings
from ..host.runner import Runner, available
from ..model.errors import CheckError, CommandError, RefusedError
from ..model.units import show_duration
from ..test.plan import junit
from .plan import check


def _dockerfiles(root: Path, project: Path) -> list[str]:
    paths = [
        path for path in project.rglob("Dockerfile*") if path.is_file() and not path.name.endswith(".dockerignore")
    ]
    return sorted(str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths)


def _reports(steps: Sequence[check.CheckStep]) -> dict[str, junit.JUnitReport]:
    """Return the test reports that the steps have written, by step; a note tells of a report that cannot be read."""
    reports = {}
    for step in steps:
        if step.report and Path(step.report).exists():
            try:
                reports[step.name] = junit.parse(Path(step.report).read_bytes(), step.report)
            except (CheckError, OSError) as error:
                note(f"{step.name}: {error}")
    return reports


def _refuse_without_tools(steps: Sequence[check.CheckStep]) -> None:
    """Raise RefusedError when this Python lacks what a step runs: a user's .venv has no linters and no pytest."""
    missing = [name for name in check.modules(steps) if find_spec(name) is None]
    if missing:
        raise RefusedError(
            f"not installed: {', '.join(missing)}", "./inv check installs what checks need (requirements-check.txt)"
        )


def why_not(subject: str) -> str:
    """Return why the tests of a subject can not run on this machine, "" when they can."""
    missing = [program for program in check.PROGRAMS[subject] if not available(program)]
    return check.why_not(subject, os.geteuid() == 0, missing)


def _left_out(steps: Sequence[check.CheckStep], only: Sequence[str]) -> dict[str, str]:
    """Return why steps are left out, by name; raises RefusedError for one that was asked for by its name."""
    reasons = {step.name: reason for step in steps if step.needs and (reason := why_not(step.needs))}
    if asked := [name for name in only if name in reasons]:
        raise RefusedError(reasons[asked[0]], "./inv setup --all installs what can be installed, as root")
    return reasons


def run(c: Context, fast: bool, only: tuple[str, ...]) -> None:
    """Run the checks, all of them even after a failure; raises CheckError that names those that did not pass.

    What failed and the slowest tests of all steps are listed at the end.
    """
    where = settings.settings()
    # The tools are installed next to the Python that runs us, which need not be on the PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
    rows, failed = [], []
    dockerfiles = _dockerfiles(where.home, where.project_dir)
    steps = check.steps(str(where.home), dockerfiles, str(where.reports_dir / "check"))
    chosen = check.select(steps, fast, only)
    if not runner.dry:
        _refuse_without_tools(chosen)
    left_out = {} if runner.dry else _left_out(chosen, only)
    for step in chosen:
        if step.name in left_out:
            rows.append((step.name, f"left out: {left_out[step.name]}", ""))
            continue
        if step.report and not runner.dry:
            Path(step.report).unlink(missing_ok=True)  # or a step that crashes would leave an old report
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
    reports = _reports([step for step in chosen if step.name not in left_out])  # theirs would be of an earlier run
    for line in check.failures(reports):
        emit(line)
    if slow := check.slowest(reports):
        emit_table(("STEP", "SLOWEST TESTS", "TIME"), slow)
        emit("")
    emit_table(("CHECK", "OUTCOME", "TIME"), rows)
    if failed:
        raise CheckError(f"not passed: {', '.join(failed)}", f"run it again: inv check --only {failed[0]}")
