"""Sources of translations for the tests of what faces outward: names, images, confinement, limits, network."""

from collections.abc import Mapping
from typing import Any

from support import stack

from tasks.kube.plan.outcome import KeyOutcome
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import ImageFacts, KubeSettings, KubeSource


def source(
    services: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, ImageFacts] | None = None,
    settings: KubeSettings | None = None,
    **top: Any,
) -> KubeSource:
    """Return the source of project ``shop`` with services as ``docker compose config --format json`` prints them."""
    completed = {name: {"image": f"registry.example.com/{name}", **fields} for name, fields in services.items()}
    model = {"name": "shop", "services": completed, **top}
    return KubeSource(
        model, stack(completed, "shop", **top), images=images or {}, settings=settings or KubeSettings(namespace="shop")
    )


def by_key(part: Part) -> dict[str, KeyOutcome]:
    """Return the outcomes of a part by key without ``services.NAME.``; the keys have to be different."""
    found = {outcome.key.split(".", 2)[2]: outcome for outcome in part.outcomes}
    assert len(found) == len(part.outcomes)
    return found
