"""test.chaos: runs the experiments of a project against a copy of its stack, one after another."""

import time
from collections.abc import Sequence
from pathlib import Path

from invoke import Context

from ..host.forwarding import stop_on_signals
from ..host.output import note
from ..host.project import Project
from ..host.reports import Run, new_run, planned_run
from ..model.errors import InputError, SlipwayError
from ..model.stack.readiness import longest_health_timeout
from ..model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from ..sandbox import container
from ..test import report
from ..test.plan.stack import StackError
from ..test.stack import Throwaway
from ..test.throwaway import throwaway
from . import active, helper
from .experiment import conducted, found, library, surroundings, why_not
from .plan import safety

NAME = "chaos"


def run(c: Context, env: str, names: tuple[str, ...], json: bool) -> None:
    """Run experiments and report the results; raises CheckError when one did not go as expected."""
    project = Project(c, env)
    safety.refuse_cluster(project.profile)
    container.refuse_remote(project)
    known = library(project.settings.project_dir)
    for name in names:
        if name not in known:
            raise InputError(f"there is no experiment {name!r}", f"there are: {', '.join(known) or 'none'}")
    wanted = {name: path for name, path in known.items() if not names or name in names}
    if project.runner.dry:
        _show(project, wanted)
        return
    this_run = new_run(project.settings)
    report.report(_results(project, this_run, wanted), this_run, json)


def execute(project: Project, run: Run) -> Sequence[SuiteResult]:
    """Run all experiments of a project and return their results, for ``inv test --all``."""
    safety.refuse_cluster(project.profile)
    container.refuse_remote(project)
    return _results(project, run, library(project.settings.project_dir))


def _show(project: Project, wanted: dict[str, Path]) -> None:
    with throwaway(project, NAME, planned_run(project.settings)) as stack:
        stack.up()
        for path in wanted.values():
            project.runner.show(f"run the experiment {project.settings.shown(path)}")


def _results(project: Project, run: Run, wanted: dict[str, Path]) -> list[SuiteResult]:
    if not wanted:
        reason = "the project has no experiments: chaos/*.yaml"
        note(f"{NAME}: skipped, {reason}")
        return [SuiteResult(NAME, SKIPPED, reason=reason)]
    helper.provide(project)
    active.forget_copies(project, f"{project.stack.project}-{NAME}-")
    started = time.monotonic()
    stop_on_signals()
    try:
        with throwaway(project, NAME, run) as stack:
            stack.up()
            try:
                return [_one(stack, run, name, path) for name, path in wanted.items()]
            finally:
                active.clear(stack.own)
    except StackError as error:
        seconds = time.monotonic() - started
        return [SuiteResult(NAME, FAILED, seconds=seconds, reason=error.message, output=error.output)]


def _one(stack: Throwaway, run: Run, name: str, path: Path) -> SuiteResult:
    """Run an experiment on the copy, once what the one before has done to it is over."""
    copy, started = stack.own, time.monotonic()
    _settled(stack)
    variables = surroundings(copy)
    try:
        experiment = found(copy, str(path), variables)
    except SlipwayError as error:
        return SuiteResult(name, FAILED, tests=1, failures=1, reason=error.message)
    note(f"{name}: {experiment.title}")
    journal_path = run.suite(NAME) / f"{name}.json"
    journal = conducted(copy, experiment, variables, journal_path)
    reason, seconds = why_not(journal), time.monotonic() - started
    files = (run.relative(journal_path),)
    if reason:
        return SuiteResult(name, FAILED, tests=1, failures=1, seconds=seconds, reports=files, reason=reason)
    return SuiteResult(name, PASSED, tests=1, seconds=seconds, reports=files)


def _settled(stack: Throwaway) -> None:
    """Wait until all services of the copy are ready; what is not, the hypothesis of the experiment finds."""
    limit = longest_health_timeout(stack.stack.services.values(), stack.project.profile)
    stack.await_ready(limit)
