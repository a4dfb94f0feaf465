"""One suite in a process of its own: ``python -m tasks.host.suite``, started by ``inv test``.

Signals reach a suite where it waits, suites do not disturb each other's, and each cleans up after itself even when
the process that started it was killed.
"""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

from invoke import Context

from ..plan.errors import SlipwayError, StoppedError
from ..plan.suites import FAILED, SuiteResult
from .forwarding import FORWARDED
from .output import note
from .project import Project
from .reports import Run, write_json


def _unit(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import unit_tests

    return [unit_tests.execute(project, run)]


def _integration(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import integration_tests, smoke_tests

    return integration_tests.execute(project, run, then=(smoke_tests.execute,))


def _security(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import security_tests

    return [security_tests.execute(project, run)]


# Smoke tests run on the stack that the integration tests have made: one suite in this sense.
SUITES: Mapping[str, Callable[[Project, Run], Sequence[SuiteResult]]] = {
    "unit": _unit,
    "integration": _integration,
    "security": _security,
}


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal: whoever waits gets StoppedError and cleans up."""
    raise StoppedError(number, f"stopped by {signal.Signals(number).name}")


def stop_on_signals() -> None:
    """Let signals end whatever waits with StoppedError."""
    for number in FORWARDED:
        signal.signal(number, _stop)


def main(words: Sequence[str]) -> int:
    """Run one suite and write its results: name, environment, run id, directory, attempt, file for the results."""
    name, environment, identity, directory, attempt, target = words
    stop_on_signals()
    run = Run(identity, Path(directory), int(attempt))
    try:
        results = SUITES[name](Project(Context(), environment), run)
    except StoppedError as error:
        note(error.message)
        return error.exit_code
    except SlipwayError as error:
        note(error.message)
        note(f"  hint: {error.hint}")
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        results = [SuiteResult(name, FAILED, reason=error.message.splitlines()[0], output=error.message + hint)]
    write_json(Path(target), {"results": [asdict(one) for one in results]})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
