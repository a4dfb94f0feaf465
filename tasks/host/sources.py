"""Reads what images are made from: Dockerfiles, build contexts, base images."""

import functools
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..plan.bake import LINK
from ..plan.build import Inputs, dockerfile_path, local_contexts
from ..plan.copies import selection
from ..plan.dockerfile import Dockerfile, parse
from ..plan.errors import InputError
from ..plan.facts import Image
from ..plan.ignore import Rule, match, rules
from ..plan.stack import Build, Service
from .digests import Digests
from .engine import Engine

_LOCAL_IMAGE = "docker-image://"


def inputs(services: Iterable[Service], engine: Engine) -> dict[str, Inputs]:
    """Return the inputs of each service that is built. A directory that several services share is read once."""
    known, look = _Contexts(), functools.cache(engine.image)
    found = {}
    for service in services:
        build = service.recipe()
        dockerfile = _dockerfile(service.name, build)
        bases = {name: _base(name, build, look) for name in dockerfile.all_images()}
        whole = known.digest(build, None)
        taken = {stage.name: _taken(dockerfile, stage.name, bases) for stage in dockerfile.stages} if whole else {}
        stages = {name: known.digest(build, one) for name, one in taken.items() if one is not None}
        names = {name: (image.content or image.id) if image else mapped for name, (mapped, image) in bases.items()}
        found[service.name] = Inputs(dockerfile, whole, names, stages)
    known.files.keep()
    return found


def _taken(dockerfile: Dockerfile, stage: str, bases: Mapping[str, tuple[str, Image | None]]) -> tuple[str, ...] | None:
    """Return what a stage takes of its context, None for all: a base image may take more (``ONBUILD``)."""
    found = dockerfile.takes(stage)
    for name in dockerfile.images(stage):
        mapped, image = bases[name]
        if "onbuild" in mapped or mapped.startswith(LINK) or (image is not None and image.triggers):
            return None
        # One that only the registry has cannot be asked; where a stage copies itself, it need not be.
        if not found and image is None:
            return None
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


class _Contexts:
    """The directories that builds read."""

    def __init__(self) -> None:
        self.files = Digests()
        self._entries: dict[tuple[str, str], list[tuple[str, bytes, bool]]] = {}

    def digest(self, build: Build, taken: Sequence[str] | None) -> str:
        """Return one digest over all directories of a build and its Dockerfile, of the context over what is ``taken``.

        Where that is None it is over all of the context; "" when a part of a build is not on this machine.
        """
        if not build.context.startswith("/"):
            return ""
        if any(not value.startswith(("/", _LOCAL_IMAGE, LINK)) for value in build.contexts.values()):
            return ""
        main, *further = local_contexts(build)
        parts = [self._directory(main, build.dockerfile, taken), *(self._directory(one, "", None) for one in further)]
        together = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        # The Dockerfile may lie outside of the context, where no walk over it comes by.
        return hashlib.sha256(f"{together}\n{_dockerfile_digest(build)}".encode()).hexdigest()

    def _directory(self, directory: str, dockerfile: str, taken: Sequence[str] | None) -> str:
        key = (directory, dockerfile)
        if key not in self._entries:
            self._entries[key] = list(self._read(directory, dockerfile))
        wanted = selection(taken or ())
        entries = self._entries[key]
        if taken is not None and not any(link and wanted.leads(name) for name, _, link in entries):
            entries = [one for one in entries if wanted.takes(one[0])]
        return hashlib.sha256(b"".join(entry for _, entry, _ in entries)).hexdigest()

    def _read(self, directory: str, dockerfile: str) -> Iterator[tuple[str, bytes, bool]]:
        """Yield each path of a context, what stands for it, and whether it is a link."""
        for name in context_files(directory, dockerfile):
            path = Path(directory, name)
            try:
                status = path.lstat()
                entry = f"{name}\0{status.st_mode:o}\0".encode(errors="surrogateescape")
                if stat.S_ISLNK(status.st_mode):
                    entry += os.fsencode(path.readlink())
                elif stat.S_ISREG(status.st_mode):
                    entry += self.files.digest(path, status)
                yield name, entry + b"\0", stat.S_ISLNK(status.st_mode)
            except FileNotFoundError:
                continue  # went away while we looked; the next look sees the same as BuildKit


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


def _base(name: str, build: Build, look: Callable[[str], Image | None]) -> tuple[str, Image | None]:
    """Return what a base image is called here, and the image; none for one that only the registry has."""
    mapped = build.contexts.get(name, name)
    local = not mapped.startswith(("/", LINK))
    return mapped, look(mapped.removeprefix(_LOCAL_IMAGE)) if local else None
