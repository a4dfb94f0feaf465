"""Reads what images are made from: Dockerfiles, build contexts, base images."""

import functools
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..host.engine.client import Engine
from ..host.project import Project
from ..model.engine.facts import Image
from ..model.errors import InputError
from ..model.stack.stack import Build, Service
from .digests import Digests
from .plan.bake import LINK
from .plan.build import dockerfile_path, local_contexts, selected
from .plan.copies import selection
from .plan.dockerfile import Dockerfile, parse
from .plan.dockerignore import Rule, match, rules
from .plan.inputs import Inputs

if TYPE_CHECKING:
    from .plan.ingredients import ContextFiles  # not needed to find out that nothing has changed

_LOCAL_IMAGE = "docker-image://"


def of_project(project: Project, services: Sequence[str] = ()) -> dict[str, Inputs]:
    """Return the inputs of the selected services, and of the services that they are built from, by service."""
    return inputs(selected(project.stack, services), project.engine)


def inputs(services: Iterable[Service], engine: Engine) -> dict[str, Inputs]:
    """Return the inputs of each service, by name. A directory that several services share is read once."""
    contexts, find_image = _Contexts(), functools.cache(engine.image)
    dockerfiles = [(service, _dockerfile(service.name, service.recipe())) for service in services]
    known: dict[str, dict[str, tuple[str, Image | None]]] = {}
    with engine.asking(
        partial(_base, name, service.recipe(), engine.image)
        for service, dockerfile in dockerfiles
        for name in dockerfile.all_images()
    ):
        for service, dockerfile in dockerfiles:
            known[service.name] = {name: _base(name, service.recipe(), find_image) for name in dockerfile.all_images()}
    result = {}
    for service, dockerfile in dockerfiles:
        build, bases = service.recipe(), known[service.name]
        whole = contexts.digest(build, None)
        names = {name: (image.content or image.id) if image else mapped for name, (mapped, image) in bases.items()}
        stages = _Stages(contexts, build, dockerfile, bases) if whole else {}
        result[service.name] = Inputs(dockerfile, whole, names, stages)
    contexts.files.keep()
    return result


class _Stages(Mapping[str, str]):
    """The digest of what each stage takes of the contexts, by name: put together when it is asked for.

    Of a Dockerfile's stages few are built at a time. All files were read for the digest of the whole context.
    """

    def __init__(
        self, contexts: "_Contexts", build: Build, dockerfile: Dockerfile, bases: Mapping[str, tuple[str, Image | None]]
    ) -> None:
        self._contexts, self._build, self._dockerfile, self._bases = contexts, build, dockerfile, bases
        self._known: dict[str, str] = {}

    def __getitem__(self, stage: str) -> str:
        if stage not in self._known:
            paths = _taken(self._dockerfile, stage, self._bases)
            if paths is None:  # it may take all
                raise KeyError(stage)
            self._known[stage] = self._contexts.digest(self._build, paths)
        return self._known[stage]

    def __iter__(self) -> Iterator[str]:
        names = (stage.name for stage in self._dockerfile.stages)
        return (name for name in names if _taken(self._dockerfile, name, self._bases) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def context_files_of(services: Iterable[Service], engine: Engine) -> "dict[str, ContextFiles]":
    """Return the files that each service's image is made from, by name; empty where they are not on this machine."""
    from .plan.ingredients import ContextFiles

    contexts, find_image = _Contexts(), functools.cache(engine.image)
    result = {}
    for service in services:
        build = service.recipe()
        if not contexts.known(build):
            result[service.name] = ContextFiles()
            continue
        dockerfile = _dockerfile(service.name, build)
        bases = {name: _base(name, build, find_image) for name in dockerfile.all_images()}
        taken = {stage.name: _taken(dockerfile, stage.name, bases) for stage in dockerfile.stages}
        result[service.name] = contexts.listed(build, taken)
    contexts.files.keep()
    return result


def _taken(dockerfile: Dockerfile, stage: str, bases: Mapping[str, tuple[str, Image | None]]) -> tuple[str, ...] | None:
    """Return the paths that a stage takes of its context, None for all: a base image may take more (``ONBUILD``)."""
    paths = dockerfile.takes(stage)
    for name in dockerfile.images(stage):
        mapped, image = bases[name]
        if "onbuild" in mapped or mapped.startswith(LINK) or (image is not None and image.triggers):
            return None
        # A base image that only the registry has may copy files; assumed so when the stage itself copies none.
        if not paths and image is None:
            return None
    return paths


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


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class _Contexts:
    """The directories that builds read."""

    def __init__(self) -> None:
        self.files = Digests()
        self._entries: dict[tuple[str, str], list[tuple[str, bytes, bool]]] = {}
        self._dockerfiles: dict[str, str] = {}

    def known(self, build: Build) -> bool:
        """Whether all directories of a build are on this machine."""
        further = build.contexts.values()
        return build.context.startswith("/") and all(name.startswith(("/", _LOCAL_IMAGE, LINK)) for name in further)

    def listed(self, build: Build, taken: Mapping[str, tuple[str, ...] | None]) -> "ContextFiles":
        """Return the digests of the files of a build's directories."""
        from .plan.ingredients import ContextFiles

        main = self._all(build.context, build.dockerfile)
        further = {
            f"{context}:{name}": _digest(content)
            for context, directory in build.contexts.items()
            if directory.startswith("/")
            for name, content, _ in self._all(directory, "")
        }
        if dockerfile := self._dockerfile(build):  # it goes in whether a stage copies it or not
            further[build.dockerfile] = dockerfile[:16]
        links = frozenset(name for name, _, link in main if link)
        return ContextFiles({name: _digest(content) for name, content, _ in main}, links, further, taken)

    def digest(self, build: Build, taken: Sequence[str] | None) -> str:
        """Return a digest over the Dockerfile and all directories of a build, of its context over the ``taken`` paths.

        None stands for all of the context. Returns "" when a part of the build is not on this machine.
        """
        if not self.known(build):
            return ""
        main, *further = local_contexts(build)
        parts = [
            self._directory(main, build.dockerfile, taken),
            *(self._directory(directory, "", None) for directory in further),
        ]
        together = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        # The Dockerfile may lie outside of the context, and is then not among its files.
        return hashlib.sha256(f"{together}\n{self._dockerfile(build)}".encode()).hexdigest()

    def _dockerfile(self, build: Build) -> str:
        path = dockerfile_path(build)
        if path not in self._dockerfiles:
            self._dockerfiles[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
        return self._dockerfiles[path]

    def _directory(self, directory: str, dockerfile: str, taken: Sequence[str] | None) -> str:
        wanted, entries = selection(taken or ()), self._all(directory, dockerfile)
        if taken is not None and not any(link and wanted.leads(name) for name, _, link in entries):
            entries = [entry for entry in entries if wanted.takes(entry[0])]
        return hashlib.sha256(b"".join(content for _, content, _ in entries)).hexdigest()

    def _all(self, directory: str, dockerfile: str) -> list[tuple[str, bytes, bool]]:
        key = (directory, dockerfile)
        if key not in self._entries:
            self._entries[key] = list(self._read(directory, dockerfile))
        return self._entries[key]

    def _read(self, directory: str, dockerfile: str) -> Iterator[tuple[str, bytes, bool]]:
        """Yield each path of a context, the bytes that stand for it in the digest, and whether it is a link."""
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
                continue  # removed since it was listed: BuildKit will not see it either


def context_files(directory: str, dockerfile: str) -> tuple[str, ...]:
    """Return the files and directories of a build context that BuildKit sees, sorted.

    BuildKit prefers ``<Dockerfile>.dockerignore`` to ``.dockerignore``. Raises InputError without such a directory.
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


def _base(name: str, build: Build, find_image: Callable[[str], Image | None]) -> tuple[str, Image | None]:
    """Return a base image's name after named contexts are applied, and the image, None if the engine has not got it."""
    mapped = build.contexts.get(name, name)
    local = not mapped.startswith(("/", LINK))
    return mapped, find_image(mapped.removeprefix(_LOCAL_IMAGE)) if local else None
