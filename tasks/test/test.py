"""Runs all suites in parallel and reports their results."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invoke import Context

from ..build import sources
from ..build.plan import stage_key
from ..host import reports
from ..host.output import emit_table, note
from ..host.own_code import code_digest
from ..host.profile.settings import process_env
from ..host.project import Project
from ..host.reports import Run
from ..host.runner import ParallelCommands
from ..host.story.files import tell_last_line
from ..host.story.story import Step, begin_step
from ..host.story.telling import story
from ..model.command import Command
from ..model.errors import InputError
from ..model.profile.schema import SLIPWAY
from ..model.story.events import DONE, STOPPED, StoryBegun
from ..model.story.events import FAILED as STEP_FAILED
from ..model.suite import FAILED, FLAKY, SuiteResult
from ..sandbox import container
from . import telemetry
from .plan import cache as cache_plan
from .plan.cache import CacheEntry, Decision
from .report import report

_POLL_INTERVAL = 0.05  # seconds between two checks of the suites
_TAIL = 60  # lines of a suite's log in the result of a suite that crashed
_LEDGER = "flaky.jsonl"
_CACHE = "cache"
_CHAOS = "chaos"  # the suite that is run only when all are asked for


def run_all(
    c: Context, env: str, force: bool, why: bool, fail_fast: bool, retry: int, json: bool, everything: bool = False
) -> None:
    """Run the suites whose inputs have changed since they passed; raises CheckError when a suite failed.

    ``everything``: the experiments of the project as well, after the others: they are about times.
    """
    if retry < 0:
        raise InputError(f"--retry: expected a number from 0, got {retry}", "it is how often a failed suite runs again")
    project = Project(c, env)
    cache = _ResultCache(project)
    parts = _parts(project)
    decisions = {name: cache.decide(name, parts[name], force) for name in parts}
    if telemetry.monitored(project):  # it has no parts: its result is never reused
        decisions[telemetry.NAME] = Decision(True, telemetry.REASON)
    if everything:
        decisions[_CHAOS] = Decision(True, "experiments are run each time")
    if why and not json:
        _print_reasons(cache, parts, decisions)
    todo = [name for name, decision in decisions.items() if decision.run]
    if project.runner.dry:
        _show(project, decisions)
        return
    results_by_suite = {
        name: cache_plan.unchanged(decision.entry) for name, decision in decisions.items() if decision.entry
    }
    run = reports.new_run(project.settings) if todo else cache.run_of(decisions)
    if todo:
        suites = _Suites(project, run, fail_fast, retry)
        results_by_suite.update(_in_turn(suites, todo, fail_fast))
        _remember(project, cache, parts, run, {name: results_by_suite[name] for name in suites.finished})
    results = [result for name in decisions for result in results_by_suite[name]]
    reasons = {name: {"reason": decision.reason, "parts": parts.get(name, {})} for name, decision in decisions.items()}
    more: dict[str, Any] = {"why": reasons} if why else {}
    if (percent := _merged_coverage(run)) is not None:
        more["coverage"] = percent
    report(results, run, json, more=more)


def _in_turn(suites: "_Suites", names: Sequence[str], fail_fast: bool) -> dict[str, tuple[SuiteResult, ...]]:
    """Run the suites in parallel, and the experiments after them; return the results of each."""
    first = [name for name in names if name != _CHAOS]
    found = suites.run(first) if first else {}
    bad = next((name for name in first if any(not result.good for result in found[name])), "")
    if _CHAOS in names and bad and fail_fast:
        found[_CHAOS] = (cache_plan.stopped(_CHAOS, bad),)
    elif _CHAOS in names:
        found |= suites.run([_CHAOS])
    return found


def last_passing_run(project: Project) -> str:
    """Return the id of the run that passed with the present sources, "" when a suite would have to run."""
    cache = _ResultCache(project)
    decisions = {name: cache.decide(name, parts, False) for name, parts in _parts(project).items()}
    return "" if any(decision.run for decision in decisions.values()) else cache.run_of(decisions).id


def _merged_coverage(run: Run) -> float | None:
    """Return the coverage of unit and integration tests together in per cent, None unless the run has both."""
    from .integration import merged_coverage

    merged = merged_coverage(run)
    percent = merged.share().percent if merged else None
    return None if percent is None else round(percent, 2)


def _parts(project: Project) -> dict[str, dict[str, str]]:
    """Return what the result of each suite depends on: digests by name, by suite."""
    from ..scan.plan.code import STAGE
    from . import security

    stack, profile = project.stack, project.profile
    built = stack.built()
    inputs = sources.of_project(project)
    ours = {"slipway": code_digest()}
    testers = [(service, service.slipway.tester_target) for service in built]
    scanners = [(service, STAGE) for service in built]
    wide = project.wide
    names = (*stack.services, *(service.name for service in wide.stack.test_services()))
    whole = replace(wide.stack, services={name: wide.stack.services[name] for name in names})
    everything = sources.of_project(wide, [service.name for service in whole.built()])
    images = {reference: image.id for reference, image in project.images(whole).items()}
    # An image that is built here is known by its sources; the image itself may still have to be built.
    built_here = {service.image for service in whole.built()}
    outside = {name: image for name, image in images.items() if name not in built_here}
    return {
        "unit": {**stage_key.stage_parts(testers, inputs, project.version, profile), **ours},
        "integration": {
            "environment": profile.environment,
            **cache_plan.stack_parts(whole, everything, outside, wide.model_text),
            **cache_plan.profile_part(profile, [key.name for key in SLIPWAY]),
            **ours,
        },
        "security": {
            **stage_key.stage_parts(scanners, inputs, project.version, profile),
            **security.parts(project),
            **ours,
        },
    }


class _ResultCache:
    """The remembered results: a file per suite in the reports directory."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._directory = project.settings.reports_dir / _CACHE

    def _path(self, name: str) -> Path:
        return self._directory / f"{self._project.stack.project}-{self._project.profile.environment}-{name}.json"

    def entries(self, name: str) -> tuple[CacheEntry, ...]:
        """Return the remembered results of a suite, newest first."""
        return cache_plan.entries(reports.read_json(self._path(name)))

    def decide(self, name: str, parts: Mapping[str, str], force: bool) -> Decision:
        """Return whether a suite has to run, and why."""
        known = self.entries(name)
        kept = {entry.run for entry in known if (self._project.settings.reports_dir / entry.run).is_dir()}
        return cache_plan.decide(known, parts, force, kept)

    def add(self, name: str, entry: CacheEntry) -> None:
        """Add a result to the remembered results of a suite."""
        entries = cache_plan.with_entry(self.entries(name), entry)
        reports.write_json(self._path(name), {"entries": [kept.document() for kept in entries]})

    def run_of(self, decisions: Mapping[str, Decision]) -> Run:
        """Return the newest run whose results are reused."""
        newest = max(decision.entry.run for decision in decisions.values() if decision.entry)
        return Run(newest, self._project.settings.reports_dir / newest)


def _remember(
    project: Project,
    cache: _ResultCache,
    parts: Mapping[str, Mapping[str, str]],
    run: Run,
    results_by_suite: Mapping[str, Sequence[SuiteResult]],
) -> None:
    """Remember results for the next run, except those of suites whose inputs changed while they ran."""
    after = _parts(project)
    for name, results in results_by_suite.items():
        if name not in parts:
            continue
        if after[name] == parts[name]:
            cache.add(name, CacheEntry(parts[name], run.id, reports.now(), tuple(results)))
        else:
            changed = ", ".join(cache_plan.differences(parts[name], after[name]))
            note(f"{name}: changed while it ran, so the result is not remembered for the next run: {changed}")


def _print_reasons(
    cache: _ResultCache, parts: Mapping[str, Mapping[str, str]], decisions: Mapping[str, Decision]
) -> None:
    rows = []
    for name, decision in decisions.items():
        rows.append((name, f"{'runs' if decision.run else 'does not run'}: {decision.reason}", "", ""))
        rows += [("", *line) for line in cache_plan.explanation(cache.entries(name), parts.get(name, {}))]
    emit_table(("SUITE", "DEPENDS ON", "VALUE", "LAST RESULT"), rows)


def _show(project: Project, decisions: Mapping[str, Decision]) -> None:
    """Show in a dry run which suites would run, why, and the command of each."""
    for name, decision in decisions.items():
        project.runner.show(f"{name}: {decision.reason}")
        if decision.run:
            project.runner.run(_command(project, name, reports.planned_run(project.settings)))


def _command(project: Project, name: str, run: Run) -> Command:
    target = run.path(name) / "result.json"
    words = (name, project.profile.environment, run.id, str(run.directory), str(run.attempt), str(target))
    env, home = process_env(project.settings), str(project.settings.home)
    module = "tasks.chaos.worker" if name == _CHAOS else "tasks.test.worker"
    return Command((sys.executable, "-m", module, *words), cwd=home, env=env, reason=f"{name} tests")


@dataclass(frozen=True)
class _Running:
    """A suite whose process runs."""

    name: str
    run: Run
    started: float
    told: Step


class _Suites:
    """Runs the suites of a run, each in a process of its own; ``finished`` are those that have ended."""

    def __init__(self, project: Project, run: Run, fail_fast: bool, retries: int) -> None:
        self._project, self._run, self._fail_fast, self._retries = project, run, fail_fast, retries
        self._attempts: dict[str, list[tuple[SuiteResult, ...]]] = {}
        self._running: dict[int, _Running] = {}
        self.finished: list[str] = []

    def run(self, names: Sequence[str]) -> dict[str, tuple[SuiteResult, ...]]:
        """Run the suites in parallel and return the results of each."""
        results: dict[str, tuple[SuiteResult, ...]] = {}
        begun = StoryBegun("test", self._project.stack.project, self._project.profile.environment)
        with (
            story(self._project, begun, log=False),
            self._ending_steps(),
            self._project.runner.in_parallel() as children,
        ):
            for name in names:
                self._start(children, name)
            while self._running:
                for number in list(self._running):
                    self._check(children, number, results)
                bad = next((name for name, found in results.items() if any(not result.good for result in found)), "")
                if bad and self._fail_fast:
                    break
                time.sleep(_POLL_INTERVAL)
        results.update({suite.name: (cache_plan.stopped(suite.name, bad),) for suite in self._running.values()})
        return results

    @contextmanager
    def _ending_steps(self) -> Iterator[None]:
        """Tell at the end of a block that the suites that still run are stopped."""
        try:
            yield
        finally:
            for suite in self._running.values():
                suite.told.finish(STOPPED, time.monotonic() - suite.started)

    def _start(self, children: ParallelCommands, name: str) -> None:
        attempt = len(self._attempts.setdefault(name, []))
        run = replace(self._run, attempt=attempt)
        directory = run.suite(name)
        number = children.start(_command(self._project, name, run), directory / "suite.out", directory / "suite.log")
        told = begin_step(f"{name} tests")
        self._running[number] = _Running(name, run, time.monotonic(), told)
        told.advance("running" if not attempt else f"failed, running again ({attempt} of {self._retries})")

    def _check(self, children: ParallelCommands, number: int, results: dict[str, tuple[SuiteResult, ...]]) -> None:
        code = children.ended(number)
        if code is None:
            suite = self._running[number]
            tell_last_line(suite.told, suite.run.path(suite.name) / "suite.log")
            return
        suite = self._running.pop(number)
        name, run, seconds = suite.name, suite.run, time.monotonic() - suite.started
        attempts = self._attempts[name]
        attempts.append(_results(name, run, code, seconds))
        suite.told.result = ", ".join(dict.fromkeys(result.outcome for result in attempts[-1]))
        suite.told.finish(DONE if all(result.good for result in attempts[-1]) else STEP_FAILED, seconds)
        if cache_plan.retry_wanted(attempts[-1], len(attempts), self._retries):
            self._start(children, name)
            return
        results[name] = cache_plan.combine_attempts(attempts)
        self.finished.append(name)
        for result in results[name]:
            if result.outcome == FLAKY:
                self._record(result, len(attempts))

    def _record(self, result: SuiteResult, attempts: int) -> None:
        environment = self._project.profile.environment
        line = cache_plan.flaky_record(result, self._run.id, reports.now(), environment, attempts)
        reports.append_json(self._project.settings.reports_dir / _LEDGER, line)


def _results(name: str, run: Run, code: int, seconds: float) -> tuple[SuiteResult, ...]:
    """Return the results that a suite has written; a suite that wrote none has failed."""
    log = run.path(name) / "suite.log"
    tail = "\n".join(container.tail(log).splitlines()[-_TAIL:])
    results = cache_plan.results(reports.read_json(run.path(name) / "result.json")) if code == 0 else ()
    if not results:
        reason = f"its process ended with exit code {code} and without a result"
        return (SuiteResult(name, FAILED, seconds=seconds, reason=reason, output=tail, reports=(run.relative(log),)),)
    # A suite that failed before any test ran has only a message: its log, such as the output of a build, explains it.
    return tuple(
        replace(result, output=f"{tail}\n{result.output}", reports=(run.relative(log),))
        if result.outcome == FAILED and not result.tests and not result.reports
        else result
        for result in results
    )
