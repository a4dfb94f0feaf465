"""How the tester stage of a service is run, and how its reports are judged."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...model.errors import CheckError
from ...model.lazy_pattern import lazy_pattern
from ...model.profile.profile import Profile
from ...model.secret import reveal
from ...sandbox.plan.container import REPORTS, ContainerResult
from .coverage import Coverage
from .junit import FAILED, SKIPPED, JUnitReport
from .verdict import ServiceVerdict, failures

_SHOWN = 60  # lines of a log that explain a failure
TESTER = "tester"  # the default tester stage
# Messages of cgo and of the go command when the race detector cannot be used.
_NO_RACE = lazy_pattern(
    r"C compiler \"?[^\n\"]*\"? not found|-race requires cgo|-race is (?:only )?(?:not )?supported"
    r"|race detector is not supported",
    re.IGNORECASE,
)
# Says so, and fails, when the C compiler that Go would use is not there: Go finds out after it has compiled the rest.
# It passes where that cannot be told, as without a shell or `go`.
RACE_CHECK = (
    'cc=$(go env CC) && [ -n "$cc" ] && ! command -v "${cc%% *}" >/dev/null && echo "C compiler $cc not found"'
    " && exit 1; exit 0"
)


def arguments(filter: str, race: bool) -> tuple[str, ...]:
    """Return the flags for ``go test`` that are passed to the stage's entry point."""
    return (*([f"-run={filter}"] if filter else []), *(["-race"] if race else []))


def minimum_coverage(profile: Profile) -> float | None:
    """Return the least coverage that passes, in per cent; None without a limit."""
    text = reveal(profile.text("COVERAGE_MIN"))
    return float(text) if text else None


def race_unsupported(log: str) -> bool:
    """Whether the output says that the stage cannot use the race detector."""
    return _NO_RACE.search(log) is not None


def judge(
    facts: ContainerResult, report: JUnitReport | None, coverage: Coverage | None, least: float | None, race: bool
) -> ServiceVerdict:
    """Return the verdict on the tests of a service; None for a report that does not exist.

    ``least`` is the least coverage in per cent, None without a limit; ``race``: the race detector was asked for.
    """

    def verdict(reason: str = "", invalid: bool = False, refused: bool = False) -> ServiceVerdict:
        output = _output(facts, report) if reason else ""
        return ServiceVerdict(facts.service, reason, invalid, report or JUnitReport(), output, coverage, refused)

    if facts.stopped:
        return verdict(facts.stopped)
    if facts.oom_killed:
        return verdict(f"killed for memory: it needs more than TEST_MEMORY={facts.memory}")
    if race and facts.exit_code and race_unsupported(facts.log):
        return verdict("its tester stage cannot use the race detector, which needs cgo and a C compiler", refused=True)
    if report and report.failed():
        return verdict(failures(report))
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
    # Two digits: a coverage below the limit must not look equal to it.
    return (f"coverage {percent:.2f} % is below COVERAGE_MIN={least:g}" if percent < least else ""), False


def _output(facts: ContainerResult, report: JUnitReport | None) -> str:
    """Return what explains a failure: the end of the log, then the output of the failed tests.

    Both are needed: a compilation error is in the log only, a test that failed early in a long run in the report only.
    """
    log = "\n".join(facts.log.splitlines()[-_SHOWN:])
    failed = report.failed() if report else ()
    # Output that the end of the log contains is not repeated.
    more = [f"{facts.service}: {case.package} {case.name}\n{case.output}" for case in failed if case.output not in log]
    return "\n".join([*([log] if log else []), *more])


def unreadable(facts: ContainerResult, error: CheckError) -> ServiceVerdict:
    """Return the verdict on a service whose report cannot be understood."""
    return ServiceVerdict(facts.service, error.message, invalid=True, output=_output(facts, None))


def unfinished_tests(events: str) -> tuple[str, ...]:
    """Return the tests that started and did not end; of a test with such subtests, only the subtests.

    ``events`` is the output of ``go test -json`` (``go doc test2json``).
    """
    open_: dict[str, None] = {}
    for line in events.splitlines():
        try:
            event = json.loads(line)
            name, action = f"{event['Package']}.{event['Test']}", event["Action"]
        except (ValueError, KeyError, TypeError):
            continue  # the last line may be cut off, and events of packages have no test
        if action in ("run", "cont"):
            open_[name] = None
        elif action in ("pass", "fail", "skip", "pause"):
            open_.pop(name, None)
    return tuple(name for name in open_ if not any(other.startswith(f"{name}/") for other in open_))


@dataclass(frozen=True)
class UnitRow:
    """One line of the table: a package of a service; ``coverage`` is in per cent."""

    service: str
    package: str
    tests: int
    failures: int
    skipped: int
    seconds: float
    coverage: float | None


def rows(verdicts: Iterable[ServiceVerdict]) -> tuple[UnitRow, ...]:
    """Return a row for each package with tests or with statements."""
    table: list[UnitRow] = []
    for verdict in verdicts:
        shares = verdict.coverage.packages() if verdict.coverage else {}
        times = dict(verdict.report.packages or {})
        # gotestsum puts what has no package into a suite without a name.
        names = sorted({*times, *shares, *(case.package for case in verdict.report.cases)} - {""})
        for name in names:
            cases = [case for case in verdict.report.cases if case.package == name]
            percent = shares[name].percent if name in shares else None
            failed = sum(case.outcome == FAILED for case in cases)
            skipped = sum(case.outcome == SKIPPED for case in cases)
            seconds = times.get(name) or sum(case.seconds for case in cases)
            table.append(UnitRow(verdict.service, name, len(cases), failed, skipped, seconds, percent))
    return tuple(table)
