"""The key with which a project's secrets are fingerprinted: it stays on the engine, and is never pushed."""

import functools
from collections.abc import Callable
from secrets import token_bytes

from ..host.project import Project
from ..model.errors import SlipwayError

KEY_LABEL = "slipway.key"
_TAG, _FILE, _BYTES = "current", "key", 32


def key(project: Project) -> bytes:
    """Return the key, made when there is none: only for recording a release, under the lock."""
    existing = find(project)
    if existing:
        return existing
    new_key = token_bytes(_BYTES)
    name = project.stack.project
    project.engine.data.keep(f"{name}-key", _TAG, {_FILE: new_key}, {KEY_LABEL: name})
    return new_key


def find(project: Project) -> bytes:
    """Return the key, b"" when there is none; makes none."""
    try:
        return _kept(project)
    except LookupError:
        return b""


def questions(project: Project) -> tuple[Callable[[], object], ...]:
    """Return what ``find`` asks the engine, for ``Engine.asking``."""
    engine, reference = project.engine, _reference(project)
    return (lambda: engine.image(reference), lambda: engine.data.file(reference, _FILE))


def _reference(project: Project) -> str:
    return f"{project.stack.project}-key:{_TAG}"


@functools.lru_cache(maxsize=8)
def _kept(project: Project) -> bytes:
    reference = _reference(project)
    if project.engine.image(reference) is None:
        raise LookupError(reference)  # not cached, unlike a result: the key may be made meanwhile
    content = project.engine.data.file(reference, f"/{_FILE}")
    if len(content) != _BYTES:
        raise SlipwayError(f"{reference} contains no key of this project", f"docker image rm {reference}")
    return content
