"""Finds the migrations that a job applies, in its build context and in the directories that it mounts."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..build.plan.build import local_contexts
from ..build.sources import context_files
from ..model.errors import SlipwayError
from ..model.stack.extension import JOBS
from ..model.stack.stack import Service
from ..release.plan.migrations import merged, name_of
from .plan.mounts import BIND, references

_DIGITS = 12
_MOST = 2000  # migrations that are noted of a job


def of(service: Service, model: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a job's migrations in the checkout, by name; none where it has none that can be told."""
    found = []
    for name, path in _found(service, model):
        try:
            found.append((name, hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]))
        except OSError:
            continue  # it is gone since it was listed, or this user may not read it
    return dict(list(merged(found).items())[-_MOST:])


def _found(service: Service, model: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each file of a migration."""
    build = service.build
    if build is not None and build.context.startswith("/"):
        for directory in local_contexts(build):
            for file in _context(directory, build.dockerfile if directory == build.context else ""):
                if name := name_of(f"{Path(directory).name}/{file}"):
                    yield name, Path(directory, file)
    for reference in references(model, service.name):
        if reference.kind == BIND and Path(reference.source).is_dir():
            for file in _below(reference.source):
                # Whatever a job mounts to apply migrations of is a directory of migrations, whatever it is called.
                if name := name_of(f"{JOBS[0]}/{file}"):
                    yield name, Path(reference.source, file)


def _context(directory: str, dockerfile: str) -> tuple[str, ...]:
    try:
        return context_files(directory, dockerfile)
    except (SlipwayError, OSError):
        return ()  # the build says what is wrong with its context


def _below(directory: str) -> Iterator[str]:
    for base, _, names in os.walk(directory):
        for name in names:
            yield Path(base, name).relative_to(directory).as_posix()
