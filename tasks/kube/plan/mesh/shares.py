"""Shares of a canary: the routes of a service divide its requests between the Pods of two slots.

While it lasts the Services of a service lead to the Pods of both. With Istio a subset of the DestinationRule is one of
them, with Linkerd a Service of its own.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRouteDestination,
https://gateway-api.sigs.k8s.io/guides/traffic-splitting/
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..part import Fields
from ..workloads.slots import SLOT, in_slot_name, is_of_one_slot

VIRTUAL_SERVICE, HTTP_ROUTE = "VirtualService", "HTTPRoute"  # of Istio, and of Linkerd where its parent is a Service
SERVICE = "Service"
ALL = 100


def is_route(made: Fields) -> bool:
    """Whether an object leads requests of a mesh; a route of a Gateway leads those from outside."""
    if made.get("kind") != HTTP_ROUTE:
        return made.get("kind") == VIRTUAL_SERVICE
    return any(one.get("kind") == SERVICE for one in made["spec"].get("parentRefs") or ())


def divided(routes: Iterable[Fields], old: str, new: str, percent: int) -> tuple[Fields, ...]:
    """Return routes that give the Pods in the slot ``new`` so many percent of the requests, those in ``old`` the rest.

    A slot that gets nothing is no destination: one without Pods would be an error for a proxy that has heard late.
    """
    shares = {slot: share for slot, share in ((old, ALL - percent), (new, percent)) if share}
    return tuple(
        _of_istio(each, shares) if each["kind"] == VIRTUAL_SERVICE else _of_linkerd(each, shares) for each in routes
    )


def _of_istio(made: Fields, shares: Mapping[str, int]) -> Fields:
    def rule(one: Mapping[str, Any]) -> dict[str, Any]:
        ((only),) = one["route"]
        host = only["destination"]["host"]
        destinations = [
            {"destination": {"host": host, "subset": slot}, "weight": share} for slot, share in shares.items()
        ]
        return {**one, "route": destinations}

    return {**made, "spec": {**made["spec"], "http": [rule(one) for one in made["spec"]["http"]]}}


def _of_linkerd(made: Fields, shares: Mapping[str, int]) -> Fields:
    def rule(one: Mapping[str, Any]) -> dict[str, Any]:
        (only,) = one["backendRefs"]
        name = only["name"]
        return {
            **one,
            "backendRefs": [
                {**only, "name": in_slot_name(name, slot), "weight": share} for slot, share in shares.items()
            ],
        }

    return {**made, "spec": {**made["spec"], "rules": [rule(one) for one in made["spec"]["rules"]]}}


def of_both(services: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return Services that lead to the Pods of both slots, and those of one slot as they are."""
    return tuple(each if is_of_one_slot(each) else _without_slot(each) for each in services)


def _without_slot(made: Fields) -> Fields:
    chosen = {key: value for key, value in made["spec"]["selector"].items() if key != SLOT}
    return {**made, "spec": {**made["spec"], "selector": chosen}}
