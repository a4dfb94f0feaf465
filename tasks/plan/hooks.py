"""Programs of a project's own that run around a deploy."""

from collections.abc import Mapping

from .command import Command

BEFORE, AFTER, FAILED = ("pre-deploy", "post-deploy", "on-failure")


def command(path: str, cwd: str, values: Mapping[str, str], timeout: float) -> Command:
    """Return the command that runs a hook; what it is told stands in its environment, as ``SLIPWAY_…``."""
    name = path.rpartition("/")[2]
    told = {f"SLIPWAY_{key.upper()}": value for key, value in values.items()}
    return Command((path,), env=told, cwd=cwd, timeout=timeout or None, reason=f"hook {name}", group=True)
