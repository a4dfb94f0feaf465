"""The key of a project's fingerprints of secrets: it stays on the engine, and goes into no registry."""

import functools
import secrets as random

from ..plan.errors import SlipwayError
from .project import Project

KEY_LABEL = "slipway.key"
_TAG, _FILE, _BYTES = "current", "key", 32


def key(project: Project) -> bytes:
    """Return the key, which is made when there is none: for whoever records a release, under the lock."""
    known = find(project)
    if known:
        return known
    made = random.token_bytes(_BYTES)
    name = project.stack.project
    project.engine.keep(f"{name}-key", _TAG, {_FILE: made}, {KEY_LABEL: name})
    return made


def find(project: Project) -> bytes:
    """Return the key, b"" without one: for whoever only looks."""
    try:
        return _kept(project)
    except LookupError:
        return b""


@functools.lru_cache(maxsize=8)
def _kept(project: Project) -> bytes:
    reference = f"{project.stack.project}-key:{_TAG}"
    if project.engine.image(reference) is None:
        raise LookupError(reference)  # what is raised is asked again: the key may be made in between
    found = project.engine.kept_file(reference, f"/{_FILE}")
    if len(found) != _BYTES:
        raise SlipwayError(f"{reference} holds no key of this project", f"docker image rm {reference}")
    return found
