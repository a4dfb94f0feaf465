"""What the YAML of a Compose file says about other files, and about variables that are passed by name alone.

The documents are plain data: anchors, merge keys, quoted keys and flow style are YAML's own business.
https://docs.docker.com/reference/compose-file/
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REMOTE = re.compile(r"[a-z]+://|git@|oci:|[^/]*\.git(?:#|\Z)")


@dataclass(frozen=True)
class Reference:
    """A file that a Compose file names, as it stands there: variables in ``path`` are not replaced.

    ``kind`` is ``include``, ``extends`` or ``env_file``. With ``env_file`` in an `include` the included files get
    their variables from there first: ``own_env``.
    """

    kind: str
    path: str
    own_env: bool = False

    @property
    def remote(self) -> bool:
        """Whether it is an OCI or Git reference, which only Compose can read."""
        return _REMOTE.match(self.path) is not None


def references(document: Any) -> tuple[Reference, ...]:
    """Return the files that a Compose file includes, extends, or reads variables of containers from."""
    return (*_included(document), *_extended(document), *_env_files(document))


def _included(document: Any) -> Iterator[Reference]:
    for entry in _list(_mapping(document).get("include")):
        options = entry if isinstance(entry, Mapping) else {"path": entry}
        own = _list(options.get("env_file"))
        for path in _list(options.get("path")):
            if isinstance(path, str):
                yield Reference("include", path, bool(own))
        yield from (Reference("env_file", path) for path in own if isinstance(path, str))


def _extended(document: Any) -> Iterator[Reference]:
    for service in _services(document):
        path = _mapping(service.get("extends")).get("file")
        if isinstance(path, str):
            yield Reference("extends", path)


def _env_files(document: Any) -> Iterator[Reference]:
    for service in _services(document):
        for entry in _list(service.get("env_file")):
            path = entry.get("path") if isinstance(entry, Mapping) else entry
            if isinstance(path, str):
                yield Reference("env_file", path)


def passed(document: Any) -> frozenset[str]:
    """Return the variables that a Compose file hands on by their name alone, such as ``environment: [NAME]``."""
    found: set[str] = set()
    for service in _services(document):
        found.update(_valueless(service.get("environment")))
        found.update(_valueless(_mapping(service.get("build")).get("args")))
    for section in ("secrets", "configs"):
        for entry in _mapping(_mapping(document).get(section)).values():
            found.add(str(_mapping(entry).get("environment") or ""))
    return frozenset(name for name in found if _NAME.fullmatch(name))


def _valueless(variables: Any) -> Iterator[str]:
    if isinstance(variables, Mapping):
        yield from (str(name) for name, value in variables.items() if value is None)
    else:
        yield from (str(entry) for entry in _list(variables) if "=" not in str(entry))


def project_name(document: Any) -> str:
    """Return the top-level ``name:`` of a Compose file as it stands there, "" without one."""
    name = _mapping(document).get("name")
    return "" if name is None else str(name)


def normal_name(directory: str) -> str:
    """Return the project name that Compose makes of the name of a directory.

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
