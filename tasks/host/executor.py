"""The one place that turns what went wrong into one line, a hint and an exit code."""

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from invoke.exceptions import Exit
from invoke.executor import Executor as InvokeExecutor

from ..plan.errors import SlipwayError, StoppedError
from .output import abandon_stdout, flush, note


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise StoppedError(number, f"stopped by {signal.Signals(number).name}")


class Executor(InvokeExecutor):
    """Invoke's executor, with Slipway's errors and exit codes."""

    def execute(self, *tasks: Any) -> Any:
        """Run tasks; ends the process with the contract's exit code when one fails."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        try:
            results = super().execute(*tasks)
            flush()
        except BrokenPipeError:
            # `| head`: the reader has what it wanted; the same code a program killed by SIGPIPE gives.
            abandon_stdout()
            raise Exit(code=128 + signal.SIGPIPE) from None
        except Exception as error:
            _fail(error)
        except KeyboardInterrupt:
            note("stopped by SIGINT")
            raise Exit(code=128 + signal.SIGINT) from None
        return results


def _fail(error: Exception) -> NoReturn:
    if isinstance(error, Exit):
        raise error
    if os.environ.get("SLIPWAY_DEBUG"):
        raise error
    _flush_quietly()
    if isinstance(error, SlipwayError):
        note(error.message)
        if error.hint:
            note(f"  hint: {error.hint}")
        raise Exit(code=error.exit_code) from None
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        note(f"{name}{error.strerror}")
        note("  hint: free the file, the space or the permission it names and run the task again")
        raise Exit(code=1) from None
    note(f"internal error: {type(error).__name__}: {error}")
    note("  hint: this is a defect of Slipway; SLIPWAY_DEBUG=1 shows where, please report it")
    raise Exit(code=1) from None


def _flush_quietly() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
