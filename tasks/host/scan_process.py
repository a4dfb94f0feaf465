"""One kind of scan in a process of its own: ``python -m tasks.host.scan_process``, started by ``inv scan``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from invoke import Context

from ..plan.errors import RefusedError, SlipwayError, StoppedError
from ..plan.finding import INVALID, UNCHECKED, Scan
from ..plan.scan import scan_document
from .output import note
from .project import Project
from .reports import Run, write_json
from .scans import KINDS
from .suite import stop_on_signals


def main(words: Sequence[str]) -> int:
    """Run one kind and write its results: kind, environment, run id, directory, file for the results."""
    name, environment, identity, directory, target = words
    stop_on_signals()
    try:
        found, keep = KINDS[name]().check(Project(Context(), environment), Run(identity, Path(directory))), True
    except StoppedError as error:
        note(error.message)
        return error.exit_code
    except SlipwayError as error:
        note(error.message)
        note(f"  hint: {error.hint}")
        outcome = UNCHECKED if isinstance(error, RefusedError) else INVALID
        found, keep = [Scan(name, "", outcome, reason=error.message.splitlines()[0])], False
    write_json(Path(target), {"scans": [scan_document(one) for one in found], "keep": keep})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
