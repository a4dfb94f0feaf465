"""Which integration tests a stack has, how they are run, and how their results are judged."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...model.engine.facts import PROJECT_LABEL, Container
from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.stack.stack import Service, Stack
from ...sandbox.plan.container import REPORTS
from .junit import JUnitReport
from .stack import COVERAGE, by_hand, coverage_volume
from .verdict import ServiceVerdict, failures

NAME = "integration"
_SHARD = lazy_pattern(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One part of the tests: the ``number``-th of ``total``, counted from 1."""

    number: int = 1
    total: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def shard(text: str) -> Shard:
    """Return the part of the tests that ``--shard`` names; raises InputError when there is no such part."""
    if not text:
        return Shard()
    match = _SHARD.fullmatch(text)
    if match is None:
        raise InputError(
            f"--shard: expected a part such as 1/4, got {text!r}",
            "write the number of the part and the number of parts",
        )
    number, total = int(match[1]), int(match[2])
    if not 1 <= number <= total:
        raise InputError(
            f"--shard: there is no part {number} of {total}",
            f"the parts are 1/{max(total, 1)} to {max(total, 1)}/{max(total, 1)}",
        )
    return Shard(number, total)


def pattern(text: str) -> str:
    """Return ``--filter`` unchanged; raises InputError when it is not a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise InputError(
            f"--filter {text!r}: not a regular expression: {error}", "quote it, or escape its special characters"
        ) from None
    return text


def selected(stack: Stack, names: Iterable[str]) -> tuple[Service, ...]:
    """Return the named test services, all without a name; raises InputError for a service that is not a test."""
    chosen = tuple(dict.fromkeys(names))
    known = stack.test_services()
    for name in chosen:
        if stack.service(name) not in known:
            listed = ", ".join(service.name for service in known) or "none"
            raise InputError(f"service {name} does not say x-slipway.job: test", f"name a test service: {listed}")
    return tuple(service for service in known if service.name in chosen) if chosen else known


def test_words(
    service: str, name: str, reports: str, user: str, filter: str, part: Shard, environment: str
) -> tuple[str, ...]:
    """Return the arguments of ``docker compose`` that run a test service.

    The filter and the shard are passed in Bazel's environment variables, which many test runners understand:
    https://bazel.build/reference/test-encyclopedia#initial-conditions
    """
    variables = {"SLIPWAY_ENV": environment}
    if filter:
        variables["TESTBRIDGE_TEST_ONLY"] = filter
    if part.total > 1:
        variables |= {"TEST_TOTAL_SHARDS": str(part.total), "TEST_SHARD_INDEX": str(part.number - 1)}
    words = ["run", "--no-deps", "--no-TTY", "--quiet-pull", f"--name={name}", f"--volume={reports}:{REPORTS}"]
    words += [f"--user={user}"] if user else []
    words += [f"--env={key}={value}" for key, value in variables.items()]
    return (*words, service)


def coverage_words(
    name: str, service: str, image: str, reports: str, caller: tuple[int, int], labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the ``docker`` command that converts the coverage data of a service's binary to a profile.

    It runs the image's ``/covdata``, which is ``go tool covdata``: https://go.dev/doc/build-cover#working
    """
    volume = f"type=volume,source={name}_{coverage_volume(service)},target={COVERAGE},readonly"
    return (
        *("docker", "run", "--rm", "--pull=never", "--read-only", "--network=none", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", f"--name={name}-covdata-{service}"),
        *(f"--mount={volume}", f"--mount=type=bind,source={reports},target={REPORTS}"),
        *((f"--user={caller[0]}:{caller[1]}",) if caller[0] else ()),
        *(f"--label={key}={value}" for key, value in {**labels, PROJECT_LABEL: name}.items()),
        *("--entrypoint=/covdata", image, "textfmt", f"-i={COVERAGE}", f"-o={REPORTS}/coverage.out"),
    )


@dataclass(frozen=True)
class ServiceRun:
    """How the tests of one service ended. ``stopped`` is why we stopped them, "" when they ended by themselves.

    ``containers`` are those of the stack, including the container of the tests.
    """

    service: str
    exit_code: int
    stopped: str = ""
    log: str = ""
    containers: tuple[Container, ...] = ()
    stack: Stack | None = None


def judge(facts: ServiceRun, report: JUnitReport | None, unreadable: str, part: Shard) -> ServiceVerdict:
    """Return the verdict on the tests of a service; ``unreadable`` is why its report cannot be read, "" when it can."""
    reason, invalid = _failed(facts, report), False
    if not reason:
        reason, invalid = _undecided(facts, report, unreadable, part)
    nothing = not reason and not (report and report.cases)
    output = _output(facts, report) if reason else ""
    return ServiceVerdict(facts.service, reason, invalid, report or JUnitReport(), output, nothing=nothing)


def _failed(facts: ServiceRun, report: JUnitReport | None) -> str:
    """Return why the tests failed, "" when there is no sign of a failure."""
    killed = dict.fromkeys(container.service for container in facts.containers if container.oom_killed)
    if killed:
        return f"killed for memory: {', '.join(killed)} needs more than its mem_limit"
    if facts.stopped:
        return facts.stopped
    if report and report.failed():
        return failures(report)
    if services := _failed_services(facts):
        return f"while the tests ran, {services}"
    return ""


def _undecided(facts: ServiceRun, report: JUnitReport | None, unreadable: str, part: Shard) -> tuple[str, bool]:
    """Return why tests without a failed one did not pass, "" when they did; and whether the run is invalid."""
    if unreadable:
        return unreadable, True
    if facts.exit_code:
        return f"ended with exit code {facts.exit_code}", False
    if report is None:
        return f"wrote no {REPORTS}/junit.xml", True
    # With fewer tests than shards, some shards are empty; the first one never is.
    return ("", False) if report.cases or part.number > 1 else ("no test ran", True)


def _failed_services(facts: ServiceRun) -> str:
    """Return which services of the stack failed while the tests ran, "" when none did."""
    failed = []
    for container in facts.containers:
        service = facts.stack.services.get(container.service) if facts.stack else None
        if service and not container.oneoff and container.state in ("exited", "dead", "restarting"):
            if container.exit_code or not (facts.stack and facts.stack.one_off(service)):
                failed.append(f"{container.service} ended with exit code {container.exit_code}")
        elif service and container.health == "unhealthy":
            failed.append(f"{container.service} became unhealthy")
    return ", ".join(failed)


def _output(facts: ServiceRun, report: JUnitReport | None) -> str:
    """Return what explains a failure: the output of the failed tests, else the end of the log."""
    failed = report.failed() if report else ()
    if failed:
        return "\n".join(f"{facts.service}: {case.package} {case.name}\n{case.output}" for case in failed)
    return "\n".join(facts.log.splitlines()[-60:])


def kept(name: str, environment: str, services: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that say how to look at a stack that ``--keep`` left running, and how to remove it."""
    service = services[0] if services else "SERVICE"
    return (
        f"kept: {name}",
        f"  look:   docker compose -p {name} ps",
        f"  logs:   docker compose -p {name} logs",
        f"  get in: COMPOSE_PROJECT_NAME={name} inv shell --env {environment} --service {service}",
        f"  remove: {by_hand(name)}",
    )
