"""Runs the integration tests: every run on a throw-away copy of the stack."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from invoke import Context

from ..host.output import note
from ..host.project import Project
from ..host.reports import Run, new_run, planned_run, read_report
from ..host.runner import capture
from ..model.errors import CheckError, SlipwayError
from ..model.quoting import quoted
from ..model.stack.stack import Service
from ..model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from ..model.units import show_duration, show_size
from ..sandbox import container
from ..sandbox.plan.container import REPORTS, container_user
from . import unit
from .plan import coverage, integration, junit
from .plan.coverage import Coverage
from .plan.integration import NAME, ServiceRun, Shard
from .plan.stack import StackError
from .plan.verdict import ServiceVerdict, suite_result
from .stack import Throwaway
from .throwaway import throwaway

_KIND = "it"  # in the names of the stacks
_LOG_LINES = 100_000  # kept of each container
_LOG_BYTES = 16 * 2**20  # kept of each container: a line can have any length
_PROFILE = "coverage.out"

Suite = Callable[[Project, Run], SuiteResult]


def run(c: Context, env: str, services: tuple[str, ...], filter: str, shard: str, keep: bool, json: bool) -> None:
    """Run the integration tests and report the results; raises CheckError when they did not pass."""
    from . import report as test_report

    integration.shard(shard), integration.pattern(filter)
    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings), services, filter, shard, keep)
        return
    this_run = new_run(project.settings)
    test_report.report(execute(project, this_run, services, filter, shard, keep), this_run, json)


def execute(
    project: Project,
    run: Run,
    services: tuple[str, ...] = (),
    filter: str = "",
    shard: str = "",
    keep: bool = False,
    then: Sequence[Suite] = (),
) -> Sequence[SuiteResult]:
    """Run the test services on a copy of the stack, and ``then`` further suites on the same copy.

    Returns the result of the integration tests, then those of the further suites; none in a dry run.
    Raises InputError for a bad shard, a bad filter or a service that is not a test.
    """
    started = time.monotonic()
    part, filter = integration.shard(shard), integration.pattern(filter)
    tests = integration.selected(project.wide.stack, services)
    if not tests:
        reason = "no service says x-slipway.job: test"
        note(f"{NAME}: skipped, {reason}")
        return [SuiteResult(NAME, SKIPPED, reason=reason)]
    container.refuse_remote(project)
    others: list[SuiteResult] = []
    names = tuple(test.name for test in tests)
    with throwaway(project, _KIND, run, names, cover=not keep, keep=keep) as stack:
        try:
            stack.up()
            verdicts = [_test(stack, run, test, filter, part) for test in tests]
            others = [suite(stack.own, run) for suite in then] if not project.runner.dry else []
            covered = _coverage(stack, run) if not project.runner.dry else []
        except StackError as error:
            return [_not_started(run, error, time.monotonic() - started)]
        finally:
            if not project.runner.dry:
                _save_logs(stack, run)
            if keep:
                _note_kept(stack)
    if project.runner.dry:
        return []
    return [_result(run, verdicts, _merged(run, covered), part, time.monotonic() - started), *others]


def _test(stack: Throwaway, run: Run, service: Service, filter: str, part: Shard) -> ServiceVerdict:
    """Run a test service on the network of the stack and return the verdict on it."""
    project, runner = stack.project, stack.project.runner
    directory = container.reports(project, run, NAME, service)
    name = f"{stack.copy.name}-{service.name}"
    image = stack.copy.images.get(service.name, service.image)
    user = container_user((os.getuid(), os.getgid()), project.engine.image_user(image))
    words = integration.test_words(service.name, name, str(directory), user, filter, part, project.profile.environment)
    command = stack.compose(*words, reason=f"run the tests of {service.name}")
    if runner.dry:
        runner.run(command)
        return ServiceVerdict(service.name)
    note(f"{service.name}: running the tests")
    log, stopped = directory / container.LOG, ""
    started = time.monotonic()
    with runner.in_parallel() as children:
        number = children.start(command, log)
        while (code := children.ended(number)) is None and not stopped:
            stopped = _overdue(project, directory, time.monotonic() - started)
            time.sleep(container.POLL_INTERVAL)
        containers = stack.containers()
        if stopped:
            project.engine.remove_container(name)
            children.stop(number)
    text = container.tail(log)
    facts = ServiceRun(service.name, code or 0, stopped, text, containers, stack.stack)
    return _judge(facts, directory, part)


def _overdue(project: Project, directory: Path, seconds: float) -> str:
    """Return why tests that have run for ``seconds`` have to be stopped, "" when they may go on."""
    limit = project.profile.duration("TEST_TIMEOUT")
    if seconds > limit:
        hint = unit.unfinished_tests(directory)
        return f"not done within TEST_TIMEOUT={show_duration(limit)}{f': {hint}' if hint else ''}"
    if (directory / container.LOG).stat().st_size > container.LOG_LIMIT:
        return f"stopped: it wrote more than {show_size(container.LOG_LIMIT)}"
    return ""


def _judge(facts: ServiceRun, directory: Path, part: Shard) -> ServiceVerdict:
    report, unreadable = None, ""
    try:
        data = read_report(directory / "junit.xml", f"{facts.service}: {REPORTS}/junit.xml")
        report = None if data is None else junit.parse(data, f"{facts.service}: {REPORTS}/junit.xml")
    except CheckError as error:
        unreadable = error.message.removeprefix(f"{facts.service}: ")
    return integration.judge(facts, report, unreadable, part)


def _save_logs(stack: Throwaway, run: Run) -> None:
    """Save the log of every container of the stack in the reports of the run."""
    directory = run.suite(NAME) / "logs"
    directory.mkdir(exist_ok=True)
    engine = stack.project.engine
    for logged in engine.containers(stack.copy.name):
        number = "" if logged.number == 1 else f"-{logged.number}"
        path = directory / f"{logged.service}{number}.log"
        try:
            path.write_text(engine.watch.logs(logged.id, _LOG_LINES, _LOG_BYTES), encoding="utf-8")
        except SlipwayError as error:  # for example: the logging driver keeps no logs
            path.write_text(f"{error.message}\n", encoding="utf-8")


def _note_kept(stack: Throwaway) -> None:
    running = [name for name, service in stack.stack.services.items() if not stack.stack.one_off(service)]
    for line in integration.kept(stack.copy.name, stack.project.profile.environment, running):
        note(line)


def _coverage(stack: Throwaway, run: Run) -> list[Coverage]:
    """Return the coverage of the services whose binary records it.

    A binary writes its coverage when it ends, so these services are stopped, with their own grace time.
    """
    covered = [
        container
        for container in stack.containers()
        if container.service in stack.copy.covered and not container.oneoff
    ]
    if not covered:
        return []
    capture(stack.docker("docker", "stop", *(container.id for container in covered)))
    names = dict.fromkeys(container.service for container in covered)
    profiles = []
    for name in names:
        data = _profile(stack, run, stack.project.stack.service(name))
        if data is not None:
            profiles.append(data)
    return profiles


def _profile(stack: Throwaway, run: Run, service: Service) -> Coverage | None:
    directory = container.reports(stack.project, run, NAME, service)
    image, caller = stack.copy.images[service.name], (os.getuid(), os.getgid())
    labels = stack.copy.labels()
    words = integration.coverage_words(stack.copy.name, service.name, image, str(directory), caller, labels)
    done = capture(stack.docker(*words))
    where = f"{service.name}: {_PROFILE}"
    try:
        data = read_report(directory / _PROFILE, where)
        if data is not None and done.exit_code == 0:
            return coverage.parse(data.decode(errors="replace"), where)
        reason = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
    except CheckError as error:
        reason = error.message
    note(f"{service.name}: no coverage of the running binary: {quoted(reason)}")
    return None


def _merged(run: Run, profiles: Sequence[Coverage]) -> Coverage | None:
    """Save the profiles merged, and merged with that of the unit tests; return the latter, or else the former."""
    if not profiles:
        return None
    own = coverage.merge(profiles)
    (run.suite(NAME) / _PROFILE).write_text(own.text(), encoding="utf-8")
    return merged_coverage(run) or own


def merged_coverage(run: Run) -> Coverage | None:
    """Save and return the coverage of a run's unit and integration tests together; None unless it has both."""
    profiles = []
    for suite in (unit.NAME, NAME):
        path = run.path(suite) / _PROFILE
        data = read_report(path, run.relative(path))
        if data is None:
            return None
        profiles.append(coverage.parse(data.decode(errors="replace"), run.relative(path)))
    merged = coverage.merge(profiles)
    (run.directory / _PROFILE).write_text(merged.text(), encoding="utf-8")
    return merged


def _not_started(run: Run, error: StackError, seconds: float) -> SuiteResult:
    return SuiteResult(NAME, FAILED, seconds=seconds, reports=_reports(run), reason=error.message, output=error.output)


def _reports(run: Run) -> tuple[str, ...]:
    return tuple(run.relative(path) for path in sorted(run.path(NAME).rglob("*")) if path.is_file())


def _result(
    run: Run, verdicts: Sequence[ServiceVerdict], covered: Coverage | None, part: Shard, seconds: float
) -> SuiteResult:
    nothing = all(verdict.nothing for verdict in verdicts)
    good = (SKIPPED, f"no test falls into shard {part}") if nothing else (PASSED, "")
    return suite_result(NAME, verdicts, seconds, _reports(run), covered, good)
