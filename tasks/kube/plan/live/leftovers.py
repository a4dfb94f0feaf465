"""What Slipway has left in a namespace that nothing needs any more."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ....model.record import Record
from .difference import HOOK, JOB, Key, Raw, ended, is_released, key
from .jobs import RUN_LABEL
from .revisions import RECORD_LABEL

CLAIM, SECRET = "PersistentVolumeClaim", "Secret"


class Leftover(Record):
    """An object to remove, and why nothing needs it."""

    kind: str
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.why})"


def leftovers(objects: Iterable[Raw], kept: Collection[Key], release: str, known: Collection[int]) -> list[Leftover]:
    """Return the objects that are left; those of people, who may use the labels of a project as well, are not ours.

    ``objects`` are those with the label of the project, ``kept`` those of the release that serves, hooks included,
    ``release`` is the name of the Helm release, ``known`` are the revisions that helm keeps.
    """
    return [
        Leftover(*key(raw), why)
        for raw in objects
        if key(raw) not in kept and raw["kind"] != CLAIM and (why := _why(raw, release, known))
    ]


def _why(raw: Raw, release: str, known: Collection[int]) -> str:
    marks = raw["metadata"].get("labels") or {}
    if (number := str(marks.get(RECORD_LABEL, ""))).isdigit():
        return "" if int(number) in known else "of a release that is forgotten"
    if is_released(raw, release):
        return "of no release that serves"
    if HOOK in (raw["metadata"].get("annotations") or {}) or RUN_LABEL in marks:
        # One that still runs is at work for a deploy, or for somebody at a terminal.
        return "has ended" if raw["kind"] != JOB or ended(raw) is not None else ""
    return ""


def claims(objects: Iterable[Raw], kept: Collection[Key], pods: Iterable[Raw]) -> list[Leftover]:
    """Return the claims that neither the release that serves nor a Pod mounts: with them their data is lost."""
    made = tuple(objects)
    mounted, templates = set(_mounted(pods)), tuple(_templates(made, kept))
    return [
        Leftover(CLAIM, name, "nothing mounts it")
        for raw in made
        if raw["kind"] == CLAIM and key(raw) not in kept
        for name in (str(raw["metadata"]["name"]),)
        if name not in mounted and not any(name.startswith(start) for start in templates)
    ]


def _templates(objects: Iterable[Raw], kept: Collection[Key]) -> Iterator[str]:
    """Yield how the names begin of claims that a StatefulSet mounts again when it has more Pods."""
    for raw in objects:
        if raw["kind"] == "StatefulSet" and key(raw) in kept:
            for claim in raw["spec"].get("volumeClaimTemplates") or ():
                yield f"{claim['metadata']['name']}-{raw['metadata']['name']}-"


def _mounted(pods: Iterable[Raw]) -> Iterator[str]:
    for pod in pods:
        volumes: list[dict[str, Any]] = pod["spec"].get("volumes") or []
        yield from (one["persistentVolumeClaim"]["claimName"] for one in volumes if one.get("persistentVolumeClaim"))
