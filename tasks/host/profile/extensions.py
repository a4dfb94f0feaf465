"""Merges what several Compose files say under ``x-slipway``: to Compose a later file replaces the earlier ones."""

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...model.compose import build_files
from ...model.errors import InputError
from ...model.profile.profile import Profile
from ...model.stack.layering import EXTENSION_KEY, Override, Reset, Sections, merge, override, sections, without_tags
from .compose_files import ComposeText, read_compose_files
from .settings import Settings, yaml_error
from .yaml_text import FAULTS, MappingNode, ScalarNode, SequenceNode, load


def override_file(profile: Profile, where: Settings) -> str:
    """Return a Compose file with the merged ``x-slipway`` of all files; "" when a single file has it.

    Raises InputError for a file that cannot be parsed: its ``x-slipway`` would replace that of other files.
    """
    names = build_files(profile)
    compose_texts = read_compose_files([(name, "") for name in names], where, [])
    said = [compose_text for compose_text in compose_texts if EXTENSION_KEY in compose_text.text]
    if not said or (len(said) == 1 and "extends" not in said[0].text):
        return ""
    files = _Files(compose_texts)
    return override(dict(files.together(where.project_dir / name for name in names)))


class _Files:
    """All Compose files of an environment, those included and extended too, by path."""

    def __init__(self, compose_texts: Iterable[ComposeText]) -> None:
        self._known = {compose_text.path: _File(compose_text) for compose_text in compose_texts}

    def together(self, paths: Iterable[Path]) -> Iterator[tuple[str, Any]]:
        """Yield each service ("" for the top level) with settings in several places, and its merged settings."""
        order: list[_File] = []
        for path in paths:
            self._add(path, order)
        for owner in dict.fromkeys(owner for file in order for owner in file.owners):
            layers = [layer for file in order for layer in self._layers(file, owner)]
            if len(layers) > 1:  # only then the files are parsed
                values = [file.settings(name) for file, name in layers]
                value = functools.reduce(merge, values[1:], without_tags(values[0]))
                if isinstance(value, dict):
                    yield owner, value

    def _add(self, path: Path, order: list["_File"]) -> None:
        """Add a file in the order of Compose: after the files that it includes."""
        file = self._at(path)
        if file is None or file in order:
            return
        for target, kind in file.brings:
            if kind == "include":
                self._add(target, order)
        order.append(file)

    def _at(self, path: Path) -> "_File | None":
        return self._known.get(Path(os.path.normpath(path)))

    def _layers(
        self, file: "_File", owner: str, seen: tuple[tuple[Path, str], ...] = ()
    ) -> Iterator[tuple["_File", str]]:
        """Yield the file and service that say something, the extended service first."""
        if (file.path, owner) in seen:
            return  # Compose refuses the circle
        target = file.extended(owner) if owner else None
        name = target.get("file") if isinstance(target, dict) else None
        service = target.get("service") if isinstance(target, dict) else target
        other = self._at(file.path.parent / name) if isinstance(name, str) else file
        if other and isinstance(service, str):
            yield from self._layers(other, service, (*seen, (file.path, owner)))
        if file.speaks(owner):
            yield file, owner


class _File:
    """A Compose file of which only the needed sections are parsed."""

    def __init__(self, compose_text: ComposeText) -> None:
        self.path, self.shown = compose_text.path, compose_text.shown
        self.text, self.brings = compose_text.text, compose_text.brings
        self._sections: Sections | None = sections(compose_text.text)

    @functools.cached_property
    def owners(self) -> tuple[str, ...]:
        """The services that have ``x-slipway`` or ``extends`` in the file, "" for its top level."""
        if self._sections is not None:
            return tuple(dict.fromkeys((*self._sections.settings, *self._sections.extends)))
        marked = [name for name, service in self._services.items() if isinstance(service, Override | Reset)]
        said = [
            name
            for name, service in self._services.items()
            if isinstance(service, dict) and {EXTENSION_KEY, "extends"} & service.keys()
        ]
        return (*([""] if EXTENSION_KEY in self._document else []), *marked, *said)

    def speaks(self, owner: str) -> bool:
        """Whether the file has ``x-slipway`` settings of a service."""
        if self._sections is not None:
            return owner in self._sections.settings
        return self.settings(owner) is not None

    def settings(self, owner: str) -> Any:
        """Return the ``x-slipway`` settings of a service in the file, None when it has none."""
        if self._sections is not None:
            return self._section(self._sections.settings, owner, EXTENSION_KEY)
        if not owner:
            return self._document.get(EXTENSION_KEY)
        service = self._services.get(owner)
        if isinstance(service, Override):
            return Override(service.value.get(EXTENSION_KEY) if isinstance(service.value, dict) else None)
        return service.get(EXTENSION_KEY) if isinstance(service, dict) else service

    def extended(self, owner: str) -> Any:
        """Return the ``extends`` of a service in the file, None when it has none."""
        if self._sections is not None:
            return self._section(self._sections.extends, owner, "extends")
        service = without_tags(self._services.get(owner))
        return service.get("extends") if isinstance(service, dict) else None

    def _section(self, texts: Mapping[str, str], owner: str, key: str) -> Any:
        if owner not in texts:
            return None
        try:
            return parse_compose(texts[owner], self.shown)[key]
        except InputError:
            # Such as an alias of an anchor elsewhere: then the whole file is parsed.
            self._sections = None
            return self.settings(owner) if key == EXTENSION_KEY else self.extended(owner)

    @functools.cached_property
    def _document(self) -> Mapping[str, Any]:
        try:
            document = _untagged(parse_compose(self.text, self.shown))
        except InputError as error:
            raise InputError(
                f"{error.message}; what it says under {EXTENSION_KEY} would take the place of what other files say",
                error.hint,
            ) from None
        return document if isinstance(document, dict) else {}

    @property
    def _services(self) -> Mapping[str, Any]:
        services = self._document.get("services")
        return services if isinstance(services, dict) else {}


def _untagged(document: Any) -> Any:
    """Return a document without the tags at its top-level sections."""
    if not isinstance(document, dict):
        return document
    return {key: section.value if isinstance(section, Override) else section for key, section in document.items()}


def parse_compose(text: str, shown: str) -> Any:
    """Return a Compose file as data, Compose's tags included; raises InputError that names the line at fault."""
    try:
        return load(text, _as_compose)
    except FAULTS as error:
        raise yaml_error(error, shown, "fix the file") from None


@functools.cache
def _as_compose(loader: Any) -> Any:
    """Return a loader that reads a Compose file as Compose does.

    It knows Compose's tags, and reads a word such as ``on``, a date or ``22:30`` as text, unlike YAML 1.1.
    """

    class Loader(loader):  # type: ignore[misc]
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] in ("null", "merge")]
        for first, known in loader.yaml_implicit_resolvers.items()
    }

    def tagged(loader: Any, suffix: str, node: Any) -> Any:
        if suffix == "reset":
            return Reset()
        if isinstance(node, MappingNode):
            value = loader.construct_mapping(node, deep=True)
        elif isinstance(node, SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            tag = loader.resolve(ScalarNode, node.value, (not node.style, bool(node.style)))
            value = loader.construct_object(ScalarNode(tag, node.value))
        return Override(value) if suffix == "override" else value

    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))
    Loader.add_multi_constructor("!", tagged)
    return Loader
