"""Image sizes against their budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...model.engine.facts import Image, ImageLayer
from ...model.stack.stack import Service


@dataclass(frozen=True)
class SizeReport:
    """The size of an image, in bytes; ``budget`` is 0 for none, ``digest`` is "" for an image not built yet."""

    service: str
    target: str
    reference: str
    digest: str
    size: int
    budget: int
    layers: tuple[ImageLayer, ...]

    @property
    def over_budget(self) -> bool:
        """Whether the image is larger than the service's ``x-slipway.size-budget``."""
        return bool(self.budget) and self.size > self.budget

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "service": self.service,
            "target": self.target,
            "reference": self.reference,
            "digest": self.digest,
            "size": self.size,
            "budget": self.budget or None,
            "over_budget": self.over_budget,
            "layers": [{"instruction": layer.instruction, "size": layer.size} for layer in self.layers],
        }


def report(service: Service, image: Image | None, layers: Sequence[ImageLayer]) -> SizeReport:
    """Return the size report of a service's image."""
    return SizeReport(
        service=service.name,
        target=service.build.target if service.build else "",
        reference=service.image,
        digest=image.id if image else "",
        size=image.size if image else 0,
        budget=service.slipway.size_budget,
        layers=tuple(layers),
    )
