"""A digest of the code of these tasks."""

import hashlib
from pathlib import Path


def code_digest() -> str:
    """Return a digest of our own code, for caches: changed code may give other results."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]
