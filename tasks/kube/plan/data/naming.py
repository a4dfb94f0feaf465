"""Names of volumes in a Pod, of claims and of ConfigMaps: DNS labels that tell where they come from."""

import hashlib

from ....model.lazy_pattern import lazy_pattern
from ..names import LONGEST, label

_PLAIN_NAME = lazy_pattern(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_PLAIN_PATH = lazy_pattern(r"[a-z0-9/]*")


def digest(*parts: str | bytes) -> str:
    """Return ten hex digits that stand for the parts: other parts give others."""
    held = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        held.update(b"%d:%s" % (len(data), data))
    return held.hexdigest()[:10]


def of_name(name: str, prefix: str = "") -> str:
    """Return the DNS label for a name; two names never have the same one."""
    return _unique(name, prefix, _PLAIN_NAME.fullmatch(name) is not None)


def of_path(path: str, prefix: str) -> str:
    """Return the DNS label for a path in a container; two paths never have the same one."""
    return _unique(path, prefix, _PLAIN_PATH.fullmatch(path) is not None)


def _unique(text: str, prefix: str, plain: bool) -> str:
    made = label(f"{prefix}-{text.strip('/')}" if prefix else text)
    if plain and len(made) <= LONGEST:
        return made
    end = f"-{digest(text)}"
    return made[: LONGEST - len(end)].rstrip("-") + end
