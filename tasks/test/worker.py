"""Runs a suite in a process of its own: ``python -m tasks.test.worker``, started by ``inv test``.

So every suite receives signals itself, suites cannot disturb each other, and a suite cleans up after itself even when
the process that started it was killed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from invoke import Context

from ..host.project import Project
from ..host.reports import Run
from ..model.errors import SlipwayError
from ..model.suite import FAILED, SuiteResult
from ..sandbox.worker import as_worker


def _unit(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import unit

    return [unit.execute(project, run)]


def _integration(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import integration, smoke

    return integration.execute(project, run, then=(smoke.execute,))


def _security(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import security

    return [security.execute(project, run)]


def _telemetry(project: Project, run: Run) -> Sequence[SuiteResult]:
    from . import telemetry

    return [telemetry.execute(project, run)]


# Smoke tests run on the stack of the integration tests: together they are one suite.
Suites = Mapping[str, Callable[[Project, Run], Sequence[SuiteResult]]]
SUITES: Suites = {
    "unit": _unit,
    "integration": _integration,
    "security": _security,
    "telemetry": _telemetry,
}


def main(words: Sequence[str], suites: Suites = SUITES) -> int:
    """Run one of the suites, write its results to a file, and return the exit code.

    ``words`` are the suite's name, the environment, the run's id, its directory, the attempt, and the file.
    """
    name, environment, identity, directory, attempt, target = words
    run = Run(identity, Path(directory), int(attempt))

    def document(results: Sequence[SuiteResult]) -> dict[str, Any]:
        return {"results": [asdict(result) for result in results]}

    def failed(error: SlipwayError) -> dict[str, Any]:
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        reason, output = error.message.splitlines()[0], error.message + hint
        return document([SuiteResult(name, FAILED, reason=reason, output=output)])

    return as_worker(Path(target), lambda: document(suites[name](Project(Context(), environment), run)), failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
