"""What the things that services refer to stand for now: digests of their content."""

import functools
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from ..plan.command import Command
from ..plan.mounts import FILE, TEXT, Content, Reference
from ..plan.secret import reveal
from . import secret_key
from .project import Project
from .runner import capture

_DIGITS = 32


def digest(data: bytes, key: bytes = b"") -> str:
    """Return a digest of content; a keyed one of a secret's, which nobody can try out."""
    made = hmac.new(key, data, hashlib.sha256) if key else hashlib.sha256(data)
    return made.hexdigest()[:_DIGITS]


def tree_digest(files: Mapping[str, bytes]) -> str:
    """Return one digest over files by their names."""
    made = hashlib.sha256()
    for name, data in sorted(files.items()):
        made.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
        made.update(data)
    return made.hexdigest()[:_DIGITS]


def place(path: str) -> str:
    """Return what a bind mount of a path is bound to, "" when nothing is there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path as text, for many mounts
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


class Contents:
    """The contents of references of one project, each read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._local = project.engine.local()
        self._known: dict[tuple[str, str, bool, bool], Content] = {}
        self._values = {name: reveal(one) for name, one in project.profile.compose_env().items()}

    @functools.cached_property
    def _key(self) -> bytes:
        """The key of the project's fingerprints of secrets; who has no secrets need not ask for it."""
        return secret_key.find(self._project)

    def of(self, reference: Reference) -> Content:
        """Return what a reference stands for; an empty one where that cannot be known from here."""
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
        """Return the digest of what was read as a reference's content."""
        return digest(data, self._key if reference.secret else b"")

    def at(self, path: str, reference: Reference) -> Content:
        """Return the content of a file or directory of this machine, as a reference takes it."""
        where = Path(path)
        try:
            if where.is_file():
                return Content(self.digested(where.read_bytes(), reference), place(path))
            if where.is_dir():
                return Content(self._directory(where, reference), place(path))
        except OSError:
            return Content(place=place(path))  # it cannot be read from here: who may, is not known
        return Content(place=place(path))

    def _directory(self, path: Path, reference: Reference) -> str:
        """Return a digest of a directory that is part of the project, "" of any other: it is there, which is all.

        What a container may write into changes without anybody's doing: only what git tracks of it counts.
        """
        if not path.is_relative_to(self._project.cwd) or reference.live:
            return ""
        if not reference.writable:
            return tree_digest({name: _content(path / name) for name in _files(path)})
        listed = capture(Command(("git", "-C", str(path), "ls-files", "-z", "."), env={"GIT_OPTIONAL_LOCKS": "0"}))
        names = [name for name in listed.stdout.split("\0") if name] if listed.exit_code == 0 else []
        return tree_digest({name: _content(path / name) for name in names}) if names else ""


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return f"-> {path.readlink()}".encode(errors="surrogateescape")
    return path.read_bytes() if path.is_file() else b""


def _files(directory: Path) -> list[str]:
    found = []
    for base, directories, names in os.walk(directory):
        links = [name for name in directories if Path(base, name).is_symlink()]
        found += [str(Path(base, name).relative_to(directory)) for name in (*names, *links)]
    return found
