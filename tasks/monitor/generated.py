"""Writes what of the monitoring's configuration is made from the stack: the build context ``generated``."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..model.errors import RefusedError
from .plan.configuration import files
from .plan.targets import Watched


def directory(project: Project) -> Path:
    """Return the directory of the context, in the user's cache: nothing is written into the checkout of a project."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway", "monitoring")
    return cache / project.stack.project


def write(project: Project, seen: Watched, rules: Mapping[str, str]) -> Path:
    """Write the context, exactly what belongs into it, and return its directory.

    ``rules`` are those made for the stack, by the name of their file.
    """
    target, wanted = directory(project), files(seen, rules)
    try:
        _remove_others(target, wanted)
        for name, text in wanted.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                replace_text(path, text, 0o644)
    except OSError as error:
        raise RefusedError(
            f"{error.filename or target}: {error.strerror}: the configuration of the monitoring is written there",
            "make it writable, or set XDG_CACHE_HOME to a directory that is",
        ) from None
    return target


def _remove_others(target: Path, wanted: Mapping[str, str]) -> None:
    """Remove what an earlier run wrote and is not wanted any more, such as the rules of a service that is gone."""
    if not target.is_dir():
        return
    for path in sorted(target.rglob("*"), reverse=True):
        name = str(path.relative_to(target))
        if path.is_dir() and not any(other.startswith(f"{name}/") for other in wanted):
            shutil.rmtree(path)
        elif path.is_file() and name not in wanted:
            path.unlink()
