"""What one aspect of a service adds to its workload, and how parts become one."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from ...model.record import Record
from .outcome import KeyOutcome

Fields = Mapping[str, Any]


class Part(Record):
    """What one aspect adds.

    - ``container``, ``pod``, ``workload``: fields of the container, of the Pod's and of the workload's ``spec``.
    - ``labels``, ``annotations``: of the Pods, ``about``: annotations of the workload itself.
    - ``objects``: further objects, whole.
    - ``outcomes``: what became of the keys that the aspect reads.
    """

    container: Fields = field(default_factory=dict)
    pod: Fields = field(default_factory=dict)
    workload: Fields = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[Fields, ...] = ()
    outcomes: tuple[KeyOutcome, ...] = ()


def together(parts: Iterable[Part]) -> Part:
    """Return parts as one: mappings are merged, lists are appended in the order of the parts."""
    every = tuple(parts)
    return Part(
        container=_all(part.container for part in every),
        pod=_all(part.pod for part in every),
        workload=_all(part.workload for part in every),
        labels=_all(part.labels for part in every),
        annotations=_all(part.annotations for part in every),
        about=_all(part.about for part in every),
        objects=tuple(one for part in every for one in part.objects),
        outcomes=tuple(one for part in every for one in part.outcomes),
    )


def _all(several: Iterable[Fields]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for fields in several:
        if fields:
            _take(result, fields)
    return result


def merged(one: Fields, other: Fields) -> dict[str, Any]:
    """Return two mappings as one; raises ValueError where both have another value for a field, which is our fault."""
    result = dict(one)
    _take(result, other)
    return result


def _take(result: dict[str, Any], other: Fields) -> None:
    for name, value in other.items():
        there = result.get(name)
        if name not in result or there == value:
            result[name] = value
        elif isinstance(there, Mapping) and isinstance(value, Mapping):
            result[name] = merged(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            result[name] = [*there, *value]
        else:
            raise ValueError(f"two aspects of a service set {name}: {there!r} and {value!r}")
