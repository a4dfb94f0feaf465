"""What differs between what runs and what is to run, service by service."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .desired import Desired, Wanted
from .facts import Container, Network, Volume
from .mounts import GONE, Content, Reference
from .observed import Observed
from .operation import CREATE, PULL, RECREATE, RELOAD, RESTART, RUN, SCALE, START, UNCHANGED, WAIT, Change
from .rollout import crashing
from .stack import Service

TO_BUILD = "image to be built"
# https://docs.docker.com/reference/compose-file/services/#pull_policy: with these no registry is asked for an image
# that is there.
_LOCAL = ("missing", "if_not_present", "never", "build")


@dataclass(frozen=True)
class Policy:
    """What profile and command line say about how a plan is made.

    ``back``: a way back, on which no job runs. ``orphans``: whether services that are in no file any more are removed,
    None where nothing says so: then those that an earlier deploy brought (``ours``). ``timeout`` and ``settle`` are
    in seconds, ``timeouts`` those of single services; ``pulled``: registries have been asked already.
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

    def settling(self, service: Service) -> float:
        """Return how long a service without a health check is looked at, in seconds."""
        return self.settle if service.settle is None else service.settle


def container_causes(service: Service, container: Container, observed: Observed, desired: Desired) -> list[str]:
    """Return why a container is not what its service is to be."""
    wanted = desired.wanted(service.name)
    causes = []
    if wanted.hashes and container.config_hash and container.config_hash not in wanted.hashes:
        causes.append("configuration changed")
    if wanted.image and observed.content(container) != wanted.image:
        causes.append(f"image {service.image} changed")
    causes += changed_references(container, observed, wanted)
    if desired.stack.one_off(service):
        return causes  # what it was connected to when it ran is no concern of what it has done
    causes += [f"volume {name} is not mounted" for name in service.volumes if name not in container.volumes]
    causes += [f"not in network {name}" for name in service.networks if name not in container.networks]
    present = {one.id for one in observed.containers}
    if service.shares and any(one not in present for one in container.shares):
        causes.append(f"it uses what a container of {', '.join(service.shares)} had that is gone")
    return causes


def changed_references(container: Container, observed: Observed, wanted: Wanted) -> list[str]:
    """Return which of the things that a container refers to are not what they were when it was made."""
    return [f"{one.name} changed" for one in differing(container, observed, wanted)]


def differing(container: Container, observed: Observed, wanted: Wanted) -> list[Reference]:
    """Return the references of a container whose content is another one than what it was made with.

    What its mounts hold by now only counts when nothing of it can be known: the process has read what there was.
    """
    stamp = observed.state.stamps.get(container.id)
    found = []
    for one in wanted.references:
        digest = wanted.contents.get(one.target, Content()).digest
        noted = stamp.references.get(one.target) if stamp else None
        gone = observed.seen.get((container.id, one.target)) == GONE
        changed = not one.live and noted and noted.digest and digest and noted.digest != digest
        if gone or changed:
            found.append(one)
    return found


def drift(service: Service, observed: Observed, desired: Desired) -> list[str]:
    """Return what is wanted and the service's containers are not, without what they only have to be started for."""
    found = (cause for one in observed.of(service.name) for cause in container_causes(service, one, observed, desired))
    return list(dict.fromkeys(found))


def matches(service: Service, container: Container, observed: Observed, desired: Desired) -> bool:
    """Whether a container is what its service is to be, and works as far as one can see."""
    stuck = container.health == "unhealthy" or container.state not in ("running", "created")
    return not stuck and not container_causes(service, container, observed, desired)


def identity(wanted: Wanted) -> str:
    """Return what stands for a job: a digest of its image, its configuration and what it refers to."""
    contents = sorted((target, one.digest) for target, one in wanted.contents.items())
    data = json.dumps([wanted.image, sorted(wanted.hashes)[:1], contents])
    return hashlib.sha256(data.encode()).hexdigest()[:32]


def change(service: Service, observed: Observed, desired: Desired, policy: Policy) -> Change:
    """Return what has to happen to one service, others left out of account."""
    wanted = desired.wanted(service.name)
    causes = drift(service, observed, desired)
    if wanted.build:
        causes.insert(0, f"{TO_BUILD}: {wanted.build}")
    if desired.stack.one_off(service):
        return _job_change(service, observed, wanted, causes, policy)
    containers = observed.of(service.name)
    if not containers:
        return Change(service.name, CREATE, tuple(causes) or ("no container",)) if service.replicas else _same(service)
    if causes:
        action = RELOAD if _reloadable(service, observed, desired, wanted) else RECREATE
        return Change(service.name, action, tuple(causes))
    if len(containers) != service.replicas:
        return Change(service.name, SCALE, (f"{len(containers)} of {service.replicas} containers",))
    return _state_change(service, containers, policy)


def _same(service: Service) -> Change:
    return Change(service.name, UNCHANGED)


def _job_change(service: Service, observed: Observed, wanted: Wanted, causes: list[str], policy: Policy) -> Change:
    if policy.back:
        return _same(service)
    containers = observed.of(service.name)
    if not containers:
        # Where nothing is left of the project, its data may be gone too.
        ran = observed.state.jobs.get(service.name) if observed.containers else None
        if ran and not wanted.build and ran.identity == identity(wanted):
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
    """Whether all that differs is mounted configuration that the service takes by a signal, and can see already."""
    there = observed.of(service.name)
    if service.slipway.reload is None or wanted.build or len(there) != service.replicas:
        return False
    if any(one.state != "running" or stuck_as(one) for one in there):
        return False  # whoever does not run takes no signal
    for one in there:
        changed = differing(one, observed, wanted)
        if len(container_causes(service, one, observed, desired)) != len(changed):
            return False
        for reference in changed:
            digest = wanted.contents[reference.target].digest
            if reference.secret or observed.seen.get((one.id, reference.target)) != digest:
                return False
    return True


def _state_change(service: Service, containers: Collection[Container], policy: Policy) -> Change:
    # Compose leaves both as they are, or fails on them.
    stuck = [f"{one.name} is {word}" for one in containers if (word := stuck_as(one))]
    if stuck:
        return Change(service.name, RESTART, tuple(stuck))
    stopped = [one for one in containers if one.state != "running" and not one.restarting]
    if stopped:
        return Change(service.name, START, tuple(f"{one.name} is {one.state}" for one in stopped))
    if often := crashing(one for one in containers if one.young and one.health != "healthy"):
        return Change(service.name, WAIT, (often,))
    unready = [one for one in containers if one.health != "healthy" and (one.health or service.health_check)]
    if unready:
        return Change(service.name, WAIT, tuple(f"{one.name} is {one.health or 'unknown'}" for one in unready))
    if service.pull_policy and service.pull_policy not in _LOCAL and not (policy.pulled or policy.back):
        return Change(service.name, PULL, (f"pull_policy: {service.pull_policy}",))
    return _same(service)


def stuck_as(container: Container) -> str:
    """Return the state in which a container stays until somebody acts, "" for none."""
    if container.state == "paused":
        return "paused"
    return "unhealthy" if container.state == "running" and container.health == "unhealthy" else ""


def network_difference(name: str, declared: Mapping[str, Any], found: Network) -> list[str]:
    """Return which options of a network are not what its declaration says.

    https://docs.docker.com/reference/compose-file/networks/
    """
    wanted = {
        "driver": (str(declared.get("driver") or found.driver), found.driver),
        "internal": (bool(declared.get("internal")), found.internal),
        "attachable": (bool(declared.get("attachable")), found.attachable),
        "enable_ipv6": (bool(declared.get("enable_ipv6", found.ipv6)), found.ipv6),
        "driver_opts": (_texts(declared.get("driver_opts")), dict(found.options)),
    }
    subnets = [str(one["subnet"]) for one in (declared.get("ipam") or {}).get("config") or () if one.get("subnet")]
    if subnets:
        wanted["ipam"] = (sorted(subnets), sorted(found.subnets))
    if declared.get("labels"):
        labels = {key: found.labels.get(key) for key in declared["labels"]}
        wanted["labels"] = (_texts(declared["labels"]), labels)
    return [f"network {name}: {key} changed" for key, (want, have) in wanted.items() if want != have]


def volume_difference(name: str, declared: Mapping[str, Any], found: Volume) -> list[str]:
    """Return which options of a volume are not what its declaration says; its data stays in any case."""
    wanted = {
        "driver": (str(declared.get("driver") or found.driver), found.driver),
        "driver_opts": (_texts(declared.get("driver_opts")), dict(found.options)),
    }
    return [f"volume {name}: {key} changed" for key, (want, have) in wanted.items() if want != have]


def _texts(raw: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (raw or {}).items()}
