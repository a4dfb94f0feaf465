"""What the integration tests of a stack are, how they are run, and what they come to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import InputError
from .facts import PROJECT_LABEL, Container
from .junit import Report
from .stack import Service, Stack
from .throwaway import COVERAGE, by_hand, coverage_volume
from .unit import REPORTS

NAME = "integration"
_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One part of the tests: the ``number``-th of ``total``, counted from 1."""

    number: int = 1
    total: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def shard(text: str) -> Shard:
    """Return the part of the tests that ``--shard`` names; raises InputError when it names none."""
    if not text:
        return Shard()
    found = _SHARD.fullmatch(text)
    if found is None:
        raise InputError(f"--shard: expected a part such as 1/4, got {text!r}", "which part, and of how many")
    number, total = int(found[1]), int(found[2])
    if not 1 <= number <= total:
        raise InputError(f"--shard: there is no part {number} of {total}", f"parts are 1/{max(total, 1)} and on")
    return Shard(number, total)


def pattern(text: str) -> str:
    """Return ``--filter``; raises InputError when it is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise InputError(
            f"--filter {text!r}: not a regular expression: {error}", "quote it, or escape its signs"
        ) from None
    return text


def selected(stack: Stack, names: Iterable[str]) -> tuple[Service, ...]:
    """Return the test services, or those named; raises InputError for one that is none."""
    chosen = tuple(dict.fromkeys(names))
    known = stack.test_services()
    for name in chosen:
        if stack.service(name) not in known:
            listed = ", ".join(one.name for one in known) or "none"
            raise InputError(f"service {name} does not say x-slipway.job: test", f"services that do: {listed}")
    return tuple(one for one in known if one.name in chosen) if chosen else known


def test_words(
    service: str, name: str, reports: str, user: str, filter: str, part: Shard, environment: str
) -> tuple[str, ...]:
    """Return the words for ``docker compose`` that run a test service.

    What part of the tests to run is told as Bazel tells it, which many test runners understand:
    https://bazel.build/reference/test-encyclopedia#initial-conditions
    """
    told = {"SLIPWAY_ENV": environment}
    if filter:
        told["TESTBRIDGE_TEST_ONLY"] = filter
    if part.total > 1:
        told |= {"TEST_TOTAL_SHARDS": str(part.total), "TEST_SHARD_INDEX": str(part.number - 1)}
    words = ["run", "--no-deps", "--no-TTY", "--quiet-pull", f"--name={name}", f"--volume={reports}:{REPORTS}"]
    words += [f"--user={user}"] if user else []
    words += [f"--env={key}={value}" for key, value in told.items()]
    return (*words, service)


def coverage_words(
    name: str, service: str, image: str, reports: str, caller: tuple[int, int], labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the ``docker`` words that turn the coverage of a service's binary into a profile.

    The image's ``/covdata`` does it: ``go tool covdata``, https://go.dev/doc/build-cover#working
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
class Facts:
    """How the tests of one service ended. ``stopped`` says why they were stopped from outside.

    ``containers`` are those of the stack, the tests' own included.
    """

    service: str
    exit_code: int
    stopped: str = ""
    log: str = ""
    containers: tuple[Container, ...] = ()
    stack: Stack | None = None


@dataclass(frozen=True)
class Verdict:
    """What the tests of one service came to. ``invalid``: it cannot be told whether they pass."""

    service: str
    reason: str = ""
    invalid: bool = False
    nothing: bool = False
    report: Report = field(default_factory=Report)
    output: str = ""

    @property
    def passed(self) -> bool:
        """Whether every gate is open."""
        return not self.reason


def judge(facts: Facts, report: Report | None, unreadable: str, part: Shard) -> Verdict:
    """Return the verdict on the tests of a service; ``unreadable`` says why its report cannot be understood."""
    reason, invalid = _failed(facts, report), False
    if not reason:
        reason, invalid = _untold(facts, report, unreadable, part)
    nothing = not reason and not (report and report.cases)
    return Verdict(
        facts.service, reason, invalid, nothing, report or Report(), _output(facts, report) if reason else ""
    )


def _failed(facts: Facts, report: Report | None) -> str:
    """Return why the tests did not pass, "" when nothing says so."""
    killed = dict.fromkeys(one.service for one in facts.containers if one.oom_killed)
    if killed:
        return f"killed for memory: {', '.join(killed)} needs more than its mem_limit"
    if facts.stopped:
        return facts.stopped
    if report and report.failed():
        return _failures(report)
    if fallen := _fallen(facts):
        return f"while the tests ran, {fallen}"
    return ""


def _untold(facts: Facts, report: Report | None, unreadable: str, part: Shard) -> tuple[str, bool]:
    """Return why it cannot be told whether the tests pass, "" when it can; and whether that is no failure of theirs."""
    if unreadable:
        return unreadable, True
    if facts.exit_code:
        return f"ended with exit code {facts.exit_code}", False
    if report is None:
        return f"wrote no {REPORTS}/junit.xml", True
    # Of few tests, not every part gets one; the first part does.
    return ("", False) if report.cases or part.number > 1 else ("no test ran", True)


def _fallen(facts: Facts) -> str:
    """Return which services of the stack ended badly beside the tests."""
    found = []
    for one in facts.containers:
        service = facts.stack.services.get(one.service) if facts.stack else None
        if service and not one.oneoff and one.state in ("exited", "dead", "restarting"):
            if one.exit_code or not (facts.stack and facts.stack.one_off(service)):
                found.append(f"{one.service} ended with exit code {one.exit_code}")
        elif service and one.health == "unhealthy":
            found.append(f"{one.service} became unhealthy")
    return ", ".join(found)


def _failures(report: Report) -> str:
    failed = report.failed()
    names = ", ".join(case.name for case in failed[:3])
    return f"{len(failed)} of {len(report.cases)} tests failed: {names}{', …' if len(failed) > 3 else ''}"


def _output(facts: Facts, report: Report | None) -> str:
    """Return what a person wants to read of a failure: what the failed tests said, else the end of the log."""
    failed = report.failed() if report else ()
    if failed:
        return "\n".join(f"{facts.service}: {case.package} {case.name}\n{case.output}" for case in failed)
    return "\n".join(facts.log.splitlines()[-60:])


def kept(name: str, environment: str, services: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that say how to get into a stack that was kept, and how to remove it."""
    service = services[0] if services else "SERVICE"
    return (
        f"kept: {name}",
        f"  look:   docker compose -p {name} ps",
        f"  logs:   docker compose -p {name} logs",
        f"  get in: COMPOSE_PROJECT_NAME={name} inv shell --env {environment} --service {service}",
        f"  remove: {by_hand(name)}",
    )
