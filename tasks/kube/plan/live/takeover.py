"""A release that takes over from the one before it in another slot: which slots serve, and what stands beside what.

What is compared are the objects of two releases as their charts have them (``workloads/slots.py`` makes them).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Any

from ....model.record import Record
from ....model.stack.extension import BLUE_GREEN
from ....model.stack.stack import Stack
from .. import labels
from ..mesh.shares import is_route
from ..part import Fields, merged
from ..workloads.kinds import DEPLOYMENT
from ..workloads.slots import BLUE, SLOT, is_former, is_of_one_slot, other, slot_of
from .difference import JOB, Raw, key

SERVICE = "Service"
_SCALER = "HorizontalPodAutoscaler"


class Takeover(Record):
    """The objects of the release that serves and of the one that takes over, and what changes hands.

    ``moved`` are the Deployments that serve and those that take over, by the label of their service; a service whose
    Pods stay in their Deployment is not in it.
    """

    before: tuple[Fields, ...]
    after: tuple[Fields, ...]
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def beside(self, live: Iterable[Raw]) -> tuple[Fields, ...]:
        """Return the new objects with what serves as it was: its Deployments, its Services, and what they use.

        A new Deployment that scales by itself begins with as many Pods as serve now, of the objects ``live``.
        """
        there = {key(each): each for each in live}
        old, new = {key(each): each for each in self.before}, {key(each) for each in self.after}
        made = [old.get(key(each), each) if self._leads(each) else each for each in self.after]
        numbers = {after: there.get((DEPLOYMENT, before), {}) for before, after in self.moved.values()}
        kept = [each for name, each in old.items() if name not in new and self._is_kept(each)]
        return (*(_numbered(each, numbers.get(str(each["metadata"]["name"]))) for each in made), *kept)

    def leading_on(self) -> tuple[Fields, ...]:
        """Return the Services, and the routes of a mesh, that lead to the Pods of the release that takes over."""
        return tuple(each for each in self.after if self._leads(each))

    def leading_back(self) -> tuple[Fields, ...]:
        """Return the Services, and the routes of a mesh, that lead to the Pods of the release that served before.

        A Service for former Pods leads there already, and stays so: nginx asks them while nodes hear of the others.
        """
        return tuple(each for each in self.before if self._leads(each) and not is_former(each))

    def scalers(self) -> tuple[Fields, ...]:
        """Return the autoscalers of the Deployments that take over."""
        return of_services(self.after, _SCALER, self.moved)

    def slots(self) -> dict[str, str]:
        """Return the slot of the Pods that take over, by the label of their service."""
        return {name: slot for name, slot in serving(self.after).items() if name in self.moved}

    def _leads(self, made: Fields) -> bool:
        return (made["kind"] == SERVICE or is_route(made)) and _label(made) in self.moved

    def _is_kept(self, made: Fields) -> bool:
        """Whether an object is one that the Pods of the release before need; a Job would run again."""
        return made["kind"] != JOB and _label(made) in (*self.moved, "")


def takeover(before: Iterable[Fields], after: Iterable[Fields]) -> Takeover:
    """Return what changes hands between two releases: what has a Deployment in both, and under another name."""
    old, new = tuple(before), tuple(after)
    then, now = _deployments(old), _deployments(new)
    moved = {name: (then[name], now[name]) for name in now if name in then and then[name] != now[name]}
    return Takeover(old, new, moved)


def serving(live: Iterable[Raw]) -> dict[str, str]:
    """Return the slot of each service that has a Deployment, by its label, "" for none.

    Of two Deployments it is the one that the Services lead to.
    """
    objects = tuple(live)
    found: dict[str, list[str]] = {}
    for each in objects:
        if each["kind"] == DEPLOYMENT and (name := _label(each)):
            found.setdefault(name, []).append(_place(each)[1])
    return {name: slots[0] if len(slots) == 1 else _chosen(objects, name, slots) for name, slots in found.items()}


def slots(live: Iterable[Raw], stack: Stack, names: Mapping[str, str], shared: Collection[str] = ()) -> dict[str, str]:
    """Return the slot of each service that has one; ``names`` are the services by their names on the cluster.

    ``shared`` are the services whose canary gets its share by a mesh: they take turns as a blue-green one does.
    A service that is not blue-green any more stays in its slot: nothing has to take over from it. One that has no
    Deployment begins in the slot that its Services lead to, or in the first one.
    """
    objects = tuple(live)
    found = serving(objects)
    begun = {
        name: slot_of(objects, {labels.SERVICE: name}) or BLUE
        for name, service in names.items()
        if name not in found and (stack.services[service].rollout == BLUE_GREEN or service in shared)
    }
    return {names[name]: slot for name, slot in {**found, **begun}.items() if slot and name in names}


def astray(wanted: Iterable[Fields], live: Iterable[Raw]) -> frozenset[str]:
    """Return the services, by their label, that Services lead to other Pods of than objects say."""
    there = {key(each): each for each in live if each["kind"] == SERVICE}
    return frozenset(
        name for each in wanted if _serves(each) and (name := _label(each)) and _elsewhere(each, there.get(key(each)))
    )


def services_of(objects: Iterable[Fields], names: Collection[str]) -> tuple[Fields, ...]:
    """Return the Services of some services, by their labels, without those for former Pods."""
    return tuple(each for each in objects if _serves(each) and _label(each) in names)


def _serves(made: Fields) -> bool:
    return made["kind"] == SERVICE and not is_former(made)


def of_services(objects: Iterable[Fields], kind: str, names: Collection[str]) -> tuple[Fields, ...]:
    """Return the objects of a kind that belong to some services, by their labels."""
    return tuple(each for each in objects if each["kind"] == kind and _label(each) in names)


def routes_of(objects: Iterable[Fields], names: Collection[str]) -> tuple[Fields, ...]:
    """Return what leads requests of a mesh to some services, by their labels."""
    return tuple(each for each in objects if is_route(each) and _label(each) in names)


def led(listed: Iterable[Raw]) -> tuple[Raw, ...]:
    """Return objects without the Deployments and Pods of services that are in another slot than the one that serves."""
    objects = tuple(listed)
    slots = serving(objects)
    return tuple(
        each
        for each in objects
        if each["kind"] not in (DEPLOYMENT, "Pod") or slots.get(_label(each), _place(each)[1]) == _place(each)[1]
    )


def aligned(wanted: Iterable[Raw], live: Iterable[Raw]) -> tuple[Raw, ...]:
    """Return objects as they would be in the slots that serve, so that a comparison tells more than another slot."""
    given, there = tuple(wanted), tuple(live)
    slots, names = serving(there), takeover(there, given).moved
    return tuple(
        _in_place(each, *names[name], slots[name]) if (name := _label(each)) in names else each for each in given
    )


def _in_place(made: Raw, before: str, after: str, slot: str) -> Raw:
    """Return an object of a service with the names and labels of the slot that serves."""
    if is_of_one_slot(made):
        return made
    if made["kind"] == SERVICE:
        led_to = other(slot) if is_former(made) else slot
        return {**made, "spec": _labelled(made["spec"], _label(made), led_to)}
    if made["kind"] not in (DEPLOYMENT, _SCALER):
        return made
    found: dict[str, Any] = _labelled(made, _label(made), slot)
    if made["metadata"]["name"] == after:
        found["metadata"]["name"] = before
    if made["kind"] == _SCALER:
        found["spec"]["scaleTargetRef"]["name"] = before
    return found


def _labelled(node: Any, name: str, slot: str) -> Any:
    """Return a copy of a tree in which each set of labels of a service has a slot, "" for none."""
    if isinstance(node, Mapping):
        copy = {key: _labelled(value, name, slot) for key, value in node.items()}
        if copy.get(labels.SERVICE) == name:
            copy = {**{key: value for key, value in copy.items() if key != SLOT}, **({SLOT: slot} if slot else {})}
        return copy
    return [_labelled(each, name, slot) for each in node] if isinstance(node, list) else node


def _deployments(objects: Iterable[Fields]) -> dict[str, str]:
    """Return the Deployment of each service by the label of that; of two the one that Services lead to."""
    listed = tuple(objects)
    slots = serving(listed)
    return {
        name: str(each["metadata"]["name"])
        for each in listed
        if each["kind"] == DEPLOYMENT and (name := _label(each)) and _place(each) == (name, slots[name])
    }


def _chosen(objects: Iterable[Raw], name: str, slots: list[str]) -> str:
    led = slot_of(objects, {labels.SERVICE: name})
    return led if led in slots else slots[0]


def _elsewhere(wanted: Fields, there: Raw | None) -> bool:
    return there is not None and (there["spec"].get("selector") or {}) != (wanted["spec"].get("selector") or {})


def _label(made: Fields) -> str:
    return str((made["metadata"].get("labels") or {}).get(labels.SERVICE, ""))


def _place(made: Fields) -> tuple[str, str]:
    """Return the service and the slot of an object, by their labels."""
    return _label(made), str((made["metadata"].get("labels") or {}).get(SLOT, ""))


def _numbered(made: Fields, serving_now: Raw | None) -> Fields:
    number = ((serving_now or {}).get("spec") or {}).get("replicas")
    if made["kind"] != DEPLOYMENT or number is None or "replicas" in made["spec"]:
        return made
    return {**made, "spec": merged(made["spec"], {"replicas": number})}
