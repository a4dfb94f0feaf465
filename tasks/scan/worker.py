"""Runs one kind of scan in a process of its own: ``python -m tasks.scan.worker``, started by ``inv scan``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invoke import Context

from ..host.project import Project
from ..host.reports import Run
from ..model.errors import RefusedError, SlipwayError
from ..model.finding import INVALID, UNCHECKED, Scan
from ..sandbox.worker import as_worker
from .plan.gate import scan_document
from .scan import KINDS


def main(words: Sequence[str]) -> int:
    """Run one kind of scan, write its results, and return the exit code.

    ``words`` are the kind, the environment, the run's id and directory, and the file for the results.
    """
    name, environment, identity, directory, target = words

    def document(scans: Sequence[Scan], keep: bool) -> dict[str, Any]:
        return {"scans": [scan_document(scan) for scan in scans], "keep": keep}

    def work() -> dict[str, Any]:
        return document(KINDS[name]().check(Project(Context(), environment), Run(identity, Path(directory))), True)

    def failed(error: SlipwayError) -> dict[str, Any]:
        outcome = UNCHECKED if isinstance(error, RefusedError) else INVALID
        return document([Scan(name, "", outcome, reason=error.message.splitlines()[0])], False)

    return as_worker(Path(target), work, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
