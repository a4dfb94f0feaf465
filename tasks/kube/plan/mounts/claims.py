"""Where the data of a volume is: in a claim of its own, in one for each Pod of a StatefulSet, or in the Pod only."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from ....model.errors import InputError
from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record
from ....model.stack.extension import RECREATE, known_keys, mapping
from ....model.stack.stack import Service
from ..data.naming import of_name
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..source import KubeSource
from ..workloads.kinds import ENDING, kind
from . import proxy_files
from .entries import VOLUME, entries, sharers
from .sizes import quantity

CLAIM, TEMPLATE, EXISTING, EMPTY = "claim", "template", "existing", "empty"
ONCE, MANY, ONE_POD = _ACCESS = ("ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod")
_KEYS = ("size", "class", "access", "keep")
_SIZE = "1Gi"
_TAKEN = ("secrets", "shm", "tmpfs-", "config-", "bind-", "image-", "anonymous-")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set
_ANNOTATION = lazy_pattern(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
# Nothing that removes a release removes its data.
_KEPT = {"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}


class Storage(Record):
    """A volume of the Compose file: what it says itself, and under ``x-slipway``.

    ``volume`` is its name there, ``name`` that in a Pod; ``sharers`` are the services that mount it, in the order of
    the model. ``place`` is where its data is: CLAIM, TEMPLATE, EXISTING or EMPTY. ``size``, ``storage_class`` and
    ``access`` are as in a PersistentVolumeClaim, "" where nothing says them. ``keep`` False: what is in it may go with
    the Pod. ``memory``: it is a tmpfs.
    """

    volume: str
    name: str
    claim: str
    place: str
    sharers: tuple[Service, ...]
    size: str = ""
    storage_class: str = ""
    access: str = ONCE
    keep: bool = True
    memory: bool = False
    driver: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def storages(source: KubeSource, volumes: Iterable[str]) -> dict[str, Storage]:
    """Return volumes by their names in the Compose file; raises InputError for what an ``x-slipway`` may not say."""
    wanted = tuple(volumes)
    mounted = source.once(sharers) if wanted else {}
    return {volume: _storage(source, volume, mounted.get(volume, ())) for volume in wanted}


def _storage(source: KubeSource, volume: str, mounted: tuple[Service, ...]) -> Storage:
    declared = (source.model.get("volumes") or {}).get(volume) or {}
    where = f"volumes.{volume}.x-slipway"
    said = mapping(declared.get("x-slipway"), where)
    known_keys(said, _KEYS, where)
    access, keep = said.get("access", ONCE), said.get("keep", True)
    if access not in _ACCESS:
        raise InputError(f"{where}.access: expected one of {', '.join(_ACCESS)}, got {access!r}", "as of a claim")
    if not isinstance(keep, bool):
        raise InputError(f"{where}.keep: expected true or false, got {keep!r}", "false: it may go with the Pod")
    options, external = declared.get("driver_opts") or {}, bool(declared.get("external"))
    name, memory = of_name(volume), str(options.get("type")) == "tmpfs"
    in_pod = not keep or memory or _of_proxy(source, mounted, volume)
    return Storage(
        volume=volume,
        place=EXISTING if external else EMPTY if in_pod else _claimed(source, mounted),
        sharers=mounted,
        name=f"volume-{name}" if name.startswith(_TAKEN) else name,
        claim=str(declared.get("name") or volume) if external else name,
        size=quantity(str(said["size"]), f"{where}.size") if said.get("size") else "",
        storage_class=str(said.get("class") or ""),
        access=access,
        keep=keep,
        memory=memory,
        driver=str(declared.get("driver") or ""),
        options=options,
        labels={name: str(value) for name, value in (declared.get("labels") or {}).items()},
    )


def of_its_own(source: KubeSource, service: Service) -> bool:
    """Whether a service has a claim for its Pod alone, which makes it a StatefulSet."""
    volumes = dict.fromkeys(entry.source for entry in entries(source, service) if entry.kind == VOLUME and entry.source)
    return any(held.place == TEMPLATE for held in storages(source, volumes).values())


def _claimed(source: KubeSource, mounted: tuple[Service, ...]) -> str:
    """Return whether a claim is that of a Pod: it is the data of the service only while there is one Pod."""
    alone = len(mounted) == 1 and kind(source, mounted[0]) not in ENDING and not several(source, mounted[0])
    return TEMPLATE if alone else CLAIM


def several(source: KubeSource, service: Service) -> str:
    """Return why several Pods of a service may run at once, "" where there is one at most."""
    raw = source.raw(service.name)
    deploy, scale = raw.get("deploy") or {}, (raw.get("x-slipway") or {}).get("scale") or {}
    most = max(service.replicas, int(scale.get("max") or 0))
    if most > 1:
        return f"{most} replicas"
    if str(deploy.get("mode") or "").startswith("global"):
        return "a Pod on each node"
    return "" if service.rollout == RECREATE else f"rollout: {service.rollout}"


def _of_proxy(source: KubeSource, mounted: tuple[Service, ...], volume: str) -> bool:
    """Whether a volume holds the upstream files of a proxy and nothing else: the image has them."""
    if len(mounted) != 1 or not mounted[0].slipway.proxy.upstreams:
        return False
    places = [entry.target for entry in entries(source, mounted[0]) if entry.kind == VOLUME and entry.source == volume]
    return all(proxy_files.holds(mounted[0], place) for place in places)


def claim(source: KubeSource, held: Storage) -> dict[str, Any]:
    """Return the PersistentVolumeClaim of a volume, which no task of ours and no tool removes with a release."""
    template = claim_template(source, held)
    metadata = {"name": held.claim, "annotations": {**_annotations(held), **_KEPT}}
    return {**template, "metadata": metadata}


def claim_template(source: KubeSource, held: Storage) -> dict[str, Any]:
    """Return the claim that a StatefulSet makes for its Pod."""
    spec: dict[str, Any] = {
        "accessModes": [held.access],
        "resources": {"requests": {"storage": _size(source, held)}},
    }
    if storage_class := held.storage_class or source.settings.storage_class:
        spec["storageClassName"] = storage_class
    annotations = _annotations(held)
    metadata = {"name": held.name, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _annotations(held: Storage) -> dict[str, str]:
    return {name: value for name, value in held.labels.items() if _ANNOTATION.fullmatch(name)}


def _size(source: KubeSource, held: Storage) -> str:
    return held.size or (
        quantity(source.settings.volume_size, "KUBE_VOLUME_SIZE") if source.settings.volume_size else _SIZE
    )


def outcomes(source: KubeSource, held: Storage) -> Iterator[KeyOutcome]:
    """Yield what became of a volume of the Compose file."""
    where = f"volumes.{held.volume}"
    if held.place == EXISTING:
        yield inferred(where, f"PersistentVolumeClaim {held.claim}", "external: it has to exist before the deploy")
        return
    if held.place == EMPTY:
        yield from _emptied(held, where)
        return
    yield translated(where, "PersistentVolumeClaim" if held.place == CLAIM else "volumeClaimTemplates[]")
    if not held.size and not source.settings.volume_size:
        hint = f"{_SIZE}; say `x-slipway: {{size: 10Gi}}` of the volume, or KUBE_VOLUME_SIZE in the profile"
        yield inferred(f"{where}.size", "resources.requests.storage", hint)
    for name in sorted(held.labels.keys() - _annotations(held)):
        yield ignored(f"{where}.labels.{name}", "Kubernetes takes no such name of an annotation")
    yield from _driven(held, where)


def _emptied(held: Storage, where: str) -> Iterator[KeyOutcome]:
    if len(held.sharers) > 1:
        names = " and ".join(service.name for service in held.sharers)
        yield refused(where, f"{names} share it, and a volume of a Pod has no other Pod", "take out keep: false")
    elif held.memory or not held.keep:
        yield translated(where, "volumes[].emptyDir")
    else:
        reason = "the upstream files of a proxy: each Pod has those of the image, and Services balance"
        yield inferred(where, "volumes[].emptyDir", reason)


def _driven(held: Storage, where: str) -> Iterator[KeyOutcome]:
    """Yield what became of a driver and its options: a storage class takes their place."""
    said = [
        key for key, value in (("driver", held.driver not in ("", "local")), ("driver_opts", held.options)) if value
    ]
    for key in said:
        if held.storage_class:
            yield ignored(f"{where}.{key}", f"storage class {held.storage_class} takes its place")
        else:
            hint = "say which storage class is like it: x-slipway: {class: NAME}"
            yield refused(f"{where}.{key}", "no storage class is known that does the same", hint)


def conflict(source: KubeSource, held: Storage, service: Service) -> tuple[str, str] | None:
    """Return why a service can not have a claim that one node mounts, and what to do; None where it can."""
    if held.access == ONE_POD and len(held.sharers) > 1:
        return (
            f"{held.volume} is shared, and with {ONE_POD} a single Pod mounts it",
            f"say access: {ONCE} of the volume",
        )
    reason = several(source, service)
    if not reason or held.access == MANY or held.place in (EMPTY, EXISTING):
        return None
    what = f"{reason}: several Pods would use claim {held.volume} at once, and with ReadWriteOnce one node mounts it"
    hint = f"say x-slipway: {{access: {MANY}}} of the volume, with a class that has it"
    return what, hint if "replicas" in reason else f"{hint}; or rollout: {RECREATE}"
