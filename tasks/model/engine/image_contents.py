"""The identity of an image apart from its name: a digest of its content, and the build inputs known to make it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..record import Record
from .facts import PROJECT_LABEL, SERVICE_LABEL

BUILDS_LABEL = "slipway.builds"
FILE = "builds.json"
_OURS = "slipway."
# "Image" is the parent of an image that the engine's former builder made.
_NOT_CONTENT = ("Image",)
_KEPT, _REFERENCES = 20, 500


def content_digest(inspected: Mapping[str, Any]) -> str:
    """Return a digest of an image's layers, platform and configuration, without the labels of Slipway and Compose.

    Times, names and ids are not part of it, so a build from other inputs may have the same digest.
    """
    config = dict(inspected.get("Config") or {})
    labels = config.pop("Labels", None) or {}
    # Builders differ in which empty keys they write.
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


class KnownInputs(Record):
    """An image, by id, and the fingerprints of build inputs that make it, the newest first."""

    image: str
    fingerprints: tuple[str, ...]


class Aliases(Record):
    """Build inputs, by image reference, whose build gave an image that existed already, from other inputs."""

    known: Mapping[str, KnownInputs] = field(default_factory=dict)

    def stand_for(self, reference: str, image: str, fingerprint: str) -> bool:
        """Whether the inputs with this fingerprint are known to make the image (an id) of a reference."""
        known = self.known.get(reference)
        return known is not None and known.image == image and fingerprint in known.fingerprints

    def adding(self, reference: str, image: str, fingerprint: str) -> "Aliases":
        """Return a copy with another fingerprint; those of an earlier image under that reference are dropped."""
        known = self.known.get(reference)
        earlier = known.fingerprints if known and known.image == image else ()
        prints = tuple(dict.fromkeys((fingerprint, *earlier)))[:_KEPT]
        others = {name: entry for name, entry in self.known.items() if name != reference}
        newest = list(({reference: KnownInputs(image, prints)} | others).items())[:_REFERENCES]
        return Aliases(dict(newest))

    def document(self) -> bytes:
        """Return the aliases as the JSON document that is stored."""
        images = {
            name: {"image": known.image, "fingerprints": known.fingerprints} for name, known in self.known.items()
        }
        return json.dumps({"schema": "slipway/builds/v1", "images": images}).encode()


NO_ALIASES = Aliases()


def aliases(document: bytes) -> Aliases:
    """Return the stored aliases; none when the document is not understood, which only costs a cached build."""
    try:
        images = json.loads(document)["images"]
        return Aliases(
            {name: KnownInputs(str(entry["image"]), tuple(entry["fingerprints"])) for name, entry in images.items()}
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return NO_ALIASES


def aliases_reference(project: str) -> tuple[str, str]:
    """Return the repository and the tag of the image that stores the aliases of a project on the engine."""
    return f"{project}-builds", "current"
