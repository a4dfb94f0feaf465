"""test.chaos: runs the experiments of a project against a copy of its stack, one after another."""

import time
from collections.abc import Sequence
from pathlib import Path

from invoke import Context

from ..host.forwarding import stop_on_signals
from ..host.output import note
from ..host.project import Project
from ..host.reports import Run, new_run, planned_run
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.stack.readiness import longest_health_timeout
from ..model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from ..sandbox import container
from ..test import report
from ..test.plan.stack import StackError
from ..test.stack import Throwaway
from ..test.throwaway import throwaway
from . import active, helper
from .deployed import deployed, name_of
from .deployed import variables as deployed_variables
from .experiment import conducted, found, is_about_deploys, is_about_host, library, surroundings, why_not
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
    results = [_skipped(name) for name, path in wanted.items() if is_about_host(path)]
    wanted = {name: path for name, path in wanted.items() if name not in {one.name for one in results}}
    if not wanted:
        return results
    helper.provide(project)
    active.forget_copies(project, f"{project.stack.project}-{NAME}-")
    stop_on_signals()
    about_deploys = {name: path for name, path in wanted.items() if is_about_deploys(path)}
    others = {name: path for name, path in wanted.items() if name not in about_deploys}
    results += _on_a_copy(project, run, others) if others else []
    for number, (name, path) in enumerate(about_deploys.items(), 1):
        results.append(_on_a_deploy(project, run, name, path, number))
    return results


def _skipped(name: str) -> SuiteResult:
    reason = f"the whole host feels it: inv chaos.run {name} --env ENVIRONMENT --allow-host"
    note(f"{name}: skipped, {reason}")
    return SuiteResult(name, SKIPPED, reason=reason)


def _on_a_copy(project: Project, run: Run, wanted: dict[str, Path]) -> list[SuiteResult]:
    started = time.monotonic()
    try:
        with throwaway(project, NAME, run) as stack:
            stack.up()
            try:
                return [_after_the_one_before(stack, run, name, path) for name, path in wanted.items()]
            finally:
                active.clear(stack.own)
    except StackError as error:
        seconds = time.monotonic() - started
        return [SuiteResult(NAME, FAILED, seconds=seconds, reason=error.message, output=error.output)]


def _after_the_one_before(stack: Throwaway, run: Run, name: str, path: Path) -> SuiteResult:
    """Run an experiment on the copy, once what the one before has done to it is over."""
    _settled(stack)
    return _one(stack.own, run, name, path)


def _on_a_deploy(project: Project, run: Run, name: str, path: Path, number: int) -> SuiteResult:
    """Run an experiment about deploys on an environment of its own, since it leaves another release than it found."""
    started = time.monotonic()
    try:
        with deployed(project, name_of(project, run, number)) as own:
            try:
                return _one(own, run, name, path)
            finally:
                active.clear(own)
    except RefusedError as error:
        return SuiteResult(name, SKIPPED, reason=error.message)
    except StackError as error:
        seconds = time.monotonic() - started
        return SuiteResult(name, FAILED, seconds=seconds, reason=error.message, output=error.output)


def _one(own: Project, run: Run, name: str, path: Path) -> SuiteResult:
    started = time.monotonic()
    variables = {**surroundings(own), **deployed_variables(own)}
    try:
        experiment = found(own, str(path), variables)
    except SlipwayError as error:
        return SuiteResult(name, FAILED, tests=1, failures=1, reason=error.message)
    note(f"{name}: {experiment.title}")
    journal_path = run.suite(NAME) / f"{name}.json"
    journal = conducted(own, experiment, variables, journal_path)
    reason, seconds = why_not(journal), time.monotonic() - started
    files = (run.relative(journal_path),)
    if reason:
        return SuiteResult(name, FAILED, tests=1, failures=1, seconds=seconds, reports=files, reason=reason)
    return SuiteResult(name, PASSED, tests=1, seconds=seconds, reports=files)


def _settled(stack: Throwaway) -> None:
    """Wait until all services of the copy are ready; what is not, the hypothesis of the experiment finds."""
    limit = longest_health_timeout(stack.stack.services.values(), stack.project.profile)
    stack.await_ready(limit)
