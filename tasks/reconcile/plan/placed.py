"""Configuration that is exchanged while a service runs: its directories are mounted from volumes that Slipway fills.

A service with ``x-slipway.reload`` reads changed configuration on a signal. A bind mount would only show it what the
checkout has now, never what a release had, and not even a file that was replaced. So the read-only directories of such
a service, and its secrets if ``reload.secrets`` says so, are copied into volumes, whose files can be exchanged forward
and back while it runs. A single mounted file cannot: a container keeps the file that it was started with.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ...model.engine.facts import Container
from ...model.record import Record
from ...model.stack.stack import Service
from .desired import Wanted
from .mounts import BIND, FILE, SECRET, Content, Reference, references
from .observed import State

SECRETS = "/run/secrets"  # where Compose mounts secrets without a target
SECRETS_LABEL = "slipway.secrets"  # names, no values: the secrets that a container gets as one directory
PLACE_LABEL = "slipway.place"
_NAMESPACES = ("network_mode", "ipc", "pid")


class Place(Record):
    """A directory of a service that Slipway fills: where it is mounted, and which references it contains."""

    target: str
    references: tuple[Reference, ...]


def volume_prefix(project: str, service: str) -> str:
    """Return the prefix of the names of a service's volumes."""
    return f"{project}-{service}-place-"


def places(model: Mapping[str, Any], service: Service, wanted: Wanted) -> tuple[Place, ...]:
    """Return the directories of a service that can be exchanged in place; none without ``x-slipway.reload``."""
    reload = service.slipway.reload
    if reload is None:
        return ()
    raw = (model.get("services") or {}).get(service.name) or {}
    result = []
    for reference in wanted.references:
        content = wanted.contents.get(reference.target)
        if content and content.directory and content.digest and fillable(raw, reference):
            result.append(Place(reference.target, (reference,)))
    secrets = [reference for reference in wanted.references if reference.secret]
    contents = [wanted.contents.get(reference.target, Content()) for reference in secrets]
    readable = all(content.digest and not content.directory for content in contents)
    if (
        reload.secrets
        and secrets
        and readable
        and {reference.target for reference in secrets} == set(_given(model, service.name))
    ):
        result.append(Place(SECRETS, tuple(secrets)))
    return tuple(result)


def fillable(raw: Mapping[str, Any], reference: Reference) -> bool:
    """Whether a mounted directory can be a volume that Slipway fills: read-only, not read live, nothing inside it."""
    reads = reference.kind == BIND and not reference.writable and not reference.live
    return reads and not _inside(raw, reference.target)


def _given(model: Mapping[str, Any], service: str) -> tuple[str, ...]:
    """Return the targets of a service's secrets if all are files in /run/secrets and nothing else is mounted there."""
    raw = (model.get("services") or {}).get(service) or {}
    secrets = [reference for reference in references(model, service) if reference.secret]
    usual = all(reference.held == FILE and _parent(reference.target) == SECRETS for reference in secrets)
    whole = len(secrets) == len(raw.get("secrets") or ())  # external secrets are no references
    return tuple(reference.target for reference in secrets) if usual and whole and not _inside(raw, SECRETS) else ()


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _inside(raw: Mapping[str, Any], directory: str) -> bool:
    """Whether anything else is mounted below a directory."""
    targets = [str(mount.get("target")) for key in ("volumes", "configs") for mount in raw.get(key) or ()]
    tmpfs = raw.get("tmpfs") or ()
    targets += [str(entry).partition(":")[0] for entry in ([tmpfs] if isinstance(tmpfs, str) else tmpfs)]
    return any(target.startswith(f"{directory.rstrip('/')}/") for target in targets)


def filled_volumes(container: Container) -> dict[str, str]:
    """Return the volumes filled by Slipway that a container mounts, by target."""
    start = volume_prefix(container.project, container.service)
    return {target: volume for volume, target in container.mounted if volume.startswith(start)}


def filled_volume(container: Container, reference: Reference) -> str:
    """Return the volume filled by Slipway in which a container has a reference, "" if it is mounted otherwise."""
    volumes = filled_volumes(container)
    if reference.kind == SECRET and _parent(reference.target) == SECRETS:
        return volumes.get(SECRETS, "")
    return volumes.get(reference.target, "")


def reusable(place: Place, containers: Iterable[Container], state: State, wanted: Wanted) -> str:
    """Return a volume that a container of the service mounts and that already has the wanted content, "" for none.

    All containers of a service should mount the same volume: to Compose another name is another configuration.
    """
    digests = {reference.target: wanted.contents[reference.target].digest for reference in place.references}
    for container in sorted(containers, key=lambda container: -container.number):
        stamp = state.stamps.get(container.id)
        noted = {key: content.digest for key, content in stamp.references.items() if key in digests} if stamp else {}
        if noted == digests and (volume := filled_volumes(container).get(place.target)):
            return volume
    return ""


def with_places(model: Mapping[str, Any], service: str, volumes: Mapping[str, str]) -> dict[str, Any]:
    """Return the model with ``volumes`` (by target) mounted instead of a service's directories and secrets."""
    raw = (model.get("services") or {}).get(service)
    given = _given(model, service) if SECRETS in volumes else ()
    if raw is None or not volumes:
        return dict(model)
    definition, used = dict(raw), set()
    mounts = []
    for entry in raw.get("volumes") or ():
        target = str(entry.get("target")).rstrip("/") if isinstance(entry, dict) else ""
        if target in volumes and entry.get("type") == BIND:
            used.add(volumes[target])
            entry = _mount(volumes[target], target)
        mounts.append(entry)
    if given:
        used.add(volumes[SECRETS])
        mounts.append(_mount(volumes[SECRETS], SECRETS))
        names = {
            reference.target: reference.name.removeprefix(f"{SECRET} ")
            for reference in references(model, service)
            if reference.secret
        }
        secret_targets = " ".join(f"{names[target]}:{target.removeprefix(f'{SECRETS}/')}" for target in sorted(given))
        definition["labels"] = {**(raw.get("labels") or {}), SECRETS_LABEL: secret_targets}
        del definition["secrets"]
    if mounts:
        definition["volumes"] = mounts
    declared = {name: {"name": name, "external": True} for name in sorted(used)}
    services = {**model["services"], service: definition}
    return {**model, "services": services, "volumes": {**(model.get("volumes") or {}), **declared}}


def _mount(volume: str, target: str) -> dict[str, Any]:
    return {"type": "volume", "source": volume, "target": target, "read_only": True, "volume": {"nocopy": True}}


def configuration_digest(model: Mapping[str, Any], service: str) -> str:
    """Return a digest of a service's configuration in the Compose files, "" if it depends on another container.

    A container with such volumes has a Compose hash that the files alone never give. This digest in its stamp says
    without another call of Compose that nothing has changed.
    """
    raw = (model.get("services") or {}).get(service)
    if raw is None or any(str(raw.get(key) or "").startswith("service:") for key in _NAMESPACES):
        return ""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()[:32]
