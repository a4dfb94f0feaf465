"""What the images of a stack say by themselves: their configuration, their users, whether they have a shell."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...host.engine.client import Engine
from ...host.engine.image_files import ImageFiles, inspected
from ...host.profile.text_files import replace_text
from ...model.engine.image_users import groups, runs_as, users
from ...model.reference import familiar, split_reference
from ..plan.source import ImageFacts

_MOST_FILES = 1000  # the engine is asked for each of them
_PASSWD, _GROUP, _SHELL = "/etc/passwd", "/etc/group", "/bin/sh"


def facts(engine: Engine, references: Iterable[str]) -> dict[str, ImageFacts]:
    """Return the facts of the images that the engine has, by reference; those of others are not known."""
    wanted = sorted(set(references))
    with engine.asking([partial(inspected, engine, reference) for reference in wanted]):
        raws = {reference: raw for reference in wanted if (raw := inspected(engine, reference)) is not None}
    files = {str(raw["Id"]): raw for raw in raws.values()}
    seen = {image: _files(engine, image) for image in files}
    return {reference: _facts(reference, raw, seen[str(raw["Id"])]) for reference, raw in raws.items()}


def copies(engine: Engine, reference: str, places: Mapping[str, Mapping[str, Path]]) -> frozenset[str]:
    """Return the paths at which an image of the engine has the same files as the project: ``places`` by path and name.

    A path without a file says nothing, and one with very many files is no source code.
    """
    asked = {target: files for target, files in places.items() if 0 < len(files) <= _MOST_FILES}
    if not asked or inspected(engine, reference) is None:
        return frozenset()
    with ImageFiles(engine, reference) as there:
        return frozenset(target for target, files in asked.items() if _same(there, target, files))


def _same(there: ImageFiles, target: str, files: Mapping[str, Path]) -> bool:
    for name, path in files.items():
        inside = f"{target.rstrip('/')}/{name}"
        if there.contents([inside]).get(inside) != path.read_bytes():
            return False
    return True


def pinned(reference: str, raw: Mapping[str, Any]) -> str:
    """Return an image's name by the digest that its registry gave to it; its name by tag when it was never there.

    A name that has a digest stays as it is: the same content may be known by several.
    """
    if "@" in reference:
        return reference
    repository = split_reference(reference)[0]
    names = (str(name).partition("@") for name in raw.get("RepoDigests") or ())
    digests = [digest for name, _, digest in names if familiar(name) == familiar(repository)]
    return f"{repository}@{digests[-1]}" if digests else reference


def _facts(reference: str, raw: Mapping[str, Any], files: Mapping[str, Any]) -> ImageFacts:
    config = raw.get("Config") or {}
    user = str(config.get("User") or "")
    known = users(files.get(_PASSWD, ""))
    who = runs_as(user, known, groups(files.get(_GROUP, "")))
    has: dict[str, Any] = {"shell": files.get(_SHELL)}  # whether there is one: nothing is given to it
    return ImageFacts(
        reference=pinned(reference, raw),
        user=user,
        uid=who.uid,
        gid=who.gid,
        ports=tuple(sorted(config.get("ExposedPorts") or ())),
        health=config.get("Healthcheck") or None,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        stop_signal=str(config.get("StopSignal") or ""),
        **has,
        volumes=tuple(sorted(config.get("Volumes") or ())),
        users=known,
    )


def _files(engine: Engine, image: str) -> dict[str, Any]:
    """Return the texts of the users and groups of an image, and whether it has a shell.

    An image with this id never changes, so what was seen is kept in the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway", "images")
    store = cache / f"{image.partition(':')[2]}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(store.read_bytes())
        if isinstance(known, dict) and isinstance(known.get(_SHELL), bool):
            return known
    with ImageFiles(engine, image) as files:
        contents = files.contents((_PASSWD, _GROUP))
        found: dict[str, Any] = {path: data.decode(errors="replace") for path, data in contents.items()}
        found[_SHELL] = files.has(_SHELL)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        store.parent.mkdir(parents=True, exist_ok=True)
        replace_text(store, json.dumps(found), 0o644)
    return found
