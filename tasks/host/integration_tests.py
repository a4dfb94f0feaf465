"""Runs the tests that speak to a running stack: each run on a stack of its own."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from invoke import Context

from ..plan import coverage, junit
from ..plan import integration as planner
from ..plan.coverage import Coverage
from ..plan.errors import CheckError, SlipwayError
from ..plan.integration import NAME, Facts, Shard, Verdict
from ..plan.quoting import quoted
from ..plan.stack import Service
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..plan.throwaway import StackError
from ..plan.unit import REPORTS, container_user
from ..plan.units import show_duration, show_size
from . import boxes, unit_tests
from .output import note
from .project import Project
from .reports import Run, new_run, planned_run, read_report
from .runner import capture
from .throwaway import Throwaway, throwaway

_KIND = "it"  # in the names of the stacks
_LOG_LINES = 100_000  # of each container
_LOG_BYTES = 16 * 2**20  # a line may have any length
_PROFILE = "coverage.out"

Suite = Callable[[Project, Run], SuiteResult]


def run(c: Context, env: str, services: tuple[str, ...], filter: str, shard: str, keep: bool, json: bool) -> None:
    """Run the integration tests and report them; raises CheckError when a gate stays closed."""
    from . import testing

    planner.shard(shard), planner.pattern(filter)
    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings), services, filter, shard, keep)
        return
    made = new_run(project.settings)
    testing.report(execute(project, made, services, filter, shard, keep), made, json)


def execute(
    project: Project,
    run: Run,
    services: tuple[str, ...] = (),
    filter: str = "",
    shard: str = "",
    keep: bool = False,
    then: Sequence[Suite] = (),
) -> Sequence[SuiteResult]:
    """Run the test services on a stack of their own, and ``then`` further suites on the same stack.

    Raises InputError for a shard, a filter or a service that is none.
    """
    started = time.monotonic()
    part, filter = planner.shard(shard), planner.pattern(filter)
    tests = planner.selected(project.wide.stack, services)
    if not tests:
        reason = "no service says x-slipway.job: test"
        note(f"{NAME}: skipped, {reason}")
        return [SuiteResult(NAME, SKIPPED, reason=reason)]
    unit_tests.refuse_remote(project)
    others: list[SuiteResult] = []
    names = tuple(one.name for one in tests)
    with throwaway(project, _KIND, run, names, cover=not keep, keep=keep) as stack:
        try:
            stack.up()
            verdicts = [_test(stack, run, one, filter, part) for one in tests]
            others = [suite(stack.own, run) for suite in then] if not project.runner.dry else []
            covered = _coverage(stack, run) if not project.runner.dry else []
        except StackError as error:
            return [_broken(run, error, time.monotonic() - started)]
        finally:
            if not project.runner.dry:
                _save_logs(stack, run)
            if keep:
                _tell(stack)
    if project.runner.dry:
        return []
    return [_result(run, verdicts, _merged(run, covered), part, time.monotonic() - started), *others]


def _test(stack: Throwaway, run: Run, service: Service, filter: str, part: Shard) -> Verdict:
    """Run one test service beside the stack and judge what it came to."""
    project, runner = stack.project, stack.project.runner
    directory = boxes.reports(project, run, NAME, service)
    name = f"{stack.copy.name}-{service.name}"
    image = stack.copy.images.get(service.name, service.image)
    user = container_user((os.getuid(), os.getgid()), project.engine.image_user(image))
    words = planner.test_words(service.name, name, str(directory), user, filter, part, project.profile.environment)
    command = stack.compose(*words, reason=f"run the tests of {service.name}")
    if runner.dry:
        runner.run(command)
        return Verdict(service.name)
    note(f"{service.name}: running the tests")
    log, stopped = directory / boxes.LOG, ""
    started = time.monotonic()
    with runner.beside() as children:
        number = children.start(command, log)
        while (code := children.ended(number)) is None and not stopped:
            stopped = _overdue(project, directory, time.monotonic() - started)
            time.sleep(boxes.LOOK)
        containers = stack.containers()
        if stopped:
            project.engine.remove_container(name)
            children.stop(number)
    text = boxes.tail(log)
    facts = Facts(service.name, code or 0, stopped, text, containers, stack.stack)
    return _judge(facts, directory, part)


def _overdue(project: Project, directory: Path, seconds: float) -> str:
    """Return why tests have to be stopped, "" when they may go on."""
    limit = project.profile.duration("TEST_TIMEOUT")
    if seconds > limit:
        hint = unit_tests.hanging(directory)
        return f"not done within TEST_TIMEOUT={show_duration(limit)}{f': {hint}' if hint else ''}"
    if (directory / boxes.LOG).stat().st_size > boxes.LOG_LIMIT:
        return f"stopped: it wrote more than {show_size(boxes.LOG_LIMIT)}"
    return ""


def _judge(facts: Facts, directory: Path, part: Shard) -> Verdict:
    report, unreadable = None, ""
    try:
        data = read_report(directory / "junit.xml", f"{facts.service}: {REPORTS}/junit.xml")
        report = None if data is None else junit.parse(data, f"{facts.service}: {REPORTS}/junit.xml")
    except CheckError as error:
        unreadable = error.message.removeprefix(f"{facts.service}: ")
    return planner.judge(facts, report, unreadable, part)


def _save_logs(stack: Throwaway, run: Run) -> None:
    """Keep what every container of the stack wrote."""
    directory = run.suite(NAME) / "logs"
    directory.mkdir(exist_ok=True)
    engine = stack.project.engine
    for one in engine.containers(stack.copy.name):
        number = "" if one.number == 1 else f"-{one.number}"
        path = directory / f"{one.service}{number}.log"
        try:
            path.write_text(engine.logs(one.id, _LOG_LINES, _LOG_BYTES), encoding="utf-8")
        except SlipwayError as error:  # such as of a logging driver that keeps nothing
            path.write_text(f"{error.message}\n", encoding="utf-8")


def _tell(stack: Throwaway) -> None:
    running = [name for name, one in stack.stack.services.items() if not stack.stack.one_off(one)]
    for line in planner.kept(stack.copy.name, stack.project.profile.environment, running):
        note(line)


def _coverage(stack: Throwaway, run: Run) -> list[Coverage]:
    """Return what the tests reached of the services whose binary records it.

    It is written when the service ends, so this stops them: in their own time, as a deploy would.
    """
    covered = [one for one in stack.containers() if one.service in stack.copy.covered and not one.oneoff]
    if not covered:
        return []
    capture(stack.docker("docker", "stop", *(one.id for one in covered)))
    found = []
    for name in dict.fromkeys(one.service for one in covered):
        data = _profile(stack, run, stack.project.stack.service(name))
        if data is not None:
            found.append(data)
    return found


def _profile(stack: Throwaway, run: Run, service: Service) -> Coverage | None:
    directory = boxes.reports(stack.project, run, NAME, service)
    image, caller = stack.copy.images[service.name], (os.getuid(), os.getgid())
    labels = stack.copy.labels()
    words = planner.coverage_words(stack.copy.name, service.name, image, str(directory), caller, labels)
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


def _merged(run: Run, found: Sequence[Coverage]) -> Coverage | None:
    """Keep the profiles as one, and with the unit tests of the same run as another; returns the latter."""
    if not found:
        return None
    own = coverage.merge(found)
    (run.suite(NAME) / _PROFILE).write_text(own.text(), encoding="utf-8")
    return merged_coverage(run) or own


def merged_coverage(run: Run) -> Coverage | None:
    """Return the coverage of a run's unit and integration tests together, and keep it; None unless there are both."""
    found = []
    for suite in (unit_tests.NAME, NAME):
        path = run.path(suite) / _PROFILE
        data = read_report(path, run.relative(path))
        if data is None:
            return None
        found.append(coverage.parse(data.decode(errors="replace"), run.relative(path)))
    merged = coverage.merge(found)
    (run.directory / _PROFILE).write_text(merged.text(), encoding="utf-8")
    return merged


def _broken(run: Run, error: StackError, seconds: float) -> SuiteResult:
    return SuiteResult(NAME, FAILED, seconds=seconds, reports=_reports(run), reason=error.message, output=error.output)


def _reports(run: Run) -> tuple[str, ...]:
    return tuple(run.relative(path) for path in sorted(run.path(NAME).rglob("*")) if path.is_file())


def _result(
    run: Run, verdicts: Sequence[Verdict], covered: Coverage | None, part: Shard, seconds: float
) -> SuiteResult:
    bad = [one for one in verdicts if not one.passed]
    nothing = all(one.nothing for one in verdicts)
    good = SKIPPED if nothing else PASSED
    outcome = good if not bad else FAILED if any(not one.invalid for one in bad) else INVALID
    percent = covered.share().percent if covered else None
    return SuiteResult(
        NAME,
        outcome,
        tests=sum(one.report.count() for one in verdicts),
        failures=sum(one.report.count(junit.FAILED) for one in verdicts),
        skipped=sum(one.report.count(junit.SKIPPED) for one in verdicts),
        seconds=seconds,
        reports=_reports(run),
        reason="; ".join(f"{one.service}: {one.reason}" for one in bad)
        or (f"no test falls into shard {part}" if nothing else ""),
        output="\n".join(one.output for one in bad if one.output),
        coverage=None if percent is None else round(percent, 2),
    )
