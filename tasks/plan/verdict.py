"""Whether the containers of a stack are ready, and what keeps it from starting at all."""

from collections.abc import Collection, Iterable, Sequence

from .errors import InputError
from .facts import Container
from .profile import Profile
from .stack import Service, Stack


def refuse_missing_secrets(stack: Stack, profile: Profile, missing: Sequence[str]) -> None:
    """Raise InputError for secret files that do not exist; the hint says who makes them."""
    if missing:
        names = ", ".join(missing)
        hint = (
            "./inv setup makes them"
            if profile.flag("GENERATE_SECRETS")
            else "write them there (mode 0644 in a directory of mode 0700), or point SECRETS_DIR to where they are"
        )
        raise InputError(f"secret files of project {stack.project} do not exist: {names}", hint)


def verdict(stack: Stack, containers: tuple[Container, ...], only: Collection[str] = ()) -> str:
    """Return "ready" when every service is as it should be, "" to wait on, else the reason why it never will be.

    ``only`` names the services to look at.
    """
    waiting = False
    for service in stack.services.values():
        if only and service.name not in only:
            continue
        mine = [one for one in containers if one.service == service.name and not one.oneoff]
        if not mine and service.replicas and not stack.one_off(service):  # a job's container may be gone with its work
            return f"{service.name} has no container"
        for container in mine:
            word = _container_verdict(stack, service, container)
            if word not in ("ready", ""):
                return word
            waiting = waiting or not word
    return "" if waiting else "ready"


def verdict_on(stack: Stack, service: Service, containers: Iterable[Container], names: Collection[str]) -> str:
    """Return the verdict on single containers of a service, as ``verdict`` does."""
    known = {one.name: one for one in containers if one.name in names}
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
        # One that is meant to end says so, or another service waits for it.
        mend = "; if it is meant to end, say x-slipway: {job: once}" if container.exit_code == 0 else ""
        return f"{container.name} ended with exit code {container.exit_code}{mend}"
    if container.state != "running":
        return ""
    # The image may declare a health check of its own: then the engine names a health.
    return "ready" if container.health == "healthy" or not (container.health or service.health_check) else ""


def failed_containers(stack: Stack, containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return the containers that keep a deploy from being ready."""
    bad = []
    for container in containers:
        service = stack.services.get(container.service)
        if service is None or container.oneoff:
            continue
        if container.state != "created" and _container_verdict(stack, service, container) != "ready":
            bad.append(container)
    return tuple(bad)
