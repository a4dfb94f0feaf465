"""Digests of files' contents. A large file that has not changed for a while is not read a second time."""

import contextlib
import hashlib
import json
import os
import secrets
import time
from pathlib import Path

_LARGE = 4 * 2**20  # bytes
# A file that was changed just before it was read may change again within one tick of its times, and one that is mapped
# into memory gets its time when the kernel writes it back.
_RESTED = 60 * 10**9  # nanoseconds
_KEPT = 1000
_CHUNK = 2**20


class Digests:
    """Reads files; keeps the digests of large ones in the user's cache, never in the checkout."""

    def __init__(self, store: Path | None = None) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway")
        self._store = store or cache / "sources.json"
        self._known: dict[str, str] | None = None  # loaded with the first large file
        self._fresh: dict[str, str] = {}
        self._read: dict[str, bytes] = {}

    def digest(self, path: Path, status: os.stat_result) -> bytes:
        """Return the digest of a file's content; ``status`` is what ``lstat`` has just returned for it."""
        name = str(path)
        if name not in self._read:
            large = status.st_size > _LARGE
            self._read[name] = self._large(path, status) if large else hashlib.sha256(path.read_bytes()).digest()
        return self._read[name]

    def _large(self, path: Path, status: os.stat_result) -> bytes:
        if self._known is None:
            self._known = self._load()
        key = _key(status)
        if cached := self._known.get(key):
            self._fresh[key] = cached
            return bytes.fromhex(cached)
        began = time.time_ns()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        # Every change of content sets the time of change of the inode, which no program can set back.
        if key == _key(path.lstat()) and status.st_ctime_ns < began - _RESTED:
            self._fresh[key] = digest.hexdigest()
        return digest.digest()

    def _load(self) -> dict[str, str]:
        try:
            entries = json.loads(self._store.read_bytes())
            return {str(key): str(value) for key, value in entries.items() if len(bytes.fromhex(value)) == 32}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self) -> None:
        """Save the digests for the next run; where they cannot be saved, files are read again."""
        if not set(self._fresh) - set(self._known or {}):
            return
        newest = dict(list({**self._fresh, **(self._known or {})}.items())[:_KEPT])
        fresh = self._store.with_name(f".{self._store.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(newest), encoding="utf-8")
            fresh.replace(self._store)


def _key(status: os.stat_result) -> str:
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
