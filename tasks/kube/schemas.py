"""Judges objects by the schemas of the Kubernetes API, without a cluster."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..model.errors import RefusedError
from ..model.tools import version_numbers
from .plan.check import SCHEMA, ObjectFinding, name_of

_PACKAGE = "kubernetes_validate"
Fields = Mapping[str, Any]


def faults(objects: Iterable[Fields], server: str = "") -> tuple[ObjectFinding, ...]:
    """Return what objects have that their schemas forbid, a field that is not known included.

    ``server`` is the version of the cluster, "" for the newest that is known. A kind that the API of Kubernetes does
    not have, such as one of a CustomResourceDefinition, is left to the API server. Raises RefusedError when the schemas
    are not installed.
    """
    directory = _of_version(server)
    return tuple(finding for thing in objects for finding in _faults(thing, directory))


def version_used(server: str) -> str:
    """Return the version of the schemas that a cluster's objects are judged by."""
    return _of_version(server).name.removeprefix("v").partition("-")[0]


@cache
def _schemas() -> Path:
    found = find_spec(_PACKAGE)  # its data is wanted, not its code, which reads all definitions again for each object
    if found is None or not found.origin or find_spec("jsonschema") is None:
        raise RefusedError(
            "the schemas of Kubernetes are not installed", "start the task by ./inv: it installs requirements-kube.txt"
        )
    return Path(found.origin).parent / "kubernetes-json-schema"


def _of_version(server: str) -> Path:
    """Return the directory of the newest schemas that are not newer than the cluster."""
    known = sorted(_schemas().glob("v*-local-strict"), key=lambda path: version_numbers(path.name))
    wanted = version_numbers(server)[:2]
    fitting = [path for path in known if not wanted or version_numbers(path.name)[:2] <= wanted]
    return (fitting or known)[-1 if fitting else 0]


@cache
def _definitions(directory: Path) -> Any:
    from referencing import Registry, Resource

    content = Resource.from_contents(json.loads((directory / "_definitions.json").read_text("utf-8")))
    return (content @ Registry()).crawl()


@cache
def _validator(directory: Path, kind: str, version: str) -> Any:
    from jsonschema import Draft202012Validator

    # The group without its domain: rbac.authorization.k8s.io/v1 is rbac-v1
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", version)
    file = directory / f"{kind.lower()}-{group}.json"
    if not file.exists():
        return None
    schema = json.loads(file.read_text("utf-8"))
    from referencing import Resource

    registry = Resource.from_contents(schema) @ _definitions(directory)
    return Draft202012Validator(schema, registry=registry.crawl())


def _faults(thing: Fields, directory: Path) -> Iterator[ObjectFinding]:
    kind, version = str(thing.get("kind") or ""), str(thing.get("apiVersion") or "")
    if not kind or not version:
        yield ObjectFinding(SCHEMA, name_of(thing), "has no kind or no apiVersion")
        return
    validator = _validator(directory, kind, version)
    if validator is None:
        return
    for error in sorted(validator.iter_errors(thing), key=lambda error: [str(part) for part in error.absolute_path]):
        yield ObjectFinding(SCHEMA, name_of(thing), _short(error.message), _path(error.absolute_path))


def _path(parts: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _short(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:100]} … {message[-90:]}"
