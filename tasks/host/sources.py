"""Reads what images are made from: Dockerfiles, build contexts, base images."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..plan.build import Inputs, dockerfile_path, local_contexts
from ..plan.dockerfile import Dockerfile, parse
from ..plan.errors import InputError
from ..plan.ignore import Rule, match, rules
from ..plan.stack import Build, Service
from .engine import Engine

_LOCAL_IMAGE = "docker-image://"
_WHOLE = 4 * 2**20  # bytes; a larger file is known by its size and time of change


def inputs(services: Iterable[Service], engine: Engine) -> dict[str, Inputs]:
    """Return the inputs of each service that is built. A directory that several services share is read once."""
    digests: dict[tuple[str, str], str] = {}
    found = {}
    for service in services:
        build = service.recipe()
        dockerfile = _dockerfile(service.name, build)
        contexts = _contexts_digest(build, digests)
        if contexts:
            # The Dockerfile may lie outside of the context, where no walk over it comes by.
            contexts = hashlib.sha256(f"{contexts}\n{_dockerfile_digest(build)}".encode()).hexdigest()
        found[service.name] = Inputs(dockerfile, contexts, _bases(build, dockerfile, engine))
    return found


def _dockerfile(service: str, build: Build) -> Dockerfile:
    inline = build.extra.get("dockerfile_inline")
    path = dockerfile_path(build)
    if inline or not path:
        return parse(str(inline or ""), build.arguments)
    try:
        return parse(Path(path).read_text(encoding="utf-8"), build.arguments)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such Dockerfile (service {service})", "correct build.context or build.dockerfile"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file (service {service})", "name a Dockerfile") from None


def _dockerfile_digest(build: Build) -> str:
    path = dockerfile_path(build)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def _contexts_digest(build: Build, known: dict[tuple[str, str], str]) -> str:
    """Return one digest over all directories of a build; "" when one is not a directory on this machine."""
    if not build.context.startswith("/"):
        return ""
    remote = [value for value in build.contexts.values() if not value.startswith(("/", _LOCAL_IMAGE))]
    if remote:
        return ""
    parts = []
    for directory in local_contexts(build):
        key = (directory, build.dockerfile if directory == build.context else "")
        if key not in known:
            known[key] = _directory_digest(*key)
        parts.append(known[key])
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def context_files(directory: str, dockerfile: str) -> tuple[str, ...]:
    """Return the files and directories of a build context that BuildKit sees, sorted.

    BuildKit prefers ``<Dockerfile>.dockerignore`` to ``.dockerignore``. Raises InputError for no directory.
    """
    if not Path(directory).is_dir():
        raise InputError(f"{directory}: build context is not a directory", "correct build.context in the Compose file")
    patterns: tuple[Rule, ...] = ()
    for name in (*([f"{dockerfile}.dockerignore"] if dockerfile else []), ".dockerignore"):
        path = Path(directory, name)
        if path.is_file():
            patterns = rules(path.read_text(encoding="utf-8", errors="surrogateescape"))
            break
    return tuple(sorted({*_seen(directory, "", patterns, ()), *_always(directory, dockerfile)}))


def _always(directory: str, dockerfile: str) -> list[str]:
    inside = dockerfile and not dockerfile.startswith(("/", "../"))
    return [dockerfile] if inside and Path(directory, dockerfile).is_file() else []


def _seen(directory: str, below: str, patterns: tuple[Rule, ...], parent: tuple[bool, ...]) -> Iterator[str]:
    readmits = any(rule.readmits for rule in patterns)
    with os.scandir(Path(directory, below)) as entries:
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            left_out, hits = match(patterns, name, parent) if patterns else (False, ())
            inner = list(_seen(directory, name, patterns, hits)) if _inside(entry, left_out and not readmits) else []
            if not left_out or inner:
                yield name
            yield from inner


def _inside(entry: "os.DirEntry[str]", skip: bool) -> bool:
    return not skip and entry.is_dir(follow_symlinks=False)


def _directory_digest(directory: str, dockerfile: str) -> str:
    digest = hashlib.sha256()
    for name in context_files(directory, dockerfile):
        path = Path(directory, name)
        try:
            status = path.lstat()
            digest.update(f"{name}\0{status.st_mode:o}\0".encode(errors="surrogateescape"))
            if path.is_symlink():
                digest.update(os.fsencode(path.readlink()))
            elif path.is_file():
                large = status.st_size > _WHOLE
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode() if large else path.read_bytes())
        except FileNotFoundError:
            continue  # went away while we looked; the next look sees the same as BuildKit
        digest.update(b"\0")
    return digest.hexdigest()


def _bases(build: Build, dockerfile: Dockerfile, engine: Engine) -> dict[str, str]:
    """Return the content of each local base image; a base that only the registry has is known by its name."""
    bases = {}
    for name in dockerfile.all_images():
        mapped = build.contexts.get(name, name)
        image = engine.image(mapped.removeprefix(_LOCAL_IMAGE)) if not mapped.startswith("/") else None
        bases[name] = (image.content or image.id) if image else mapped
    return bases
