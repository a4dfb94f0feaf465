"""Blue-green: the Pods of a release in a slot of their own, and Services that lead to one slot or the other.

``KubeSource.slots`` says in which slot the new Pods of a service are. Its Deployment then has the slot in its name and
its Pods have it as a label, so that it replaces no Pod of the release before, and its Services lead to that slot only.
Without a slot, blue-green is a RollingUpdate in which all new Pods come first (``rollout.py``). How a deploy goes from
one slot to the other is in ``live/takeover.py``. Where a check says that a Pod is ready, it serves at once
(no ``minReadySeconds``): what serves before it stays until it was watched.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .. import labels
from ..names import LONGEST
from ..part import Fields, merged
from .kinds import DEPLOYMENT

SLOT, FORMER = "slipway/slot", "slipway/former"
BLUE, GREEN = SLOTS = ("blue", "green")


def other(slot: str) -> str:
    """Return the slot for the next release: the other one, the first where there was none."""
    return GREEN if slot == BLUE else BLUE


def slot_of(objects: Iterable[Fields], selector: Mapping[str, str]) -> str:
    """Return the slot that the Services of a service lead to, "" for none; ``selector`` are the labels of its Pods."""
    found = (each["spec"]["selector"].get(SLOT, "") for each in objects if _leads(each, selector))
    return next(iter(found), "")


def in_slot(objects: Iterable[Fields], selector: Mapping[str, str], slot: str) -> tuple[Fields, ...]:
    """Return the objects of a service with its Pods in a slot; those of a service that is no Deployment unchanged."""
    given, mark = tuple(objects), {SLOT: slot}
    name = next((each["metadata"]["name"] for each in given if _runs(each, selector)), "")
    if not name:
        return given
    result: list[Fields] = []
    for each in given:
        if _runs(each, selector):
            result.append(_marked(each, in_slot_name(name, slot), mark))
        elif each["kind"] == "HorizontalPodAutoscaler" and each["spec"]["scaleTargetRef"]["name"] == name:
            result.append(_aimed(each, in_slot_name(name, slot), mark))
        else:
            result.append(each)
    return leading(result, selector, slot)


def in_slot_name(name: str, slot: str) -> str:
    """Return the name of the Deployment of a service in a slot."""
    return f"{name[: LONGEST - len(slot) - 1].rstrip('-')}-{slot}"


def former_name(name: str) -> str:
    """Return the name of the Service that leads to the Pods of a service in the other slot."""
    return in_slot_name(name, "former")


def with_former(objects: Iterable[Fields], selector: Mapping[str, str], slot: str) -> tuple[Fields, ...]:
    """Return the objects of a service in a slot, and a Service that leads to its Pods in the other one.

    While new Pods are watched those are what served before, and a proxy asks them where a new one does not answer;
    otherwise there are none, and the cluster refuses the connection at once. A headless Service has none beside it.
    """
    given = tuple(objects)
    name = selector[labels.SERVICE]
    found = (each for each in given if _leads(each, selector) and each["metadata"]["name"] == name)
    return given + tuple(_former(each, name, slot) for each in found if each["spec"].get("clusterIP") != "None")


def _former(made: Fields, name: str, slot: str) -> Fields:
    about = merged({**made["metadata"], "name": former_name(name)}, {"labels": {FORMER: "true"}})
    chosen = {**made["spec"]["selector"], SLOT: other(slot)}
    return {**made, "metadata": about, "spec": {**made["spec"], "selector": chosen}}


def is_former(made: Fields) -> bool:
    """Whether an object is a Service that leads to the other slot than the one that serves."""
    return FORMER in (made["metadata"].get("labels") or {})


def leading(objects: Iterable[Fields], selector: Mapping[str, str], slot: str) -> tuple[Fields, ...]:
    """Return objects with the Services of a service leading to a slot, to none in particular where it is ""."""

    def led(made: Fields) -> Fields:
        chosen = {key: value for key, value in made["spec"]["selector"].items() if key != SLOT}
        return {**made, "spec": {**made["spec"], "selector": {**chosen, **({SLOT: slot} if slot else {})}}}

    return tuple(led(each) if _leads(each, selector) else each for each in objects)


def of_one_slot(made: Fields, slot: str) -> Fields:
    """Return a Service that leads to one slot of what a Service leads to, whichever of them serves."""
    about = {**made["metadata"], "name": in_slot_name(made["metadata"]["name"], slot)}
    selector = {**made["spec"]["selector"], SLOT: slot}
    return {**made, "metadata": merged(about, {"labels": {SLOT: slot}}), "spec": {**made["spec"], "selector": selector}}


def is_of_one_slot(made: Fields) -> bool:
    """Whether an object is a Service that leads to one slot, whichever of them serves."""
    return made["kind"] == "Service" and SLOT in (made["metadata"].get("labels") or {})


def _runs(made: Fields, selector: Mapping[str, str]) -> bool:
    return bool(made["kind"] == DEPLOYMENT and made["spec"]["selector"]["matchLabels"] == selector)


def _leads(made: Fields, selector: Mapping[str, str]) -> bool:
    if made["kind"] != "Service" or is_former(made) or is_of_one_slot(made):
        return False
    chosen = made["spec"].get("selector") or {}
    return chosen.get(labels.SERVICE) == selector[labels.SERVICE]


def _marked(made: Fields, name: str, mark: Mapping[str, str]) -> Fields:
    spec = {key: value for key, value in made["spec"].items() if key != "minReadySeconds" or not _is_checked(made)}
    selector = {"matchLabels": {**spec["selector"]["matchLabels"], **mark}}
    pod = dict(spec["template"]["spec"])
    if spread := pod.get("topologySpreadConstraints"):
        pod["topologySpreadConstraints"] = [{**each, "labelSelector": selector} for each in spread]
    template: dict[str, Any] = merged(spec["template"], {"metadata": {"labels": mark}})
    return {
        **made,
        "metadata": merged({**made["metadata"], "name": name}, {"labels": mark}),
        "spec": {**spec, "selector": selector, "template": {**template, "spec": pod}},
    }


def _is_checked(made: Fields) -> bool:
    return all("readinessProbe" in each for each in made["spec"]["template"]["spec"]["containers"])


def _aimed(made: Fields, name: str, mark: Mapping[str, str]) -> Fields:
    target = {**made["spec"]["scaleTargetRef"], "name": name}
    about = merged({**made["metadata"], "name": name}, {"labels": mark})
    return {**made, "metadata": about, "spec": {**made["spec"], "scaleTargetRef": target}}
