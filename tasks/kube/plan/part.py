"""What one aspect of a service adds to its workload, and how parts become one."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import reduce
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
    return reduce(_both, parts, Part())


def _both(one: Part, other: Part) -> Part:
    return Part(
        container=merged(one.container, other.container),
        pod=merged(one.pod, other.pod),
        workload=merged(one.workload, other.workload),
        labels=merged(one.labels, other.labels),
        annotations=merged(one.annotations, other.annotations),
        about=merged(one.about, other.about),
        objects=(*one.objects, *other.objects),
        outcomes=(*one.outcomes, *other.outcomes),
    )


def merged(one: Fields, other: Fields) -> dict[str, Any]:
    """Return two mappings as one; raises ValueError where both have another value for a field, which is our fault."""
    result = dict(one)
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
    return result
