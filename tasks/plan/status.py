"""The state of an environment, service by service."""

from collections.abc import Sequence
from typing import Any

from .desired import Desired
from .difference import drift
from .facts import Container
from .observed import Observed
from .operation import UNCHANGED, Plan
from .release import Release
from .stack import Service, Stack


def rows(
    desired: Desired, observed: Observed, plan: Plan, containers: tuple[Container, ...], release: Release | None = None
) -> list[dict[str, Any]]:
    """Return one entry a service, in the model's order; ``containers`` are the inspected ones.

    ``plan`` is what a deploy would do now; ``release`` the one that serves by the record: what runs another image has
    drifted from it.
    """
    actions = {one.service: one.action for one in plan.changes}
    found = []
    for service in desired.stack.services.values():
        mine = [one for one in containers if one.service == service.name and not one.oneoff]
        found.append(
            {
                **_row(desired.stack, service, mine, observed),
                # What the profile and the Compose files say now, and the containers do not.
                "drift": [*drift(service, observed, desired), *_left(service, mine, release)],
                "ready": actions.get(service.name, UNCHANGED) == UNCHANGED,
            }
        )
    return found


def _row(stack: Stack, service: Service, mine: Sequence[Container], observed: Observed) -> dict[str, Any]:
    image = observed.images.get(service.image)
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
        "restarts": sum(one.restarts for one in mine),
    }


def _left(service: Service, containers: Sequence[Container], release: Release | None) -> list[str]:
    recorded = release.images.get(service.name) if release else None
    if release is None or recorded is None or all(one.image_id == recorded.id for one in containers):
        return []
    return [f"not the image of release {release.id}"]


def _state(stack: Stack, service: Service, containers: Sequence[Container]) -> str:
    if not containers:
        return "absent"
    states = {one.state for one in containers}
    if states == {"exited"} and stack.one_off(service):
        code = containers[-1].exit_code
        return "completed" if code == 0 else f"failed ({code})"
    return "/".join(sorted(states))


def _worst_health(containers: Sequence[Container]) -> str:
    order = ("unhealthy", "starting", "healthy")
    return next((word for word in order if any(one.health == word for one in containers)), "")
