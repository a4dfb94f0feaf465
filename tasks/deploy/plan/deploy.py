"""A deploy before it is carried out, and what it is refused for: taken ports, interruptions, another directory."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...model.errors import RefusedError
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.stack.stack import Stack
from ...reconcile.plan.mounts import SECRET
from ...reconcile.plan.operation import REMOVE_SERVICE, Change, Plan
from ...release.plan.release import Promotion

if TYPE_CHECKING:
    from ...build.plan.build import BuildPlan
    from ...reconcile.plan.observed import Observed


class Deploy(Record):
    """A plan, the build that it begins with, and the release of another environment that replaces the build."""

    plan: Plan
    build: "BuildPlan | None" = None
    promotion: Promotion | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What happens to every service, unchanged ones included."""
        return self.plan.changes

    @property
    def changed(self) -> tuple[Change, ...]:
        """What happens to the services that change."""
        return self.plan.changed

    @property
    def promoted(self) -> dict[str, str]:
        """The ids of promoted images, by the reference that each gets."""
        return {name: image.id for name, image in self.promotion.images.items()} if self.promotion else {}

    @property
    def building(self) -> tuple[str, ...]:
        """The services whose image the deploy builds."""
        return tuple(self.build.causes) if self.build else ()

    @property
    def origin(self) -> str:
        """The promoted release in words, such as ``staging release 4``; "" for none."""
        return self.promotion.origin if self.promotion else ""


def refuse_taken_ports(stack: Stack, profile: Profile, taken: Iterable[int]) -> None:
    """Raise RefusedError for published ports that a process outside the project listens on."""
    taken = tuple(taken)
    if taken:
        owners = ", ".join(
            f"port {port.published}, which {service.name} publishes"
            for service in stack.services.values()
            for port in service.ports
            if port.published in taken
        )
        raise RefusedError(
            f"already taken on this machine: {owners}",
            f"stop what listens there (`ss -ltnp`), or set another port in envs/{profile.environment}.local.env; "
            f"inv deploy.{profile.environment} --rehearse tries it on free ports",
        )


def refuse(plan: Plan) -> None:
    """Raise RefusedError with every reason why a plan cannot be carried out."""
    if plan.refusals:
        raise RefusedError(
            "; ".join(reason for reason, _ in plan.refusals),
            "; ".join(dict.fromkeys(hint for _, hint in plan.refusals)),
        )


def refuse_interruption(profile: Profile, plan: Plan, allowed: bool) -> None:
    """Raise RefusedError for a plan that interrupts services when the profile has ALLOW_INTERRUPTION=false."""
    if plan.interrupts and not allowed and not profile.flag("ALLOW_INTERRUPTION"):
        raise RefusedError(
            f"not deployed to {profile.environment}: {', '.join(plan.interrupts)} could not be reached for a while "
            "(ALLOW_INTERRUPTION=false)",
            f"inv deploy.plan --env {profile.environment} shows why; --allow-interruption deploys all the same",
        )


def other_directory(observed: "Observed", plan: Plan, directory: str) -> tuple[str, bool]:
    """Return the directory that a stack was deployed from, "" for this one, and whether this is another copy.

    A clone with the same content may go on with the stack. A directory with other secrets, or without services that
    run, is probably another copy of the project, whose secrets would not fit the stack's data.
    """
    known = {container.directory for container in observed.containers if container.directory and not container.oneoff}
    if not plan.changed or not known or directory in known:
        return "", False
    foreign = any(cause.startswith(f"{SECRET} ") for change in plan.changed for cause in change.causes)
    return ", ".join(sorted(known)), foreign or any(change.action == REMOVE_SERVICE for change in plan.changed)


def refuse_other_directory(observed: "Observed", plan: Plan, directory: str, take_over: bool) -> str:
    """Return a notice when a stack was deployed from another directory; raises RefusedError for another copy."""
    elsewhere, foreign = other_directory(observed, plan, directory)
    if not elsewhere:
        return ""
    project = next(container.project for container in observed.containers)
    names = ", ".join(change.service for change in plan.changed)
    if foreign and not take_over:
        raise RefusedError(
            f"{project} was deployed from {elsewhere}, with other secrets or services than {directory}",
            f"deploy from there, set another COMPOSE_PROJECT_NAME here, or change {names} from here with --take-over",
        )
    return f"{project} was deployed from {elsewhere}; this deploy is from {directory}"
