"""Checks that the containers of a stack are ready and stay so, and shows the logs of those that are not."""

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ..model.engine.facts import Container
from ..model.errors import DeployError, RefusedError, SlipwayError
from ..model.quoting import quoted
from ..model.stack import verdict as verdict_model
from ..model.stack.reasons import Reason
from ..model.stack.stack import Service, Stack
from ..model.stack.verdict import failed_containers, verdict
from .project import Project
from .reasons import outdated_volume
from .story.story import show_last_words

_LOG_LINES = 15
_SETTLE = 1.0  # seconds


def inspected(project: Project, name: str) -> tuple[Container, ...]:
    """Return the containers of a Compose project with all details, which a listing does not have."""
    found = (project.engine.inspect(listed.id) for listed in project.engine.containers(name))
    return tuple(container for container in found if container is not None)


def restart_loop(project: Project, containers: Iterable[Container], names: Sequence[str]) -> str:
    """Return in words which of these containers is in a restart loop, "" for none."""
    suspect = [container for container in containers if container.name in names and container.health != "healthy"]
    full = [inspected for container in suspect if (inspected := project.engine.inspect(container.id)) is not None]
    return verdict_model.crash_loop(full)


def last_log_lines(project: Project, container_id: str, lines: int = _LOG_LINES) -> str:
    """Return the last lines of a container's log, each cut at a readable width, or why the log cannot be read.

    The engine cannot read it with the logging driver ``none``, nor with some that send the log elsewhere.
    """
    try:
        text = project.engine.watch.logs(container_id, lines)
    except SlipwayError as error:
        return f"(its log cannot be read: {error.message.removeprefix('the engine refused: ')})"
    return "\n".join(quoted(line) for line in text.splitlines()[-lines:])


def show_last_log_lines(project: Project, guilty: Iterable[Container]) -> None:
    """Show the last log lines of containers that keep a deploy from being ready."""
    for container in guilty:
        state = ", ".join(filter(None, (container.state, container.health)))
        show_last_words(
            container.name, state, (last_log_lines(project, container.id) or "(it wrote nothing)").splitlines()
        )


def not_ready_error(
    project: Project, stack: Stack, guilty: Sequence[Container], reason: str, hint: str = ""
) -> DeployError:
    """Return the error that says why containers are not ready; show their logs when it is no known cause."""
    if known := show_unless_known(project, stack, guilty):
        return DeployError(f"{reason}: {known.message}", known.hint)
    return DeployError(reason, hint)


def show_unless_known(project: Project, stack: Stack, guilty: Sequence[Container]) -> Reason | None:
    """Show the logs of containers that are not ready, or return the known cause, which says more than they do."""
    known = outdated_volume(project, stack, [last_log_lines(project, container.id) for container in guilty])
    if not known:
        show_last_log_lines(project, guilty)
    return known


def raise_not_ready(
    project: Project, stack: Stack, reason: str, hint: str = "", services: Sequence[str] = ()
) -> NoReturn:
    """Show the last log lines of the containers that failed, and raise the DeployError that names them.

    When containers of ``services`` failed, only those are shown: others may still be starting.
    """
    failed = failed_containers(stack, project.engine.containers(stack.project))
    guilty = tuple(container for container in failed if container.service in services) or failed
    names = ", ".join(container.name for container in guilty)
    named = f"{reason}{f' ({names})' if names and names not in reason else ''}"
    raise not_ready_error(project, stack, guilty, named, hint)


def wait_until_settled(project: Project, stack: Stack) -> str:
    """Return "ready" when services without a health check still run after a moment, else what happened.

    "running" alone is no sign of health.
    """
    if all(service.health_check or stack.one_off(service) for service in stack.services.values()):
        return "ready"

    def judge(containers: tuple[Container, ...]) -> str:
        word = verdict(stack, containers)
        return "" if word == "ready" else word or "a container has stopped"

    word = project.engine.watch.wait(stack.project, judge, _SETTLE)
    return "ready" if word == "timeout" else word


def running_container(project: Project, service: Service) -> Container:
    """Return a running container of a service; raises RefusedError when there is none."""
    for container in project.engine.containers(project.stack.project):
        if container.service == service.name and container.state == "running" and not container.oneoff:
            return container
    raise RefusedError(
        f"service {service.name} of {project.stack.project} is not running",
        f"start it: inv deploy.{project.profile.environment}",
    )
