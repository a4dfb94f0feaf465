"""Builds what the cluster of the tests consists of, while other things go on."""

from pathlib import Path

from ..host.output import note
from ..host.profile import settings
from ..host.runner import Runner
from ..model.errors import CommandError, SlipwayError
from .check import why_not
from .plan import check

_LOG = "cluster-build.log"


def begin(runner: Runner) -> None:
    """Begin to build; the build goes on when this process ends, and `inv check` waits for it."""
    home = settings.settings().home
    if not Path(home, "tests", "cluster").is_dir():
        return
    if reason := why_not(check.CLUSTER_TESTS):
        note(f"{reason}: they will be left out")
        return
    log = _log()
    if not runner.dry:
        log.parent.mkdir(parents=True, exist_ok=True)
    runner.detach(check.components(str(home)), str(log))


def finish(runner: Runner, wait: bool) -> None:
    """Wait for what ``begin`` has begun, or say that it goes on; raises SlipwayError when it failed."""
    home = settings.settings().home
    if runner.dry or not Path(home, "tests", "cluster").is_dir() or why_not(check.CLUSTER_TESTS):
        return
    if not wait:
        return
    try:
        runner.run(check.components(str(home)))
    except CommandError as error:
        raise SlipwayError(error.message, f"its output is above, and in {_log()}") from None


def _log() -> Path:
    return Path(settings.settings().reports_dir, "check", _LOG)
