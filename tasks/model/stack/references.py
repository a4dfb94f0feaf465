"""The other files that a Compose file names, and the variables that it passes by name alone.

The documents are parsed YAML: anchors, merge keys, quoted keys and flow style are resolved already.
https://docs.docker.com/reference/compose-file/
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..lazy_pattern import lazy_pattern
from ..record import Record

_NAME = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_REMOTE = lazy_pattern(r"[a-z]+://|git@|oci:|[^/]*\.git(?:#|\Z)")


class FileReference(Record):
    """A file that a Compose file names; variables in ``path`` are not replaced.

    ``kind`` is ``include``, ``extends`` or ``env_file``. ``own_env``: the ``include`` has an ``env_file``, from which
    the included files get their variables first.
    """

    kind: str
    path: str
    own_env: bool = False

    @property
    def remote(self) -> bool:
        """Whether it is an OCI or Git reference, which only Compose can read."""
        return _REMOTE.match(self.path) is not None


def references(document: Any) -> tuple[FileReference, ...]:
    """Return the files that a Compose file includes, extends, or names as ``env_file``."""
    return (*_included(document), *_extended(document), *_env_files(document))


def _included(document: Any) -> Iterator[FileReference]:
    for entry in _list(_mapping(document).get("include")):
        options = entry if isinstance(entry, Mapping) else {"path": entry}
        own = _list(options.get("env_file"))
        for path in _list(options.get("path")):
            if isinstance(path, str):
                yield FileReference("include", path, bool(own))
        yield from (FileReference("env_file", path) for path in own if isinstance(path, str))


def _extended(document: Any) -> Iterator[FileReference]:
    for service in _services(document):
        path = _mapping(service.get("extends")).get("file")
        if isinstance(path, str):
            yield FileReference("extends", path)


def _env_files(document: Any) -> Iterator[FileReference]:
    for service in _services(document):
        for entry in _list(service.get("env_file")):
            path = entry.get("path") if isinstance(entry, Mapping) else entry
            if isinstance(path, str):
                yield FileReference("env_file", path)


def passed(document: Any) -> frozenset[str]:
    """Return the variables that a Compose file passes by name alone, such as ``environment: [NAME]``."""
    names: set[str] = set()
    for service in _services(document):
        names.update(_valueless(service.get("environment")))
        names.update(_valueless(_mapping(service.get("build")).get("args")))
    for section in ("secrets", "configs"):
        for entry in _mapping(_mapping(document).get(section)).values():
            names.add(str(_mapping(entry).get("environment") or ""))
    return frozenset(name for name in names if _NAME.fullmatch(name))


def _valueless(variables: Any) -> Iterator[str]:
    if isinstance(variables, Mapping):
        yield from (str(name) for name, value in variables.items() if value is None)
    else:
        yield from (str(entry) for entry in _list(variables) if "=" not in str(entry))


def project_name(document: Any) -> str:
    """Return the top-level ``name:`` of a Compose file, with its variables; "" without one."""
    name = _mapping(document).get("name")
    return "" if name is None else str(name)


def normal_name(directory: str) -> str:
    """Return the project name that Compose derives from the name of a directory.

    https://docs.docker.com/compose/how-tos/project-name/
    """
    return re.sub(r"[^a-z0-9_-]", "", directory.lower()).lstrip("_-")


def _services(document: Any) -> Iterator[Mapping[str, Any]]:
    for service in _mapping(_mapping(document).get("services")).values():
        if isinstance(service, Mapping):
            yield service


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
