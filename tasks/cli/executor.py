"""Turns every error into one line, a hint and an exit code; nothing else does."""

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from invoke.exceptions import Exit
from invoke.executor import Executor as InvokeExecutor

from ..host.output import ERROR, JSON, QUIET, TEXT, abandon_stdout, flush, note, speak
from ..model.errors import InputError, SlipwayError, StoppedError


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise StoppedError(number, f"stopped by {signal.Signals(number).name}")


class Executor(InvokeExecutor):
    """Invoke's executor, with Slipway's errors and exit codes."""

    def execute(self, *tasks: Any) -> Any:
        """Run tasks; raise Exit with the documented exit code when a task fails."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        try:
            speak(*self._manner())
            self.config["called"] = " ".join(str(getattr(task, "name", task)) for task in tasks)  # for `setup check`
            results = super().execute(*tasks)
            flush()
        except BrokenPipeError:
            # `| head`: the reader has enough. The exit code is that of a program that SIGPIPE killed.
            abandon_stdout()
            raise Exit(code=128 + signal.SIGPIPE) from None
        except Exception as error:
            _fail(error)
        except KeyboardInterrupt:
            note("stopped by SIGINT", ERROR)
            raise Exit(code=128 + signal.SIGINT) from None
        return results

    def _manner(self) -> tuple[str, ...]:
        """Return how to speak to people; Invoke's own ``inv`` does not know these options."""
        given = {name: argument.value for name, argument in self.core[0].args.items()} if self.core else {}
        wanted = given.get("log-format") or TEXT
        if wanted not in (TEXT, JSON):
            raise InputError(f"--log-format: expected text or json, got {wanted!r}", "--log-format json")
        if wanted == JSON:
            return (JSON,)
        return (QUIET,) if given.get("quiet") else ()


def _fail(error: Exception) -> NoReturn:
    if isinstance(error, Exit):
        raise error
    if os.environ.get("SLIPWAY_DEBUG"):
        raise error
    _flush_quietly()
    if isinstance(error, SlipwayError):
        note(error.message, ERROR)
        if error.hint:
            note(f"  hint: {error.hint}", ERROR)
        raise Exit(code=error.exit_code) from None
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        note(f"{name}{error.strerror}", ERROR)
        note("  hint: free the file, the space or the permission it names and run the task again", ERROR)
        raise Exit(code=1) from None
    note(f"internal error: {type(error).__name__}: {error}", ERROR)
    note("  hint: this is a defect of Slipway; SLIPWAY_DEBUG=1 shows where, please report it", ERROR)
    raise Exit(code=1) from None


def _flush_quietly() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
