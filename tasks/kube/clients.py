"""Finds the programs that speak to a cluster: the user's own, else those in Slipway's .venv."""

import contextlib
import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ..host.profile.text_files import replace_text
from ..host.runner import capture
from ..model.command import Command
from ..model.tools import version_numbers
from .plan.clients import VERSION, ClientFound, choose

_SECONDS = 20.0  # that a client has to print its version


@cache
def program(name: str) -> str:
    """Return the path of kubectl or helm; raises RefusedError when there is none that is new enough.

    The first one of the PATH is the user's own and comes first; one that is too old gives way to that of .venv.
    """
    return choose(name, found(name)).path


def _known_version(name: str, path: str) -> str:
    """Return the version of a client; that of a program which is the same file as before is kept in the user's cache.

    A script, as a version manager puts in the place of a program, is asked each time: what it starts may change.
    """
    file = Path(path).resolve()
    with file.open("rb") as stream:
        if stream.read(2) == b"#!":
            return _version(name, path)
    about = file.stat()
    mark = [about.st_mtime_ns, about.st_size]
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway", f"{name}.json")
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = dict(json.loads(store.read_bytes()))
    if (noted := known.get(str(file))) and noted[:2] == mark:
        return str(noted[2])
    version = _version(name, path)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        store.parent.mkdir(parents=True, exist_ok=True)
        replace_text(store, json.dumps({**known, str(file): [*mark, version]}), 0o644)
    return version


def found(name: str) -> tuple[ClientFound, ...]:
    """Return the clients of a name that are installed, with their versions."""
    places = (os.environ.get("PATH", ""), str(Path(sys.executable).parent))
    paths = dict.fromkeys(path for place in places if (path := shutil.which(name, path=place)))
    return tuple(ClientFound(path, _known_version(name, path)) for path in paths)


def _version(name: str, path: str) -> str:
    answer = capture(Command((path, *VERSION[name]), timeout=_SECONDS)).stdout
    numbers = version_numbers(answer.partition("gitVersion")[2] or answer)
    return ".".join(map(str, numbers))
