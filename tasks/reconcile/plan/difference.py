"""Compares what runs with what should run, service by service, and says why they differ."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from ...model.engine.facts import Container, Network, Volume
from ...model.record import Record
from ...model.stack.stack import Service, full_reference
from ...model.stack.verdict import crash_loop
from .configuration import CHANGED, differences
from .desired import Desired, Wanted
from .mounts import GONE, Content, Reference
from .observed import Observed
from .operation import CREATE, PULL, RECREATE, RELOAD, RESTART, RUN, SCALE, START, TO_BUILD, UNCHANGED, WAIT, Change
from .placed import filled_volume, places
from .spelling import as_made

# https://docs.docker.com/reference/compose-file/services/#pull_policy: with these policies Compose asks no registry for
# an image that is on the engine.
_LOCAL = ("missing", "if_not_present", "never", "build")


class Policy(Record):
    """Settings of the profile and the command line that shape a plan.

    - ``back``: the way back from a failed deploy; no job runs then.
    - ``orphans``: remove containers of services that are in no file. None: only of those services that an earlier
      deploy started (``ours``).
    - ``backup``, ``smoke``: back up before a migration; smoke test at the end.
    - ``timeout``: seconds until healthy, ``timeouts`` by service. ``settle``: seconds that a service without a health
      check is watched.
    - ``pulled``: the registries have been asked already.
    - ``interval``: how often metrics are read, in seconds; what numbers judge is watched for two intervals at least.
    """

    back: bool = False
    orphans: bool | None = None
    ours: frozenset[str] = frozenset()
    backup: bool = True
    smoke: bool = False
    timeouts: Mapping[str, float] = field(default_factory=dict)
    timeout: float = 60.0
    settle: float = 10.0
    pulled: bool = False
    interval: float = 0.0

    def waiting(self, services: Iterable[str]) -> float:
        """Return how long services may take to become healthy together, in seconds."""
        return max((self.timeouts.get(name, self.timeout) for name in services), default=0.0)

    def settling(self, service: Service) -> float:
        """Return how long a service without a health check is watched after its start, in seconds."""
        return self.settle if service.settle is None else service.settle


def container_causes(service: Service, container: Container, observed: Observed, desired: Desired) -> list[str]:
    """Return why a container is not what its service should be; nothing when it is."""
    wanted = desired.wanted(service.name)
    image = [f"image {service.image} changed"] if wanted.image and observed.content(container) != wanted.image else []
    causes = [*_configured(service, container, observed, desired, bool(image)), *image]
    causes += reference_causes(container, observed, wanted)
    if desired.stack.one_off(service):
        return causes  # a job that has run need not be connected any more
    causes += [f"volume {name} is not mounted" for name in service.volumes if name not in container.volumes]
    causes += [f"not in network {name}" for name in service.networks if name not in container.networks]
    present = {other.id for other in observed.containers}
    if service.shares and any(container_id not in present for container_id in container.shares):
        causes.append(f"it shares resources of a container of {', '.join(service.shares)} that is gone")
    return causes


def configured_otherwise(container: Container, wanted: Wanted) -> bool:
    """Whether Compose's configuration hash of a container is none of those wanted; False if either is unknown."""
    return bool(wanted.hashes and container.config_hash) and container.config_hash not in wanted.hashes


def _configured(
    service: Service, container: Container, observed: Observed, desired: Desired, other_image: bool
) -> list[str]:
    """Return how a container's configuration differs, in words as far as known.

    The image name is part of Compose's hash. If only the name differs and the image does too (``other_image``), there
    is a cause for that already.
    """
    if not configured_otherwise(container, desired.wanted(service.name)):
        return []
    made = observed.made.get(container.id)
    if made is None:
        return [CHANGED]
    spelled = replace(made, service=as_made(made.service, container))
    causes = differences(spelled, as_made(desired.model["services"][service.name], container))
    if causes:
        return list(causes)
    if not made.reference or full_reference(made.reference) == full_reference(service.image):
        return [CHANGED]
    if other_image:
        return [CHANGED] if made.partly else []
    return [f"image {service.image}"]


def reference_causes(container: Container, observed: Observed, wanted: Wanted) -> list[str]:
    """Return a cause for each secret, config or bind mount that has changed since the container was created."""
    return [f"{reference.name} changed" for reference in differing_references(container, observed, wanted)]


def differing_references(container: Container, observed: Observed, wanted: Wanted) -> list[Reference]:
    """Return the references of a container whose content has changed since it was created.

    The stamp counts, not what the mounts contain now: the process has read the old content. A mounted directory that
    was replaced counts as changed as well, since its content cannot be known.
    """
    stamp = observed.state.stamps.get(container.id)
    references = []
    for reference in wanted.references:
        digest = wanted.contents.get(reference.target, Content()).digest
        noted = stamp.references.get(reference.target) if stamp else None
        gone = observed.seen.get((container.id, reference.target)) == GONE
        changed = not reference.live and noted and noted.digest and digest and noted.digest != digest
        unknown = (
            noted is None and digest and filled_volume(container, reference)
        )  # the deploy was killed before it noted it
        if gone or changed or unknown:
            references.append(reference)
    return references


def drift(service: Service, observed: Observed, desired: Desired) -> list[str]:
    """Return why the containers of a service are not what they should be; whether they run is left out."""
    causes = (
        cause
        for container in observed.of(service.name)
        for cause in container_causes(service, container, observed, desired)
    )
    return list(dict.fromkeys(causes))


def matches(service: Service, container: Container, observed: Observed, desired: Desired) -> bool:
    """Whether a container is what its service should be, and is neither unhealthy nor stopped."""
    stuck = container.health == "unhealthy" or container.state not in ("running", "created")
    return not stuck and not container_causes(service, container, observed, desired)


def job_digests(wanted: Wanted) -> frozenset[str]:
    """Return the digests that identify a run of a job by its image, its configuration and its contents.

    One for each hash of its configuration: how many of them are known depends on whether Compose was asked again. Two
    runs are of the same job when they have a digest in common.
    """
    contents = sorted((target, content.digest) for target, content in wanted.contents.items())
    data = [json.dumps([wanted.image, known, contents]) for known in ([text] for text in wanted.hashes)]
    data = data or [json.dumps([wanted.image, [], contents])]
    return frozenset(hashlib.sha256(text.encode()).hexdigest()[:32] for text in data)


def service_change(service: Service, observed: Observed, desired: Desired, policy: Policy) -> Change:
    """Return what has to happen to a service, regardless of the other services."""
    wanted = desired.wanted(service.name)
    causes = drift(service, observed, desired)
    if wanted.build:
        causes.insert(0, f"{TO_BUILD}: {wanted.build}")
    if desired.stack.one_off(service):
        return _job_change(service, observed, wanted, causes, policy)
    containers = observed.of(service.name)
    if not containers:
        return Change(service.name, CREATE, tuple(causes) or ("no container",)) if service.replicas else _same(service)
    joined = _joined_before(service, observed)
    if causes:
        # A signal does not give it another namespace.
        action = RELOAD if not joined and _reloadable(service, observed, desired, wanted) else RECREATE
        return Change(service.name, action, tuple(causes))
    if len(containers) != service.replicas:
        return Change(service.name, SCALE, (f"{len(containers)} of {service.replicas} containers",))
    change = _state_change(service, containers, policy)
    if joined and change.action in (UNCHANGED, WAIT, PULL):
        return Change(service.name, RESTART, tuple(joined))
    return change


def _joined_before(service: Service, observed: Observed) -> list[str]:
    """Return the containers that use namespaces which another one had before it was started again.

    A network or process namespace ends with the container that it belongs to: with ``network_mode: service:web``,
    nothing is left but the loopback device once web has been restarted, by hand or by its restart policy.
    """
    owners = {
        container.id: container for name in service.joins for container in observed.running(name) if container.started
    }
    return [
        f"{owners[id_].name} was started again after {container.name} had joined it"
        for container in observed.running(service.name)
        for id_ in container.shares
        if container.started and id_ in owners and _moment(owners[id_]) > _moment(container)
    ]


def _moment(container: Container) -> tuple[str, str]:
    """Return when a container was started, to compare: the engine leaves trailing zeros of the fraction out."""
    seconds, _, fraction = container.started.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _same(service: Service) -> Change:
    return Change(service.name, UNCHANGED)


def _job_change(service: Service, observed: Observed, wanted: Wanted, causes: list[str], policy: Policy) -> Change:
    if policy.back:
        return _same(service)
    containers = observed.of(service.name)
    if not containers:
        # Without any container of the project its data may be gone as well: the job runs again.
        ran = observed.state.jobs.get(service.name) if observed.containers else None
        if ran and not wanted.build and ran.identities & job_digests(wanted):
            return _same(service)
        return Change(service.name, RUN, tuple(causes) or ("it has not run yet",))
    if causes:
        return Change(service.name, RUN, tuple(causes))
    last = containers[-1]
    if last.state == "running":
        return Change(service.name, WAIT, ("it is running",))
    if last.state != "exited":
        return Change(service.name, RUN, (f"{last.name} is {last.state}",))
    if last.exit_code != 0:
        return Change(service.name, RUN, (f"its last run ended with exit code {last.exit_code}",))
    return _same(service)


def _reloadable(service: Service, observed: Observed, desired: Desired, wanted: Wanted) -> bool:
    """Whether all that differs is mounted configuration that the service reads again on a signal.

    Each of its containers runs and either sees the new content already or has it in a volume that Slipway can refill.
    """
    containers, reload = observed.of(service.name), service.slipway.reload
    if reload is None or wanted.build or len(containers) != service.replicas:
        return False
    filled = {reference for place in places(desired.model, service, wanted) for reference in place.references}
    if any(container.state != "running" or stuck_state(container) for container in containers):
        return False  # it would not handle the signal
    for container in containers:
        changed = differing_references(container, observed, wanted)
        if len(container_causes(service, container, observed, desired)) != len(changed):
            return False
        for reference in changed:
            digest = wanted.contents[reference.target].digest
            if reference.secret and not reload.secrets:
                return False  # reload.secrets is not set: it does not read them again
            if filled_volume(container, reference):
                if reference not in filled or not (reference.secret or container.id in observed.clearable):
                    return False
            elif observed.seen.get((container.id, reference.target)) != digest:
                return False
    return True


def _state_change(service: Service, containers: Collection[Container], policy: Policy) -> Change:
    # `docker compose up` leaves paused and unhealthy containers as they are, or fails on them.
    stuck = [f"{container.name} is {state}" for container in containers if (state := stuck_state(container))]
    if stuck:
        return Change(service.name, RESTART, tuple(stuck))
    stopped = [container for container in containers if container.state != "running" and not container.restarting]
    if stopped:
        return Change(service.name, START, tuple(f"{container.name} is {container.state}" for container in stopped))
    if often := crash_loop(container for container in containers if container.young and container.health != "healthy"):
        return Change(service.name, WAIT, (often,))
    unready = [
        container
        for container in containers
        if container.health != "healthy" and (container.health or service.health_check)
    ]
    if unready:
        return Change(
            service.name, WAIT, tuple(f"{container.name} is {container.health or 'unknown'}" for container in unready)
        )
    if service.pull_policy and service.pull_policy not in _LOCAL and not (policy.pulled or policy.back):
        return Change(service.name, PULL, (f"pull_policy: {service.pull_policy}",))
    return _same(service)


def stuck_state(container: Container) -> str:
    """Return "paused" or "unhealthy" if a container stays that way until it is restarted, else ""."""
    if container.state == "paused":
        return "paused"
    return "unhealthy" if container.state == "running" and container.health == "unhealthy" else ""


def network_difference(name: str, declared: Mapping[str, Any], network: Network) -> list[str]:
    """Return which options of a network on the engine differ from its declaration.

    https://docs.docker.com/reference/compose-file/networks/
    """
    wanted = {
        "driver": (str(declared.get("driver") or network.driver), network.driver),
        "internal": (bool(declared.get("internal")), network.internal),
        "attachable": (bool(declared.get("attachable")), network.attachable),
        "enable_ipv6": (bool(declared.get("enable_ipv6", network.ipv6)), network.ipv6),
        "driver_opts": (_texts(declared.get("driver_opts")), dict(network.options)),
    }
    subnets = [
        str(config["subnet"]) for config in (declared.get("ipam") or {}).get("config") or () if config.get("subnet")
    ]
    if subnets:
        wanted["ipam"] = (sorted(subnets), sorted(network.subnets))
    if declared.get("labels"):
        labels = {key: network.labels.get(key) for key in declared["labels"]}
        wanted["labels"] = (_texts(declared["labels"]), labels)
    return [f"network {name}: {key} changed" for key, (want, have) in wanted.items() if want != have]


def volume_difference(name: str, declared: Mapping[str, Any], volume: Volume) -> list[str]:
    """Return which options of a volume on the engine differ from its declaration; its data stays in any case."""
    wanted = {
        "driver": (str(declared.get("driver") or volume.driver), volume.driver),
        "driver_opts": (_texts(declared.get("driver_opts")), dict(volume.options)),
    }
    return [f"volume {name}: {key} changed" for key, (want, have) in wanted.items() if want != have]


def _texts(raw: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (raw or {}).items()}
