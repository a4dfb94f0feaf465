"""Whether the containers of a stack are ready and stay so, and what those that are not wrote last."""

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ..plan import rollout as planner
from ..plan.errors import DeployError
from ..plan.facts import Container
from ..plan.stack import Stack
from ..plan.verdict import failed_containers, verdict
from .output import note
from .project import Project

_LOG_LINES = 15
_SETTLE = 1.0  # seconds


def crashing(project: Project, containers: Iterable[Container], names: Sequence[str]) -> str:
    """Return which of these containers keeps ending and being started again, "" for none."""
    suspect = [one for one in containers if one.name in names and one.health != "healthy"]
    full = [found for one in suspect if (found := project.engine.inspect(one.id)) is not None]
    return planner.crashing(full)


def last_words(project: Project, guilty: Iterable[Container]) -> None:
    """Show the last lines of containers that keep a deploy from being ready."""
    for one in guilty:
        note(f"--- last lines of {one.name} ({one.state}{', ' + one.health if one.health else ''}):")
        for line in project.engine.logs(one.id, _LOG_LINES).splitlines():
            note(f"    {line}")


def blame(project: Project, stack: Stack, reason: str) -> NoReturn:
    """Show the last words of what failed, and raise the DeployError that names it."""
    guilty = failed_containers(stack, project.engine.containers(stack.project))
    last_words(project, guilty)
    names = ", ".join(one.name for one in guilty)
    raise DeployError(f"{reason}{f' ({names})' if names and names not in reason else ''}")


def settled(project: Project, stack: Stack) -> str:
    """Return "ready" when services without a health check still run after a moment, else what has happened to one.

    "running" alone is no sign of health.
    """
    if all(one.health_check or stack.one_off(one) for one in stack.services.values()):
        return "ready"

    def judge(containers: tuple[Container, ...]) -> str:
        word = verdict(stack, containers)
        return "" if word == "ready" else word or "a container has stopped"

    word = project.engine.wait(stack.project, judge, _SETTLE)
    return "ready" if word == "timeout" else word
