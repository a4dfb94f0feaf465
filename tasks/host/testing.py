"""Runs every suite beside the others, and reports what they came to."""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from invoke import Context

from ..plan import testing as planner
from ..plan.command import Command
from ..plan.errors import CheckError, InputError
from ..plan.quoting import quoted
from ..plan.schema import SLIPWAY
from ..plan.suites import FAILED, FLAKY, UNCHANGED, SuiteResult, outcome
from ..plan.testing import Decision, Entry
from ..plan.units import show_duration
from . import boxes, reports
from .output import emit_json, emit_table, note
from .project import Project
from .reports import Run
from .runner import Beside

SCHEMA = "slipway/test/v1"
_LOOK = 0.05  # seconds between two looks at the suites
_TAIL = 60  # lines of a suite's log that explain its end
_LEDGER = "flaky.jsonl"
_CACHE = "cache"


def report(
    results: Sequence[SuiteResult], run: Run, json: bool, schema: str = SCHEMA, more: Mapping[str, Any] | None = None
) -> None:
    """Print the results of a run; raises CheckError when one is not good.

    What a suite that is not good printed comes last, so that it is not lost in the middle.
    """
    if json:
        emit_json(
            {
                "schema": schema,
                "outcome": outcome(results),
                "run": run.id,
                "suites": [one.document() for one in results],
                "coverage": _coverage(results),
                **(more or {}),
            }
        )
    else:
        _table(results)
        if more and more.get("coverage") is not None:
            note(f"coverage of unit and integration tests together: {more['coverage']:.1f} %")
    _outputs(results)
    bad = [one for one in results if not one.good]
    if bad:
        raise CheckError(
            "; ".join(f"{one.name}: {one.outcome}{f': {one.reason}' if one.reason else ''}" for one in bad),
            f"reports of this run: {run.directory}",
        )


def _coverage(results: Sequence[SuiteResult]) -> float | None:
    """Return the coverage of the run: the greatest one, since a suite that merges others' includes them."""
    known = [one.coverage for one in results if one.coverage is not None]
    return max(known) if known else None


def _table(results: Sequence[SuiteResult]) -> None:
    emit_table(
        ("SUITE", "RESULT", "TESTS", "FAILED", "SKIPPED", "TIME", "COVERAGE", ""),
        [
            (
                one.name,
                one.outcome,
                one.tests or "-",
                one.failures,
                one.skipped,
                show_duration(one.seconds),
                "-" if one.coverage is None else f"{one.coverage:.1f} %",
                f"since run {one.reason}, passed" if one.outcome == UNCHANGED else one.reason,
            )
            for one in results
        ],
    )


def _outputs(results: Sequence[SuiteResult]) -> None:
    for one in results:
        if not one.good and one.output:
            note(f"---- {one.name}: {one.outcome}{f': {one.reason}' if one.reason else ''}")
            for line in one.output.rstrip("\n").splitlines():
                note(quoted(line))


def run_all(c: Context, env: str, force: bool, why: bool, fail_fast: bool, retry: int, json: bool) -> None:
    """Run the suites whose inputs have changed since they passed; raises CheckError when one is not good."""
    if retry < 0:
        raise InputError(f"--retry: expected a number from 0, got {retry}", "how often a failed suite is run again")
    project = Project(c, env)
    cache = _Cache(project)
    parts = _parts(project)
    decisions = {name: cache.decide(name, parts[name], force) for name in parts}
    if why and not json:
        _explain(cache, parts, decisions)
    todo = [name for name, one in decisions.items() if one.run]
    if project.runner.dry:
        _show(project, decisions)
        return
    found = {name: planner.unchanged(one.entry) for name, one in decisions.items() if one.entry}
    run = reports.new_run(project.settings) if todo else cache.run_of(decisions)
    if todo:
        suites = _Suites(project, run, fail_fast, retry)
        found.update(suites.run(todo))
        _remember(project, cache, parts, run, {name: found[name] for name in suites.finished})
    results = [one for name in decisions for one in found[name]]
    reasons = {name: {"reason": one.reason, "parts": parts[name]} for name, one in decisions.items()}
    more: dict[str, Any] = {"why": reasons} if why else {}
    if (percent := _merged_coverage(run)) is not None:
        more["coverage"] = percent
    report(results, run, json, more=more)


def holding(project: Project) -> str:
    """Return the run whose results hold for the sources as they are, "" when a suite would have to run."""
    cache = _Cache(project)
    decisions = {name: cache.decide(name, parts, False) for name, parts in _parts(project).items()}
    return "" if any(one.run for one in decisions.values()) else cache.run_of(decisions).id


def _merged_coverage(run: Run) -> float | None:
    """Return what unit and integration tests reach together, None unless this run has both."""
    from .integration_tests import merged_coverage

    merged = merged_coverage(run)
    percent = merged.share().percent if merged else None
    return None if percent is None else round(percent, 2)


def _parts(project: Project) -> dict[str, dict[str, str]]:
    """Return what the result of each suite depends on."""
    from ..plan.code_scan import STAGE
    from . import security_tests

    stack, profile = project.stack, project.profile
    built = stack.built()
    inputs = project.build_inputs()
    ours = {"slipway": code_digest()}
    testers = [(one, one.slipway.tester_target) for one in built]
    scanners = [(one, STAGE) for one in built]
    wide = project.wide
    names = (*stack.services, *(one.name for one in wide.stack.test_services()))
    whole = replace(wide.stack, services={name: wide.stack.services[name] for name in names})
    everything = wide.build_inputs([one.name for one in whole.built()])
    images = {reference: one.id for reference, one in project.images(whole).items()}
    # What another service builds has that one's sources; the image itself may still have to be built.
    made = {one.image for one in whole.built()}
    outside = {name: image for name, image in images.items() if name not in made}
    return {
        "unit": {**planner.stage_parts(testers, inputs, project.version, profile), **ours},
        "integration": {
            "environment": profile.environment,
            **planner.stack_parts(whole, everything, outside, wide.model_text),
            **planner.profile_part(profile, [key.name for key in SLIPWAY]),
            **ours,
        },
        "security": {
            **planner.stage_parts(scanners, inputs, project.version, profile),
            **security_tests.parts(project),
            **ours,
        },
    }


def code_digest() -> str:
    """Return a digest of our own code: other rules, other results."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


class _Cache:
    """The results that are remembered: a file for each suite under the reports directory."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._directory = project.settings.reports_dir / _CACHE

    def _path(self, name: str) -> Path:
        return self._directory / f"{self._project.stack.project}-{self._project.profile.environment}-{name}.json"

    def entries(self, name: str) -> tuple[Entry, ...]:
        """Return the results of a suite, newest first."""
        return planner.entries(reports.read_json(self._path(name)))

    def decide(self, name: str, parts: Mapping[str, str], force: bool) -> Decision:
        """Return whether a suite has to run."""
        known = self.entries(name)
        kept = {one.run for one in known if (self._project.settings.reports_dir / one.run).is_dir()}
        return planner.decide(known, parts, force, kept)

    def add(self, name: str, entry: Entry) -> None:
        """Remember a result."""
        known = planner.remembered(self.entries(name), entry)
        reports.write_json(self._path(name), {"entries": [one.document() for one in known]})

    def run_of(self, decisions: Mapping[str, Decision]) -> Run:
        """Return the newest of the runs that stand for this one."""
        newest = max(one.entry.run for one in decisions.values() if one.entry)
        return Run(newest, self._project.settings.reports_dir / newest)


def _remember(
    project: Project,
    cache: _Cache,
    parts: Mapping[str, Mapping[str, str]],
    run: Run,
    found: Mapping[str, Sequence[SuiteResult]],
) -> None:
    """Keep results for the next time; those of suites whose inputs changed while they ran are kept by nobody."""
    after = _parts(project)
    for name, results in found.items():
        if after[name] == parts[name]:
            cache.add(name, Entry(parts[name], run.id, reports.now(), tuple(results)))
        else:
            changed = ", ".join(planner.differences(parts[name], after[name]))
            note(f"{name}: changed while it ran, so the result is not kept for the next time: {changed}")


def _explain(cache: _Cache, parts: Mapping[str, Mapping[str, str]], decisions: Mapping[str, Decision]) -> None:
    rows = []
    for name, one in decisions.items():
        rows.append((name, f"{'runs' if one.run else 'does not run'}: {one.reason}", "", ""))
        rows += [("", *line) for line in planner.explanation(cache.entries(name), parts[name])]
    emit_table(("SUITE", "DEPENDS ON", "VALUE", "LAST RESULT"), rows)


def _show(project: Project, decisions: Mapping[str, Decision]) -> None:
    """Say in a dry run which suites would run, and show the tasks that run them one by one."""
    for name, one in decisions.items():
        project.runner.show(f"{name}: {one.reason}")
        if one.run:
            project.runner.run(_command(project, name, reports.planned_run(project.settings)))


def _command(project: Project, name: str, run: Run) -> Command:
    target = run.path(name) / "result.json"
    words = (name, project.profile.environment, run.id, str(run.directory), str(run.attempt), str(target))
    root = str(project.settings.root)
    return Command((sys.executable, "-m", "tasks.host.suite", *words), cwd=root, reason=f"{name} tests")


class _Suites:
    """The suites of one run, each in a process of its own."""

    def __init__(self, project: Project, run: Run, fail_fast: bool, retries: int) -> None:
        self._project, self._run, self._fail_fast, self._retries = project, run, fail_fast, retries
        self._attempts: dict[str, list[tuple[SuiteResult, ...]]] = {}
        self._running: dict[int, tuple[str, Run, float]] = {}
        self.finished: list[str] = []

    def run(self, names: Sequence[str]) -> dict[str, tuple[SuiteResult, ...]]:
        """Run the suites beside each other and return the results of each."""
        found: dict[str, tuple[SuiteResult, ...]] = {}
        with self._project.runner.beside() as children:
            for name in names:
                self._start(children, name)
            while self._running:
                for number in list(self._running):
                    self._look(children, number, found)
                bad = next((name for name in self.finished if any(not one.good for one in found[name])), "")
                if bad and self._fail_fast:
                    break
                time.sleep(_LOOK)
        found.update({name: (planner.stopped(name, bad),) for name, _, _ in self._running.values()})
        return found

    def _start(self, children: Beside, name: str) -> None:
        attempt = len(self._attempts.setdefault(name, []))
        run = replace(self._run, attempt=attempt)
        directory = run.suite(name)
        number = children.start(_command(self._project, name, run), directory / "suite.out", directory / "suite.log")
        self._running[number] = (name, run, time.monotonic())
        note(f"{name}: {'running' if not attempt else f'failed, running again ({attempt} of {self._retries})'}")

    def _look(self, children: Beside, number: int, found: dict[str, tuple[SuiteResult, ...]]) -> None:
        code = children.ended(number)
        if code is None:
            return
        name, run, started = self._running.pop(number)
        attempts = self._attempts[name]
        attempts.append(_results(name, run, code, time.monotonic() - started))
        if planner.again(attempts[-1], len(attempts), self._retries):
            self._start(children, name)
            return
        found[name] = planner.combined(attempts)
        self.finished.append(name)
        for one in found[name]:
            note(f"{one.name}: {one.outcome} ({show_duration(one.seconds)})")
            if one.outcome == FLAKY:
                self._record(one, len(attempts))

    def _record(self, one: SuiteResult, attempts: int) -> None:
        environment = self._project.profile.environment
        line = planner.flaky_record(one, self._run.id, reports.now(), environment, attempts)
        reports.append_json(self._project.settings.reports_dir / _LEDGER, line)


def _results(name: str, run: Run, code: int, seconds: float) -> tuple[SuiteResult, ...]:
    """Return the results that a suite has written; one that wrote none has failed."""
    log = run.path(name) / "suite.log"
    tail = "\n".join(boxes.tail(log).splitlines()[-_TAIL:])
    found = planner.results(reports.read_json(run.path(name) / "result.json")) if code == 0 else ()
    if not found:
        reason = f"its process ended with exit code {code} and without a result"
        return (SuiteResult(name, FAILED, seconds=seconds, reason=reason, output=tail, reports=(run.relative(log),)),)
    # What failed before there was any test says so itself; the log, such as a build's output, says why.
    return tuple(
        replace(one, output=f"{tail}\n{one.output}", reports=(run.relative(log),))
        if one.outcome == FAILED and not one.tests and not one.reports
        else one
        for one in found
    )
