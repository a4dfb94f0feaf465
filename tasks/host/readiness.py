"""Whether the containers of a stack are ready and stay so, and what those that are not wrote last."""

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ..plan import rollout as planner
from ..plan.errors import DeployError, SlipwayError
from ..plan.facts import Container
from ..plan.quoting import quoted
from ..plan.stack import Stack
from ..plan.verdict import failed_containers, verdict
from .output import note
from .project import Project
from .reasons import old_volume

_LOG_LINES = 15
_SETTLE = 1.0  # seconds


def crashing(project: Project, containers: Iterable[Container], names: Sequence[str]) -> str:
    """Return which of these containers keeps ending and being started again, "" for none."""
    suspect = [one for one in containers if one.name in names and one.health != "healthy"]
    full = [found for one in suspect if (found := project.engine.inspect(one.id)) is not None]
    return planner.crashing(full)


def said(project: Project, container_id: str, lines: int = _LOG_LINES) -> str:
    """Return the last lines that a container wrote, each cut at a readable width; why not, where they are unreadable.

    That is the engine's word for the logging driver ``none``, and for some that send the log elsewhere.
    """
    try:
        text = project.engine.logs(container_id, lines)
    except SlipwayError as error:
        return f"(its log cannot be read: {error.message.removeprefix('the engine refused: ')})"
    return "\n".join(quoted(line) for line in text.splitlines()[-lines:])


def last_words(project: Project, guilty: Iterable[Container]) -> None:
    """Show the last lines of containers that keep a deploy from being ready."""
    for one in guilty:
        note(f"--- last lines of {one.name} ({one.state}{', ' + one.health if one.health else ''}):")
        for line in (said(project, one.id) or "(it wrote nothing)").splitlines():
            note(f"    {line}")


def explained(project: Project, stack: Stack, guilty: Sequence[Container], reason: str, hint: str = "") -> DeployError:
    """Return the error that says why containers are not ready: a known cause in one line, else by their last words."""
    known = old_volume(project, stack, [said(project, one.id) for one in guilty])
    if known:
        return DeployError(f"{reason}: {known.message}", known.hint)
    last_words(project, guilty)
    return DeployError(reason, hint)


def blame(project: Project, stack: Stack, reason: str, hint: str = "") -> NoReturn:
    """Show the last words of what failed, and raise the DeployError that names it."""
    guilty = failed_containers(stack, project.engine.containers(stack.project))
    names = ", ".join(one.name for one in guilty)
    named = f"{reason}{f' ({names})' if names and names not in reason else ''}"
    raise explained(project, stack, guilty, named, hint)


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
