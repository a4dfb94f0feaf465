"""Hooks: a project's own programs that run before and after a deploy."""

from collections.abc import Mapping

from ...model.command import Command

BEFORE, AFTER, FAILED = ("pre-deploy", "post-deploy", "on-failure")


def command(path: str, cwd: str, values: Mapping[str, str], timeout: float) -> Command:
    """Return the command that runs a hook, with ``values`` in its environment as ``SLIPWAY_…``; timeout in seconds."""
    name = path.rpartition("/")[2]
    variables = {f"SLIPWAY_{key.upper()}": value for key, value in values.items()}
    return Command((path,), env=variables, cwd=cwd, timeout=timeout or None, reason=f"hook {name}", group=True)
