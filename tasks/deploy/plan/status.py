"""The state of an environment, service by service."""

from collections.abc import Sequence
from typing import Any

from ...model.engine.facts import Container
from ...model.stack.stack import Service, Stack
from ...reconcile.plan.desired import Desired
from ...reconcile.plan.difference import drift
from ...reconcile.plan.observed import Observed
from ...reconcile.plan.operation import UNCHANGED, Plan
from ...release.plan.release import Release


def rows(
    desired: Desired, observed: Observed, plan: Plan, containers: tuple[Container, ...], release: Release | None = None
) -> list[dict[str, Any]]:
    """Return an entry for each service, in the model's order; ``containers`` are the inspected containers.

    ``plan`` is what a deploy would do now, ``release`` the recorded release that serves: a container of another image
    has drifted from it.
    """
    actions = {change.service: change.action for change in plan.changes}
    entries = []
    for service in desired.stack.services.values():
        own = [container for container in containers if container.service == service.name and not container.oneoff]
        entries.append(
            {
                **_row(desired.stack, service, own, observed),
                # Differences between the containers and what the profile and the Compose files say now.
                "drift": [*drift(service, observed, desired), *_left(service, own, release)],
                "ready": actions.get(service.name, UNCHANGED) == UNCHANGED,
            }
        )
    return entries


def _row(stack: Stack, service: Service, containers: Sequence[Container], observed: Observed) -> dict[str, Any]:
    image = observed.images.get(service.image)
    running = sum(container.state == "running" for container in containers)
    return {
        "service": service.name,
        "state": _state(stack, service, containers),
        "health": _worst_health(containers),
        "image": service.image,
        "digest": containers[0].image_id if containers else (image.id if image else ""),
        "replicas": f"{running}/{service.replicas}" if not stack.one_off(service) else "-",
        "ports": sorted({port for container in containers for port in container.ports}),
        "started": max((container.started for container in containers if container.started), default=""),
        "restarts": sum(container.restarts for container in containers),
    }


def _left(service: Service, containers: Sequence[Container], release: Release | None) -> list[str]:
    recorded = release.images.get(service.name) if release else None
    if release is None or recorded is None or all(container.image_id == recorded.id for container in containers):
        return []
    return [f"not the image of release {release.id}"]


def _state(stack: Stack, service: Service, containers: Sequence[Container]) -> str:
    if not containers:
        return "absent"
    states = {container.state for container in containers}
    if states == {"exited"} and stack.one_off(service):
        code = containers[-1].exit_code
        return "completed" if code == 0 else f"failed ({code})"
    return "/".join(sorted(states))


def _worst_health(containers: Sequence[Container]) -> str:
    order = ("unhealthy", "starting", "healthy")
    return next((word for word in order if any(container.health == word for container in containers)), "")
