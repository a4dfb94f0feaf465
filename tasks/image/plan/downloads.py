"""How much an image is to download, read from the manifests of its registry."""

import json
from typing import Any

from .registry import platform_digests

# Names that `docker info` uses, and those in manifests: https://github.com/opencontainers/image-spec
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def platform(info: dict[str, Any]) -> str:
    """Return the platform of an engine as manifests call it, such as ``linux/amd64``, from ``docker info``."""
    architecture = str(info.get("Architecture", ""))
    return f"{info.get('OSType', 'linux')}/{_ARCHITECTURES.get(architecture, architecture)}"


def download(manifest: str, wanted: str) -> tuple[int, str]:
    """Return the bytes of an image's compressed layers; or, for a list of platforms, 0 and the ``wanted`` one's digest.

    Returns (0, "") where the text is no manifest, or has no image of that platform.
    """
    try:
        layers = json.loads(manifest).get("layers")
        if layers is not None:
            return sum(int(layer["size"]) for layer in layers), ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, ""
    digests = platform_digests(manifest)
    alike = [digest for name, digest in digests.items() if name.rstrip("/") == wanted or name.startswith(f"{wanted}/")]
    return 0, alike[0] if alike else ""
