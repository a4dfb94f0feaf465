"""Whether the containers of a stack are ready, or why they never will be."""

from collections.abc import Collection, Iterable, Sequence

from ..engine.facts import Container
from ..errors import InputError
from ..profile.profile import Profile
from .stack import Service, Stack


def refuse_missing_secrets(stack: Stack, profile: Profile, missing: Sequence[str]) -> None:
    """Raise InputError for secret files that do not exist; the hint says how to make them."""
    if missing:
        names = ", ".join(missing)
        hint = (
            "./inv setup makes them"
            if profile.flag("GENERATE_SECRETS")
            else "write them there (mode 0644 in a directory of mode 0700), or try it on this machine with development "
            f"secrets: inv deploy.{profile.environment} --rehearse"
        )
        raise InputError(f"secret files of project {stack.project} do not exist: {names}", hint)


def verdict(stack: Stack, containers: tuple[Container, ...], only: Collection[str] = ()) -> str:
    """Return "ready" when all services are, "" while waiting may help, else the reason why they never will be.

    ``only`` names the services to check; empty: all.
    """
    waiting = False
    for service in stack.services.values():
        if only and service.name not in only:
            continue
        own = [container for container in containers if container.service == service.name and not container.oneoff]
        # The container of a finished job may have been removed.
        if not own and service.replicas and not stack.one_off(service):
            return f"{service.name} has no container"
        for container in own:
            word = _container_verdict(stack, service, container)
            if word not in ("ready", ""):
                return word
            waiting = waiting or not word
    return "" if waiting else "ready"


def verdict_on(stack: Stack, service: Service, containers: Iterable[Container], names: Collection[str]) -> str:
    """Return the verdict on the containers of a service with these names, as ``verdict`` does."""
    known = {container.name: container for container in containers if container.name in names}
    words = [_container_verdict(stack, service, known[name]) if name in known else f"{name} is gone" for name in names]
    bad = next((word for word in words if word not in ("ready", "")), "")
    return bad or ("ready" if all(words) else "")


def _container_verdict(stack: Stack, service: Service, container: Container) -> str:
    if stack.one_off(service):
        if container.state == "exited":
            failed = f"{container.name} ended with exit code {container.exit_code}"
            return "ready" if container.exit_code == 0 else failed
        return ""
    if container.health == "unhealthy":
        return f"{container.name} is unhealthy"
    if container.state in ("exited", "dead") and not service.restarts:
        # A service that is meant to end is a declared job, or another service waits for it.
        hint = "; if it is meant to end, set x-slipway: {job: once}" if container.exit_code == 0 else ""
        return f"{container.name} ended with exit code {container.exit_code}{hint}"
    if container.state != "running":
        return ""
    # The image may have a health check of its own: then the engine reports a health.
    return "ready" if container.health == "healthy" or not (container.health or service.health_check) else ""


def failed_containers(stack: Stack, containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return the containers that prevent a deploy from being ready."""
    bad = []
    for container in containers:
        service = stack.services.get(container.service)
        if service is None or container.oneoff:
            continue
        if container.state != "created" and _container_verdict(stack, service, container) != "ready":
            bad.append(container)
    return tuple(bad)


def has_failed(container: Container) -> bool:
    """Whether a container has ended with an error, is being restarted, or is unhealthy."""
    if container.state in ("exited", "dead"):
        return container.exit_code != 0 or container.oom_killed
    return container.state == "restarting" or container.health == "unhealthy"


_TOO_OFTEN = 3  # restarts while a deploy waits for the container


def crash_loop(containers: Iterable[Container]) -> str:
    """Return which container is restarted again and again, "" for none: waiting for it does not help."""
    often = next((container for container in containers if container.restarts >= _TOO_OFTEN), None)
    return f"{often.name} was restarted {often.restarts} times, exit code {often.exit_code}" if often else ""


def container_problems(service: Service, containers: Iterable[Container], names: Collection[str]) -> tuple[str, ...]:
    """Return what is wrong with new containers after they were ready: the name of each and its state."""
    problems = []
    known = {container.name: container for container in containers}
    for name in names:
        container = known.get(name)
        if container is None or container.state != "running":
            problems.append(f"{name} is {container.state if container else 'gone'}")
        elif container.health == "unhealthy":
            problems.append(f"{name} is unhealthy")
        elif container.restarts:
            problems.append(f"{name} was restarted")
    return tuple(problems)
