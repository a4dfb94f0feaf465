"""What an image is, whatever it is called: its content, and which inputs are known to make it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .facts import PROJECT_LABEL, SERVICE_LABEL

BUILDS_LABEL = "slipway.builds"
FILE = "builds.json"
_OURS = "slipway."
# The parent of an image that the engine's former builder made.
_NOT_CONTENT = ("Image",)
_KEPT, _REFERENCES = 20, 500


def content(inspected: Mapping[str, Any]) -> str:
    """Return a digest of what an image is: its layers, its platform, its configuration without labels of ours.

    Times, names and ids are no part of it, so a build from other inputs may make the same.
    """
    config = dict(inspected.get("Config") or {})
    labels = config.pop("Labels", None) or {}
    # Which of the empty ones are there depends on who made the image.
    data = {key: value for key, value in config.items() if value and key not in _NOT_CONTENT}
    data["Labels"] = {
        key: value
        for key, value in labels.items()
        if key not in (PROJECT_LABEL, SERVICE_LABEL) and not key.startswith(_OURS)
    }
    parts = {
        "layers": (inspected.get("RootFS") or {}).get("Layers") or [],
        "platform": [str(inspected.get(key) or "") for key in ("Os", "Architecture", "Variant")],
        "config": data,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Known:
    """An image, by id, and the fingerprints of inputs that make it, the newest first."""

    image: str
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Aliases:
    """What was found out by building: inputs whose image was there already, from other inputs, by reference."""

    known: Mapping[str, Known] = field(default_factory=dict)

    def stand_for(self, reference: str, image: str, fingerprint: str) -> bool:
        """Whether inputs make the image (an id) that a reference stands for."""
        found = self.known.get(reference)
        return found is not None and found.image == image and fingerprint in found.fingerprints

    def adding(self, reference: str, image: str, fingerprint: str) -> "Aliases":
        """Return the same with one more; what was known of another image under that reference is forgotten."""
        found = self.known.get(reference)
        earlier = found.fingerprints if found and found.image == image else ()
        prints = tuple(dict.fromkeys((fingerprint, *earlier)))[:_KEPT]
        others = {name: one for name, one in self.known.items() if name != reference}
        newest = list(({reference: Known(image, prints)} | others).items())[:_REFERENCES]
        return Aliases(dict(newest))

    def document(self) -> bytes:
        """Return the aliases as they are kept."""
        found = {name: {"image": one.image, "fingerprints": one.fingerprints} for name, one in self.known.items()}
        return json.dumps({"schema": "slipway/builds/v1", "images": found}).encode()


NO_ALIASES = Aliases()


def aliases(document: bytes) -> Aliases:
    """Return the aliases that were kept; none when they are not understood, which costs a build from the cache."""
    try:
        found = json.loads(document)["images"]
        return Aliases({name: Known(str(one["image"]), tuple(one["fingerprints"])) for name, one in found.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return NO_ALIASES


def kept_as(project: str) -> tuple[str, str]:
    """Return the repository and the tag under which the engine keeps the aliases of a project."""
    return f"{project}-builds", "current"
