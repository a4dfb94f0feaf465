"""What a deploy has to change, and the steps that change it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .build import BuildPlan
from .command import Command
from .compose import compose
from .errors import InputError, RefusedError
from .facts import Container, EngineFacts
from .profile import Profile
from .release import Promotion
from .stack import Service, Stack

# What a service needs: nothing, a look until it is healthy, a question to the registry, or a change of its containers.
UNCHANGED, WAIT, PULL, START, RESTART, CREATE, RECREATE, RUN, SCALE = (
    "unchanged",
    "wait",
    "pull",
    "start",
    "restart",
    "create",
    "recreate",
    "run",
    "scale",
)

_TO_BUILD = "image to be built"

# https://docs.docker.com/reference/compose-file/services/#pull_policy: with these `up` asks no registry for an image
# that is there.
_LOCAL = ("missing", "if_not_present", "never", "build")


@dataclass(frozen=True)
class Facts:
    """All that a deploy decides on.

    ``hashes`` are Compose's own configuration hashes by service; ``missing_secrets`` the files that do not
    exist; ``taken_ports`` published ports that something outside the project listens on; ``replaced`` names, by
    service, the mounted secrets and configs whose file changed, each with the time in seconds since the epoch.
    """

    engine: EngineFacts
    hashes: Mapping[str, str] = field(default_factory=dict)
    missing_secrets: tuple[str, ...] = ()
    taken_ports: tuple[int, ...] = ()
    replaced: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why."""

    service: str
    action: str
    causes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a deploy; a step without a command is the wait for health."""

    name: str
    command: Command


@dataclass(frozen=True)
class Plan:
    """The changes of a deploy and its ordered steps; no steps when there is nothing to do.

    ``stale`` are the services that Compose would leave as they are, although they have to be made anew; ``promotion``
    is the release of another environment that is brought here in place of a build.
    """

    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    orphans: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    promotion: Promotion | None = None

    @property
    def promoted(self) -> dict[str, str]:
        """Which image a reference is to stand for, by its id, in place of a build."""
        return {name: image.id for name, image in self.promotion.images.items()} if self.promotion else {}

    @property
    def changed(self) -> tuple[Change, ...]:
        """The services that something happens to."""
        return tuple(change for change in self.changes if change.action != UNCHANGED)

    @property
    def building(self) -> tuple[str, ...]:
        """The services whose image the deploy builds."""
        if not any(step.name == "build" for step in self.steps):
            return ()
        named = [one.service for one in self.changes if any(cause.startswith(_TO_BUILD) for cause in one.causes)]
        return tuple(named or (one.service for one in self.changed))


def _container_causes(service: Service, container: Container, facts: Facts) -> list[str]:
    causes = []
    wanted = facts.hashes.get(service.name, "")
    if wanted and container.config_hash != wanted:
        causes.append("configuration changed")
    image = facts.engine.images.get(service.image)
    used = container.created_from or container.image_id
    if image is not None and used != image.id:
        causes.append(f"image {service.image} changed")
    return causes + _unnoticed(service, container, facts)


def _unnoticed(service: Service, container: Container, facts: Facts) -> list[str]:
    """Return what Compose would leave as it is: it compares the service, not what the names in it stand for."""
    volumes = [name for name in service.volumes if name not in container.volumes]
    networks = [name for name in service.networks if name not in container.networks]
    return [
        *replaced_files(service, container, facts),
        *(f"volume {name} is not mounted" for name in volumes),
        *(f"not in network {name}" for name in networks),
    ]


def replaced_files(service: Service, container: Container, facts: Facts) -> list[str]:
    """Return the secrets and configs whose file changed after the container was created.

    Compose does not look at them: a running container keeps what was mounted when it started.
    """
    # The engine rounds the time of creation down to a second.
    return [
        f"{name} changed"
        for name, changed in facts.replaced.get(service.name, {}).items()
        if container.created and changed > container.created + 1
    ]


def drift(service: Service, facts: Facts) -> list[str]:
    """Return what the profile and the Compose files say now and the service's containers do not."""
    mine = [one for one in facts.engine.containers if one.service == service.name and not one.oneoff]
    return list(dict.fromkeys(cause for one in mine for cause in _container_causes(service, one, facts)))


def _one_off_change(service: Service, containers: list[Container], causes: list[str]) -> Change:
    if not containers:
        return Change(service.name, RUN, ("it has not run yet",))
    if causes:
        return Change(service.name, RUN, tuple(causes))
    last = containers[-1]
    if last.state == "running":
        return Change(service.name, WAIT, ("it is running",))
    if last.state != "exited":
        return Change(service.name, RUN, (f"{last.name} is {last.state}",))
    if last.exit_code != 0:
        return Change(service.name, RUN, (f"its last run ended with exit code {last.exit_code}",))
    return Change(service.name, UNCHANGED)


def _state_change(service: Service, containers: list[Container]) -> Change:
    # Compose leaves both as they are, or fails on them.
    stuck = [f"{one.name} is {_stuck(one)}" for one in containers if _stuck(one)]
    if stuck:
        return Change(service.name, RESTART, tuple(stuck))
    stopped = [one for one in containers if one.state != "running"]
    if stopped:
        return Change(service.name, START, tuple(f"{one.name} is {one.state}" for one in stopped))
    unready = [one for one in containers if one.health != "healthy" and (one.health or service.health_check)]
    if unready:
        return Change(service.name, WAIT, tuple(f"{one.name} is {one.health or 'unknown'}" for one in unready))
    if service.pull_policy and service.pull_policy not in _LOCAL:
        return Change(service.name, PULL, (f"pull_policy: {service.pull_policy}",))
    return Change(service.name, UNCHANGED)


def _stuck(container: Container) -> str:
    if container.state == "paused":
        return "paused"
    return "unhealthy" if container.state == "running" and container.health == "unhealthy" else ""


def change(service: Service, facts: Facts, build_cause: str, one_off: bool) -> Change:
    """Return what has to happen to one service."""
    containers = [one for one in facts.engine.containers if one.service == service.name and not one.oneoff]
    causes = drift(service, facts)
    if build_cause:
        causes.insert(0, f"{_TO_BUILD}: {build_cause}")
    if one_off:
        return _one_off_change(service, containers, causes)
    if not containers and service.replicas:
        return Change(service.name, CREATE, tuple(causes) or ("no container",))
    if causes:
        return Change(service.name, RECREATE, tuple(causes))
    if len(containers) != service.replicas:
        return Change(service.name, SCALE, (f"{len(containers)} of {service.replicas} containers",))
    return _state_change(service, containers)


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


def _refuse_taken_ports(stack: Stack, profile: Profile, facts: Facts) -> None:
    if facts.taken_ports:
        owners = ", ".join(
            f"port {port.published}, which {service.name} publishes"
            for service in stack.services.values()
            for port in service.ports
            if port.published in facts.taken_ports
        )
        raise RefusedError(
            f"already taken on this machine: {owners}",
            f"stop what listens there (`ss -ltnp`), or set another port in envs/{profile.environment}.local.env",
        )


def plan(stack: Stack, profile: Profile, build: BuildPlan, facts: Facts, cwd: str) -> Plan:
    """Return the plan of a deploy.

    Raises InputError for missing secret files and RefusedError for a port that is taken, before anything runs.
    """
    refuse_missing_secrets(stack, profile, facts.missing_secrets)
    # By image: a service without a build section may run the image that another one builds.
    causes = {stack.services[name].image: cause for name, cause in build.causes.items()}
    changes = tuple(
        change(service, facts, causes.get(service.image, ""), stack.one_off(service))
        for service in stack.services.values()
    )
    orphans = tuple(one.name for one in facts.engine.containers if one.service not in stack.services and not one.oneoff)
    if all(one.action == UNCHANGED for one in changes):
        return Plan(changes, (), orphans)
    _refuse_taken_ports(stack, profile, facts)
    steps = [Step("build", build.command)] if build.command else []
    paused = [one.name for one in facts.engine.containers if one.state == "paused" and not one.oneoff]
    steps += _on_containers(profile, "unpause", paused, cwd, "Compose can do nothing with a paused container")
    if any(one.action not in (UNCHANGED, WAIT, RESTART) for one in changes):
        up = compose(profile, "up", "--detach", "--no-build", cwd=cwd, reason="create and start what changed")
        steps.append(Step("up", up))
    restarted = {one.service for one in changes if one.action == RESTART}
    stuck = [one.name for one in facts.engine.containers if one.service in restarted and _stuck(one)]
    steps += _on_containers(profile, "restart", stuck, cwd, "what is unhealthy gets a new start")
    if stale := _left_by_compose(stack, changes, facts):
        again = compose(
            profile,
            *("up", "--detach", "--no-build", "--force-recreate", *stale),
            cwd=cwd,
            reason="use what changed behind its name; Compose itself does not notice",
        )
        steps.append(Step("recreate", again))
    steps.append(Step("wait", _wait(profile, cwd)))
    return Plan(changes, tuple(steps), orphans, tuple(stale))


def _on_containers(profile: Profile, verb: str, names: list[str], cwd: str, reason: str) -> list[Step]:
    """Return the step that does something with single containers: other replicas of their service go on serving."""
    if not names:
        return []
    env = {key: value for key, value in profile.compose_env().items() if key.startswith("DOCKER_")}
    return [Step(verb, Command(("docker", verb, *names), env=env, cwd=cwd, reason=reason))]


def _left_by_compose(stack: Stack, changes: tuple[Change, ...], facts: Facts) -> list[str]:
    """Return the services that `compose up` would leave as they are, although they are stale."""
    found = []
    for one in changes:
        service = stack.services[one.service]
        causes = {
            cause
            for container in facts.engine.containers
            if container.service == one.service and not container.oneoff
            for cause in _unnoticed(service, container, facts)
        }
        # One-offs too: `up` would start the container that is there, whose age says for ever that the file is newer.
        if causes and set(one.causes) <= causes:
            found.append(one.service)
    return found


def _wait(profile: Profile, cwd: str) -> Command:
    """Return the command that does by hand what Slipway does by the engine's events."""
    return compose(
        profile,
        *("up", "--detach", "--no-build", "--no-recreate", "--wait"),
        *("--wait-timeout", str(math.ceil(profile.duration("HEALTH_TIMEOUT")))),
        cwd=cwd,
        reason="wait until every service is healthy (Slipway itself listens to the engine's events)",
    )


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
