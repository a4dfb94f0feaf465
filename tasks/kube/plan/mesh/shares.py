"""Shares of a canary: the routes of a service divide its requests between the Pods of two slots.

While it lasts the Services of a service lead to the Pods of both, and a subset of its DestinationRule is one of them.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRouteDestination
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..part import Fields
from ..workloads.slots import SLOT

ROUTES, SERVICE = "VirtualService", "Service"
ALL = 100


def divided(routes: Iterable[Fields], old: str, new: str, percent: int) -> tuple[Fields, ...]:
    """Return routes that give the Pods in the slot ``new`` so many percent of the requests, those in ``old`` the rest.

    A slot that gets nothing is no destination: one without Pods would be an error for a proxy that has heard late.
    """
    shares = {old: ALL - percent, new: percent}

    def rule(made: Mapping[str, Any]) -> dict[str, Any]:
        ((only),) = made["route"]
        host = only["destination"]["host"]
        destinations = [
            {"destination": {"host": host, "subset": slot}, "weight": share} for slot, share in shares.items() if share
        ]
        return {**made, "route": destinations}

    return tuple(
        {**each, "spec": {**each["spec"], "http": [rule(one) for one in each["spec"]["http"]]}} for each in routes
    )


def of_both(services: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return Services that lead to the Pods of both slots."""
    return tuple(
        {**each, "spec": {**each["spec"], "selector": {k: v for k, v in each["spec"]["selector"].items() if k != SLOT}}}
        for each in services
    )
