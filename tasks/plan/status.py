"""The state of an environment, service by service."""

from typing import Any

from .deploy import UNCHANGED, Facts, change, drift
from .facts import Container
from .release import Release
from .stack import Service, Stack


def rows(
    stack: Stack, facts: Facts, containers: tuple[Container, ...], release: Release | None = None
) -> list[dict[str, Any]]:
    """Return one entry a service, in the model's order; ``containers`` are the inspected ones.

    ``release`` is the one that serves by the record: what runs another image has drifted from it.
    """
    return [_row(stack, service, facts, containers, release) for service in stack.services.values()]


def _row(
    stack: Stack, service: Service, facts: Facts, containers: tuple[Container, ...], release: Release | None
) -> dict[str, Any]:
    mine = [one for one in containers if one.service == service.name and not one.oneoff]
    image = facts.engine.images.get(service.image)
    outcome = change(service, facts, "", stack.one_off(service))
    running = sum(one.state == "running" for one in mine)
    return {
        "service": service.name,
        "state": _state(stack, service, mine),
        "health": _worst_health(mine),
        "image": service.image,
        "digest": mine[0].image_id if mine else (image.id if image else ""),
        "replicas": f"{running}/{service.replicas}" if not stack.one_off(service) else "-",
        "ports": sorted({port for one in mine for port in one.ports}),
        "started": max((one.started for one in mine if one.started), default=""),
        # What the profile and the Compose files say now, and the containers do not.
        "drift": [*drift(service, facts), *_left(service, mine, release)],
        "ready": outcome.action == UNCHANGED,
    }


def _left(service: Service, containers: list[Container], release: Release | None) -> list[str]:
    recorded = release.images.get(service.name) if release else None
    if release is None or recorded is None or all(one.image_id == recorded.id for one in containers):
        return []
    return [f"not the image of release {release.id}"]


def _state(stack: Stack, service: Service, containers: list[Container]) -> str:
    if not containers:
        return "absent"
    states = {one.state for one in containers}
    if states == {"exited"} and stack.one_off(service):
        code = containers[-1].exit_code
        return "completed" if code == 0 else f"failed ({code})"
    return "/".join(sorted(states))


def _worst_health(containers: list[Container]) -> str:
    order = ("unhealthy", "starting", "healthy")
    return next((word for word in order if any(one.health == word for one in containers)), "")
