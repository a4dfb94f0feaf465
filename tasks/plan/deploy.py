"""A deploy as its gates see it: the plan, the build that it begins with, the release that it brings from elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass

from .build import BuildPlan
from .errors import RefusedError
from .mounts import SECRET
from .observed import Observed
from .operation import GO, Change, Plan
from .profile import Profile
from .release import Promotion
from .stack import Stack


@dataclass(frozen=True)
class Deploy:
    """A plan, the build that it begins with, and the release of another environment that it brings in its place."""

    plan: Plan
    build: BuildPlan = BuildPlan((), None, {})  # noqa: RUF009 - frozen
    promotion: Promotion | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What happens to each service."""
        return self.plan.changes

    @property
    def changed(self) -> tuple[Change, ...]:
        """The services that something happens to."""
        return self.plan.changed

    @property
    def promoted(self) -> dict[str, str]:
        """Which image a reference is to stand for, by its id, in place of a build."""
        return {name: image.id for name, image in self.promotion.images.items()} if self.promotion else {}

    @property
    def building(self) -> tuple[str, ...]:
        """The services whose image the deploy builds."""
        return tuple(self.build.causes)

    @property
    def origin(self) -> str:
        """What is promoted, in words, "" for nothing."""
        return self.promotion.origin if self.promotion else ""


def refuse_taken_ports(stack: Stack, profile: Profile, taken: Iterable[int]) -> None:
    """Raise RefusedError for published ports that something outside the project listens on."""
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
            f"stop what listens there (`ss -ltnp`), or set another port in envs/{profile.environment}.local.env",
        )


def refuse(plan: Plan) -> None:
    """Raise RefusedError for a plan that cannot be carried out; it names every reason."""
    if plan.refusals:
        raise RefusedError(
            "; ".join(reason for reason, _ in plan.refusals),
            "; ".join(dict.fromkeys(hint for _, hint in plan.refusals)),
        )


def refuse_interruption(profile: Profile, plan: Plan, allowed: bool) -> None:
    """Raise RefusedError for a plan that interrupts what runs, where the profile does not want that."""
    if plan.interrupts and not allowed and not profile.flag("ALLOW_INTERRUPTION"):
        raise RefusedError(
            f"not deployed to {profile.environment}: {', '.join(plan.interrupts)} could not be reached for a while "
            "(ALLOW_INTERRUPTION=false)",
            f"inv deploy.plan --env {profile.environment} shows why; --allow-interruption does it all the same",
        )


def other_directory(observed: Observed, plan: Plan, directory: str) -> tuple[str, bool]:
    """Return where a stack was deployed from, "" when it was here, and whether that speaks against doing it from here.

    A clone with the same content goes on where another one left off. One with other secrets, or without services that
    run, is rather another copy, whose data would not fit.
    """
    known = {one.directory for one in observed.containers if one.directory and not one.oneoff}
    if not plan.changed or not known or directory in known:
        return "", False
    foreign = any(cause.startswith(f"{SECRET} ") for one in plan.changed for cause in one.causes)
    return ", ".join(sorted(known)), foreign or any(one.action == GO for one in plan.changed)


def refuse_other_directory(observed: Observed, plan: Plan, directory: str, take_over: bool) -> str:
    """Return what to say where a stack was deployed from another directory; raises RefusedError for another copy."""
    elsewhere, foreign = other_directory(observed, plan, directory)
    if not elsewhere:
        return ""
    project = next(one.project for one in observed.containers)
    names = ", ".join(one.service for one in plan.changed)
    if foreign and not take_over:
        raise RefusedError(
            f"{project} was deployed from {elsewhere}, whose secrets or services are others than those of {directory}",
            f"deploy there, give this one a COMPOSE_PROJECT_NAME of its own, or --take-over changes {names} from here",
        )
    return f"{project} was deployed from {elsewhere}; this deploy is from {directory}"
