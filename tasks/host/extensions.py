"""Reads what several Compose files say under ``x-slipway``, so that a later one does not take the earlier ones away."""

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..plan.compose import build_files
from ..plan.errors import InputError
from ..plan.layering import WORD, Override, Reset, Sections, merge, override, plain, sections
from ..plan.profile import Profile
from .compose_files import ComposeText, read_compose
from .files import Settings, not_yaml


def override_file(profile: Profile, where: Settings) -> str:
    """Return the Compose file that says under ``x-slipway`` what all files say together; "" when one alone speaks.

    Raises InputError for a file that cannot be parsed: what it says would take the place of what others say.
    """
    names = build_files(profile)
    found = read_compose([(name, "") for name in names], where, [])
    said = [one for one in found if WORD in one.text]
    if not said or (len(said) == 1 and "extends" not in said[0].text):
        return ""
    files = _Files(found)
    return override(dict(files.together(where.project_dir / name for name in names)))


class _Files:
    """All Compose files of an environment, those included and extended too, by path."""

    def __init__(self, found: Iterable[ComposeText]) -> None:
        self._known = {one.path: _File(one) for one in found}

    def together(self, paths: Iterable[Path]) -> Iterator[tuple[str, Any]]:
        """Yield what is said by more than one file, or of a service that extends another; "" for the top level."""
        order: list[_File] = []
        for path in paths:
            self._add(path, order)
        for owner in dict.fromkeys(owner for file in order for owner in file.owners):
            layers = [one for file in order for one in self._layers(file, owner)]
            if len(layers) > 1:  # only then are they parsed
                values = [file.settings(name) for file, name in layers]
                value = functools.reduce(merge, values[1:], plain(values[0]))
                if isinstance(value, dict):
                    yield owner, value

    def _add(self, path: Path, order: list["_File"]) -> None:
        """Add a file where Compose takes it: after what it includes."""
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
        """Yield where a file speaks of a service, after where the service that it extends is spoken of."""
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
    """A Compose file, of which no more is parsed than is asked for."""

    def __init__(self, found: ComposeText) -> None:
        self.path, self.shown, self.text, self.brings = found.path, found.shown, found.text, found.brings
        self._sections: Sections | None = sections(found.text)

    @functools.cached_property
    def owners(self) -> tuple[str, ...]:
        """The services that the file says or extends something of, "" for its top level."""
        if self._sections is not None:
            return tuple(dict.fromkeys((*self._sections.settings, *self._sections.extends)))
        marked = [name for name, one in self._services.items() if isinstance(one, Override | Reset)]
        said = [
            name for name, one in self._services.items() if isinstance(one, dict) and {WORD, "extends"} & one.keys()
        ]
        return (*([""] if WORD in self._document else []), *marked, *said)

    def speaks(self, owner: str) -> bool:
        """Whether the file says something of a service to Slipway."""
        if self._sections is not None:
            return owner in self._sections.settings
        return self.settings(owner) is not None

    def settings(self, owner: str) -> Any:
        """Return what the file says of a service, None for nothing."""
        if self._sections is not None:
            return self._section(self._sections.settings, owner, WORD)
        if not owner:
            return self._document.get(WORD)
        service = self._services.get(owner)
        if isinstance(service, Override):
            return Override(service.value.get(WORD) if isinstance(service.value, dict) else None)
        return service.get(WORD) if isinstance(service, dict) else service

    def extended(self, owner: str) -> Any:
        """Return what the file says of whom a service extends, None for nothing."""
        if self._sections is not None:
            return self._section(self._sections.extends, owner, "extends")
        service = plain(self._services.get(owner))
        return service.get("extends") if isinstance(service, dict) else None

    def _section(self, texts: Mapping[str, str], owner: str, key: str) -> Any:
        if owner not in texts:
            return None
        try:
            return parse_compose(texts[owner], self.shown)[key]
        except InputError:
            # Such as an alias of what stands elsewhere: then the whole file is parsed.
            self._sections = None
            return self.settings(owner) if key == WORD else self.extended(owner)

    @functools.cached_property
    def _document(self) -> Mapping[str, Any]:
        try:
            found = _untagged(parse_compose(self.text, self.shown))
        except InputError as error:
            raise InputError(
                f"{error.message}; what it says under {WORD} would take the place of what other files say", error.hint
            ) from None
        return found if isinstance(found, dict) else {}

    @property
    def _services(self) -> Mapping[str, Any]:
        found = self._document.get("services")
        return found if isinstance(found, dict) else {}


def _untagged(document: Any) -> Any:
    """Return a document with its sections, some of which may be tagged as a whole."""
    if not isinstance(document, dict):
        return document
    return {key: one.value if isinstance(one, Override) else one for key, one in document.items()}


def parse_compose(text: str, shown: str) -> Any:
    """Return a Compose file as data, Compose's tags included; raises InputError that names the line at fault."""
    from invoke.util import yaml  # the one that Invoke has loaded already

    try:
        return yaml.load(text, Loader=_loader())  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise not_yaml(error, shown, "mend the file") from None


@functools.cache
def _loader() -> Any:
    """Return the YAML loader that reads a Compose file as Compose does.

    It knows Compose's tags, and takes a word such as ``on``, a date or ``22:30`` for text: YAML 1.1 would not.
    """
    from invoke.util import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] in ("null", "merge")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def tagged(loader: Any, suffix: str, node: Any) -> Any:
        if suffix == "reset":
            return Reset()
        if isinstance(node, yaml.MappingNode):
            value = loader.construct_mapping(node, deep=True)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            tag = loader.resolve(yaml.ScalarNode, node.value, (node.style is None, node.style is not None))
            value = loader.construct_object(yaml.ScalarNode(tag, node.value))  # type: ignore[no-untyped-call]
        return Override(value) if suffix == "override" else value

    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))  # type: ignore[no-untyped-call]
    Loader.add_multi_constructor("!", tagged)  # type: ignore[no-untyped-call]
    return Loader
