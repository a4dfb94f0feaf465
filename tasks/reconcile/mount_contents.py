"""Reads the current content of secrets, configs and bind mounts and returns digests of it."""

import functools
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from ..host.project import Project
from ..host.runner import capture
from ..model.command import Command
from ..model.secret import reveal
from ..release import secret_key
from .plan.mounts import FILE, TEXT, Content, Reference

_DIGITS = 32


def digest(data: bytes, key: bytes = b"") -> str:
    """Return a digest of content; with a ``key`` an HMAC, so that a secret cannot be guessed from its digest."""
    hashed = hmac.new(key, data, hashlib.sha256) if key else hashlib.sha256(data)
    return hashed.hexdigest()[:_DIGITS]


def tree_digest(files: Mapping[str, bytes]) -> str:
    """Return a single digest of several files, names included."""
    hashed = hashlib.sha256()
    for name, data in sorted(files.items()):
        hashed.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
        hashed.update(data)
    return hashed.hexdigest()[:_DIGITS]


def place(path: str) -> str:
    """Return device and inode of a path, which a bind mount is bound to; "" when nothing is there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path as text, for many mounts
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}"


class Contents:
    """The contents of a project's references, each read only once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._local = project.engine.local()
        self._known: dict[tuple[str, str, bool, bool], Content] = {}
        self._values = {name: reveal(value) for name, value in project.profile.compose_env().items()}

    @functools.cached_property
    def _key(self) -> bytes:
        """The key for digests of the project's secrets; read from the engine only if there are secrets."""
        return secret_key.find(self._project)

    def of(self, reference: Reference) -> Content:
        """Return the content of a reference; an empty ``Content`` if it is on another machine."""
        key = (reference.held, reference.source, reference.secret, reference.writable)
        if key not in self._known:
            self._known[key] = self._look(reference)
        return self._known[key]

    def _look(self, reference: Reference) -> Content:
        key = self._key if reference.secret else b""
        if reference.held == TEXT:
            return Content(digest(reference.source.encode(), key))
        if reference.held != FILE:
            value = self._values.get(reference.source, os.environ.get(reference.source, ""))
            return Content(digest(value.encode(), key))
        return self.at(reference.source, reference) if self._local else Content()

    def digested(self, data: bytes, reference: Reference) -> str:
        """Return the digest of bytes that are the content of a reference."""
        return digest(data, self._key if reference.secret else b"")

    def at(self, path: str, reference: Reference) -> Content:
        """Return the content of a local file or directory for a reference."""
        where = Path(path)
        try:
            if where.is_file():
                return Content(self.digested(where.read_bytes(), reference), place(path))
            if where.is_dir():
                return Content(self._directory(where, reference), place(path), directory=True)
        except OSError:
            return Content(place=place(path))  # this user may not read it
        return Content(place=place(path))

    def _directory(self, path: Path, reference: Reference) -> str:
        """Return a digest of a directory inside the project, "" for a directory elsewhere or one that is read live.

        Of a directory that the container may write to only the files tracked by git count.
        """
        if not path.is_relative_to(self._project.cwd) or reference.live:
            return ""
        if not reference.writable:
            return tree_digest({name: _content(path / name) for name in _files(path)})
        tracked = capture(Command(("git", "-C", str(path), "ls-files", "-z", "."), env={"GIT_OPTIONAL_LOCKS": "0"}))
        names = [name for name in tracked.stdout.split("\0") if name] if tracked.exit_code == 0 else []
        return tree_digest({name: _content(path / name) for name in names}) if names else ""


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return f"-> {path.readlink()}".encode(errors="surrogateescape")
    return path.read_bytes() if path.is_file() else b""


def _files(directory: Path) -> list[str]:
    paths = []
    for base, directories, names in os.walk(directory):
        links = [name for name in directories if Path(base, name).is_symlink()]
        paths += [str(Path(base, name).relative_to(directory)) for name in (*names, *links)]
    return paths
