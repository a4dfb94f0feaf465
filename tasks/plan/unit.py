"""How the tester stage of a service is run, and what its reports come to."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .build import Inputs
from .command import Command
from .coverage import Coverage
from .errors import CheckError
from .facts import ONEOFF_LABEL, PROJECT_LABEL, SERVICE_LABEL
from .junit import FAILED, SKIPPED, Report
from .profile import Profile
from .secret import reveal
from .stack import Service
from .units import parse_size

RUN_LABEL, HOLDER_LABEL = "slipway.test", "slipway.test.holder"
REPORTS = "/reports"
_SHOWN = 60  # lines of a log that explain a failure
TESTER = "tester"  # the stage where the Compose file names no other
# What cgo and the go command say; a stage that can build with the race detector says none of it.
_NO_RACE = re.compile(
    r"C compiler \"?[^\n\"]*\"? not found|-race requires cgo|-race is (?:only )?(?:not )?supported"
    r"|race detector is not supported",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Box:
    """One container that runs a check: where it comes from, its name, and what it may do."""

    name: str
    image: str
    service: str
    user: str
    reports: str
    memory: int
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: str = ""
    mounts: tuple[tuple[str, str], ...] = ()  # directory of this machine, directory in the container; read-only


def container_user(caller: tuple[int, int], image_user: str) -> str:
    """Return the user of a test container, "" for the image's own; never root.

    The caller's, so that the reports belong to whoever asked for them; what root asks for runs as the image's user.
    """
    if caller[0]:
        return f"{caller[0]}:{caller[1]}"
    return "" if image_user and image_user.partition(":")[0] not in ("0", "root") else "65534:65534"


def command(box: Box, profile: Profile, project: str, run: str, holder: str) -> Command:
    """Return the ``docker run`` of a check: read-only, no network, no capabilities, bounded."""
    labels = {
        PROJECT_LABEL: project,
        SERVICE_LABEL: box.service,
        ONEOFF_LABEL: "True",
        RUN_LABEL: run,
        HOLDER_LABEL: holder,
    }
    argv = ["docker", "run", f"--name={box.name}", "--pull=never", "--read-only", "--network=none"]
    argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=1024"]
    argv += [f"--memory={box.memory}", f"--memory-swap={box.memory}", "--log-driver=none"]
    # Tests are compiled and started there, so it is executable; it counts against the memory limit.
    argv += ["--tmpfs=/tmp:exec,mode=1777", f"--mount=type=bind,source={box.reports},target={REPORTS}"]
    argv += [f"--mount=type=bind,source={source},target={target},readonly" for source, target in box.mounts]
    argv += [f"--user={box.user}"] if box.user else []
    argv += [f"--entrypoint={box.entrypoint}"] if box.entrypoint else []
    argv += [f"--env={key}={value}" for key, value in box.environment]
    argv += [f"--label={key}={value}" for key, value in labels.items()]
    env = {key: value for key, value in profile.compose_env().items() if key.startswith("DOCKER_")}
    return Command((*argv, box.image, *box.arguments), env=env, reason=f"run {box.image}")


def arguments(filter: str, race: bool) -> tuple[str, ...]:
    """Return the flags for ``go test`` that the stage's entry point gets."""
    return (*([f"-run={filter}"] if filter else []), *(["-race"] if race else []))


def memory_limit(profile: Profile) -> int:
    """Return the memory limit of a test container in bytes."""
    return parse_size(profile.text("TEST_MEMORY"), "TEST_MEMORY")


def minimum(profile: Profile) -> float | None:
    """Return the least coverage in per cent, None for any."""
    text = reveal(profile.text("COVERAGE_MIN"))
    return float(text) if text else None


def without_stage(services: Iterable[Service], inputs: Mapping[str, Inputs], stage: str = "") -> tuple[str, ...]:
    """Return the services whose Dockerfile has no tester stage (or none called ``stage``)."""
    return tuple(
        one.name for one in services if inputs[one.name].dockerfile.find(stage or one.slipway.tester_target) is None
    )


@dataclass(frozen=True)
class Facts:
    """How the container of one service ended. ``stopped`` says why it was stopped from outside."""

    service: str
    exit_code: int
    oom_killed: bool = False
    stopped: str = ""
    seconds: float = 0.0
    memory: str = ""
    log: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the tests of one service came to. ``invalid``: it cannot be told whether they pass."""

    service: str
    reason: str = ""
    invalid: bool = False
    report: Report = field(default_factory=Report)
    coverage: Coverage | None = None
    output: str = ""
    refused: bool = False

    @property
    def passed(self) -> bool:
        """Whether every gate is open."""
        return not self.reason


def can_not_race(log: str) -> bool:
    """Whether the output says that the race detector cannot be built here."""
    return _NO_RACE.search(log) is not None


def judge(facts: Facts, report: Report | None, coverage: Coverage | None, least: float | None, race: bool) -> Verdict:
    """Return the verdict on a service whose reports could be read (None: there is no such report)."""

    def verdict(reason: str = "", invalid: bool = False, refused: bool = False) -> Verdict:
        return Verdict(
            facts.service,
            reason,
            invalid,
            report or Report(),
            coverage,
            _output(facts, report) if reason else "",
            refused,
        )

    if facts.stopped:
        return verdict(facts.stopped)
    if facts.oom_killed:
        return verdict(f"killed for memory: it needs more than TEST_MEMORY={facts.memory}")
    if race and facts.exit_code and can_not_race(facts.log):
        return verdict("its tester stage cannot use the race detector, which needs cgo and a C compiler", refused=True)
    if report and report.failed():
        return verdict(_failures(report))
    if facts.exit_code:
        return verdict(f"its tester stage ended with exit code {facts.exit_code}")
    if report is None:
        return verdict(f"its tester stage wrote no {REPORTS}/junit.xml", invalid=True)
    if not report.cases:
        return verdict("no test ran", invalid=True)
    return verdict(*_below(coverage, least))


def _below(coverage: Coverage | None, least: float | None) -> tuple[str, bool]:
    if least is None:
        return "", False
    percent = coverage.share().percent if coverage else None
    if percent is None:
        return f"COVERAGE_MIN={least:g}, and its tester stage wrote no {REPORTS}/coverage.out", True
    # Shown with one digit: what is below must not look equal.
    return (f"coverage {percent:.2f} % is below COVERAGE_MIN={least:g}" if percent < least else ""), False


def _failures(report: Report) -> str:
    failed = report.failed()
    names = ", ".join(case.name for case in failed[:3])
    return f"{len(failed)} of {len(report.cases)} tests failed: {names}{', …' if len(failed) > 3 else ''}"


def _output(facts: Facts, report: Report | None) -> str:
    """Return what a person wants to read of a failure: the end of the log, then what the failed tests said.

    Both: a test that could not be compiled is explained in the log only, one among many in the report only.
    """
    log = "\n".join(facts.log.splitlines()[-_SHOWN:])
    failed = report.failed() if report else ()
    # What the log says already is not said twice.
    more = [f"{facts.service}: {one.package} {one.name}\n{one.output}" for one in failed if one.output not in log]
    return "\n".join([*([log] if log else []), *more])


def unreadable(facts: Facts, error: CheckError) -> Verdict:
    """Return the verdict on a service whose report cannot be understood."""
    return Verdict(facts.service, error.message, invalid=True, output=_output(facts, None))


def hanging(events: str) -> tuple[str, ...]:
    """Return the tests that started and did not end, from ``go test -json`` (``go doc test2json``); the inner ones."""
    open_: dict[str, None] = {}
    for line in events.splitlines():
        try:
            event = json.loads(line)
            name, action = f"{event['Package']}.{event['Test']}", event["Action"]
        except (ValueError, KeyError, TypeError):
            continue  # the last line may be cut off; events of packages name no test
        if action in ("run", "cont"):
            open_[name] = None
        elif action in ("pass", "fail", "skip", "pause"):
            open_.pop(name, None)
    return tuple(one for one in open_ if not any(other.startswith(f"{one}/") for other in open_))


@dataclass(frozen=True)
class Row:
    """One line of the table: a package of a service."""

    service: str
    package: str
    tests: int
    failures: int
    skipped: int
    seconds: float
    coverage: float | None


def rows(verdicts: Iterable[Verdict]) -> tuple[Row, ...]:
    """Return the table per package: those with tests and those with statements."""
    found: list[Row] = []
    for one in verdicts:
        shares = one.coverage.packages() if one.coverage else {}
        times = dict(one.report.packages or {})
        # gotestsum puts what has no package into a suite without a name.
        names = sorted({*times, *shares, *(case.package for case in one.report.cases)} - {""})
        for name in names:
            cases = [case for case in one.report.cases if case.package == name]
            percent = shares[name].percent if name in shares else None
            failed = sum(case.outcome == FAILED for case in cases)
            skipped = sum(case.outcome == SKIPPED for case in cases)
            seconds = times.get(name) or sum(case.seconds for case in cases)
            found.append(Row(one.service, name, len(cases), failed, skipped, seconds, percent))
    return tuple(found)
