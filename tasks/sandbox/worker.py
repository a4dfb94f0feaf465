"""Does a part of a task in a process of its own, such as a suite of tests or a kind of scan."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..host.forwarding import stop_on_signals
from ..host.output import note
from ..host.reports import write_json
from ..model.errors import SlipwayError, StoppedError


def as_worker(
    target: Path, work: Callable[[], Mapping[str, Any]], failed: Callable[[SlipwayError], Mapping[str, Any]]
) -> int:
    """Do the work of a process that a task started, write its document to a file, and return the exit code.

    A signal ends the work, and nothing is written. Any other error is told, and ``failed`` makes the document of it.
    """
    stop_on_signals()
    try:
        document = work()
    except StoppedError as error:
        note(error.message)
        return error.exit_code
    except SlipwayError as error:
        note(error.message)
        if error.hint:
            note(f"  hint: {error.hint}")
        document = failed(error)
    write_json(target, document)
    return 0
