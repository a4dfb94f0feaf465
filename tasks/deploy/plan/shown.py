"""A plan as users read it: a row for each service, what is interrupted and for how long, images and migrations."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...model.record import Record
from ...model.stack.stack import Stack
from ...model.units import parse_duration, show_duration, show_size
from ...reconcile.plan.operation import (
    AWAIT,
    BUILD,
    CREATE,
    DISCONNECT,
    PULL,
    RECREATE,
    REMOVE_SERVICE,
    RUN,
    SWITCH,
    UNCHANGED,
    WATCH,
    Change,
    Operation,
    Plan,
)
from .deploy import Deploy

SCHEMA = "slipway/deploy.plan/v1"
KEEP, ROLL = "keep", "roll"
_GRACE = 10.0  # seconds; https://docs.docker.com/reference/compose-file/services/#stop_grace_period


class Interruption(Record):
    """Why a service cannot be reached for a while, and for how long, in seconds.

    ``last``: how long it took the last time, None if it was never measured. ``most``: the limit after which the deploy
    fails and goes back; None for a service that is removed for good.
    """

    service: str
    by: str
    causes: tuple[str, ...]
    last: float | None
    most: float | None

    def document(self) -> dict[str, Any]:
        """Return the interruption as JSON data."""
        return {"by": self.by, "causes": list(self.causes), "last_seconds": self.last, "most_seconds": self.most}

    def line(self) -> str:
        """Return the interruption as a line for people."""
        long = "for good" if self.most is None else f"at most {show_duration(self.most)}"
        if self.last is not None:
            long = f"{show_duration(self.last)} the last time, {long}"
        why = f" ({'; '.join(self.causes)})" if self.causes else ""
        return f"{self.by} interrupts {self.service}: {long}{why}"


class NeededImage(Record):
    """An image that a deploy builds or pulls, for ``services``.

    ``size`` in bytes, None when it is not known: for a build that of the image which it replaces, for a pull what has
    to be downloaded.
    """

    action: str
    reference: str
    services: tuple[str, ...]
    causes: tuple[str, ...]
    size: int | None = None

    def document(self) -> dict[str, Any]:
        """Return the image as JSON data."""
        return {
            "action": self.action,
            "reference": self.reference,
            "services": list(self.services),
            "causes": list(self.causes),
            "size": self.size,
        }

    def line(self) -> str:
        """Return the image as a line for people."""
        size = f", {show_size(self.size)}{'' if self.action == PULL else ' now'}" if self.size is not None else ""
        return f"{self.action} {self.reference}{size} ({'; '.join(self.causes)})"


class PendingMigrations(Record):
    """The migrations that a job is about to apply, by name; None when it was never noted which it has applied.

    ``changed`` are migrations that were applied and have another content since: the job will not apply them again.
    """

    service: str
    pending: tuple[str, ...] | None
    changed: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the migrations as JSON data."""
        pending = None if self.pending is None else list(self.pending)
        return {"service": self.service, "pending": pending, "changed": list(self.changed)}

    def lines(self) -> list[str]:
        """Return the migrations as lines for people."""
        if self.pending is None:
            lines = [f"{self.service} applies migrations; which of them are pending was never noted"]
        else:
            lines = [f"{self.service} applies {', '.join(self.pending) or 'no migration'}"]
        return lines + [f"{name} of {self.service} was applied and has changed since" for name in self.changed]


def action(change: Change, plan: Plan) -> str:
    """Return what happens to a service in the words of ``deploy.plan``.

    A change is rolled out when no operation makes its containers anew in their place.
    """
    if change.action == UNCHANGED:
        return KEEP
    if change.action != RECREATE:
        return change.action
    anew = any(change.service in operation.services for operation in plan.operations if operation.kind == RECREATE)
    return RECREATE if anew else ROLL


def interruptions(
    deploy: Deploy, stack: Stack, model: Mapping[str, Any], measured: Mapping[str, float]
) -> list[Interruption]:
    """Return what is interrupted, in the order of the plan; ``measured``: seconds of the last time, by service."""
    gone = {change.service for change in deploy.changes if change.action == REMOVE_SERVICE}
    result: dict[str, Interruption] = {}
    for position, operation in enumerate(deploy.plan.operations):
        for name in operation.interrupts:
            if name in result:
                continue
            most = None if name in gone else _most(name, operation, deploy.plan.operations[position:], model)
            last = measured.get(name) if name in stack.services and operation.kind != DISCONNECT else None
            by = f"{operation.kind} {operation.subject}"
            result[name] = Interruption(name, by, operation.cause, last, most)
    return list(result.values())


def _most(service: str, operation: Operation, later: Iterable[Operation], model: Mapping[str, Any]) -> float:
    """Return the longest time that a service is away before a deploy fails, in seconds."""
    if operation.kind == DISCONNECT:
        return 0.0  # connections break, and clients connect again at once
    grace = str(((model.get("services") or {}).get(service) or {}).get("stop_grace_period") or "")
    waits = [other.seconds for other in later if other.kind == AWAIT and service in other.services]
    return (parse_duration(grace) if grace else _GRACE) + (waits[0] if waits else 0.0)


def needed_images(deploy: Deploy, stack: Stack, sizes: Mapping[str, int]) -> list[NeededImage]:
    """Return the images to build and to pull; ``sizes`` in bytes of the images that are here, by reference."""
    users, asked, causes = _users(stack), pulled_services(deploy.plan), deploy.build.causes if deploy.build else {}
    built: dict[str, dict[str, str]] = {}  # the causes by service: several may build one image
    for target in deploy.build.targets if deploy.build else ():
        built.setdefault(target.reference, {})[target.service] = causes[target.service]
    images = [
        NeededImage(BUILD, name, users.get(name, tuple(why)), tuple(dict.fromkeys(why.values())), sizes.get(name))
        for name, why in built.items()
    ]
    for reference, services in users.items():
        if reference in built or reference in deploy.promoted:
            continue
        by_policy = tuple(name for name in services if name in asked)
        if by_policy:
            cause = f"pull_policy: {stack.service(by_policy[0]).pull_policy}"
            images.append(NeededImage(PULL, reference, by_policy, (cause,)))
        elif reference not in sizes and any(_starts(name, deploy.plan) for name in services):
            images.append(NeededImage(PULL, reference, services, (f"image {reference} is not on the engine",)))
    missing = deploy.promotion.missing if deploy.promotion else ()
    return images + [NeededImage(PULL, name, (), (deploy.origin,)) for name in missing]


def pulled_services(plan: Plan) -> set[str]:
    """Return the services whose image is pulled because their ``pull_policy`` says so."""
    return {name for operation in plan.operations if operation.kind == PULL for name in operation.services}


def _starts(service: str, plan: Plan) -> bool:
    makes = (CREATE, RECREATE, RUN)
    return any(change.service == service and change.action in makes for change in plan.changes)


def _users(stack: Stack) -> dict[str, tuple[str, ...]]:
    users: dict[str, tuple[str, ...]] = {}
    for service in stack.services.values():
        if service.image:
            users[service.image] = (*users.get(service.image, ()), service.name)
    return users


def _proofs(plan: Plan, stack: Stack) -> Iterator[str]:
    """Yield how new containers are proven by shares of requests and by numbers, for people.

    By what the services say: where an image is built first, the operations of a rollout are planned only then.
    """
    for service in (stack.services[change.service] for change in plan.changes if action(change, plan) == ROLL):
        if canary := service.slipway.canary:
            shares = ", ".join(f"{share} %" for share in canary.weight)
            yield f"{service.name} gets {shares} of the requests first, each for {show_duration(canary.every)} at least"
        if rule := service.slipway.watch:
            yield f"{service.name} is compared with the old containers: {rule.words()}"


def _switches(plan: Plan) -> Iterator[str]:
    """Yield how Pods take over from those in another slot, for people."""
    watched = {operation.subject: operation.seconds for operation in plan.operations if operation.kind == WATCH}
    for operation in plan.operations:
        if operation.kind == SWITCH:
            name, new = operation.subject, ", ".join(operation.names)
            long = show_duration(watched.get(name, 0.0))
            yield f"{name} switches to {new} (blue-green): what serves now stays until that was watched for {long}"


class ShownPlan(Record):
    """Everything that ``deploy.plan`` says about a deploy, besides the gates."""

    deploy: Deploy
    stack: Stack
    interruptions: tuple[Interruption, ...] = ()
    images: tuple[NeededImage, ...] = ()
    migrations: tuple[PendingMigrations, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON data: the members of ``slipway/deploy.plan/v1`` that describe the deploy."""
        plan = self.deploy.plan
        by_service = {interruption.service: interruption for interruption in self.interruptions}
        return {
            "changes": [self._change(change, by_service.get(change.service)) for change in plan.changes],
            "operations": [operation.document() for operation in plan.operations],
            "interruptions": [interruption.line() for interruption in self.interruptions],
            "interrupts": list(plan.interrupts),
            "images": [image.document() for image in self.images],
            "migrations": [migrations.document() for migrations in self.migrations],
            "told": list(plan.told),
            "orphans": list(plan.orphans),
            "promotes": self.deploy.origin or None,
        }

    def _change(self, change: Change, interruption: Interruption | None) -> dict[str, Any]:
        word = action(change, self.deploy.plan)
        service = self.stack.services.get(change.service)
        return {
            "service": change.service,
            "action": UNCHANGED if word == KEEP else word,
            "causes": list(change.causes),
            "interrupts": list(change.interrupts),
            "interruption": interruption.document() if interruption else None,
            "rollout": service.rollout if service and word == ROLL else None,
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the rows of the table: service, action, causes."""
        return [
            (change.service, action(change, self.deploy.plan), "; ".join(change.causes))
            for change in self.deploy.changes
        ]

    def lines(self) -> list[str]:
        """Return what the table does not say, for people."""
        return [
            *(interruption.line() for interruption in self.interruptions),
            *_switches(self.deploy.plan),
            *_proofs(self.deploy.plan, self.stack),
            *(line for migrations in self.migrations for line in migrations.lines()),
            *(image.line() for image in self.images),
        ]
