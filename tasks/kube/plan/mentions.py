"""Where the texts of a project name hosts: variables, commands, checks, configuration."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

_LARGEST = 65_536  # bytes of a file that is looked into
# What goes on after the number is a tag, as in redis:7.2-alpine, and after a single slash it is one, as in shop/web:1.
_HOST_AND_PORT = lazy_pattern(r"(?<![\w.-])(?<![\w.-]/)([\w.-]+):(\d{1,5})(?![\w.-]*\w)")
_OF_IMAGES = lazy_pattern(r"IMAGE|TAG|VERSION", re.IGNORECASE)  # variables with names of images: postgres:17 is no port
_LAST_PORT = 65_535


class Mentions(Record):
    """The texts of a project, each with its key or path, and the ports that they name by host: number and key."""

    texts: tuple[tuple[str, str], ...] = ()
    ports: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)


def mentions(model: Mapping[str, Any], files: Mapping[str, bytes]) -> Mentions:
    """Return what the services of a model and ``files``, by path, say of hosts."""
    texts = tuple((*_of_model(model), *_of_files(files)))
    ports: dict[str, dict[tuple[int, str], None]] = {}
    for key, text in texts:
        if _OF_IMAGES.search(key.partition(".environment.")[2]):
            continue
        for host, number in _HOST_AND_PORT.findall(text):
            if 0 < int(number) <= _LAST_PORT:
                ports.setdefault(host, {})[int(number), key] = None
    return Mentions(texts, {host: tuple(found) for host, found in ports.items()})


def of_service(where: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a service in which another one can be named, each with its key."""
    for variable, value in sorted((raw.get("environment") or {}).items()):
        yield f"{where}.environment.{variable}", "" if value is None else str(value)
    for key in ("command", "entrypoint"):
        yield f"{where}.{key}", " ".join(str(word) for word in raw.get(key) or ())
    yield f"{where}.healthcheck.test", " ".join(str(word) for word in (raw.get("healthcheck") or {}).get("test") or ())
    for target in ((raw.get("x-slipway") or {}).get("load") or {}).get("targets") or ():
        yield f"{where}.x-slipway.load", str(target)


def _of_model(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, raw in (model.get("services") or {}).items():
        yield from of_service(f"services.{name}", raw)
    for name, entry in (model.get("configs") or {}).items():
        yield f"configs.{name}.content", str((entry or {}).get("content") or "")


def readable(content: bytes) -> str:
    """Return a file as text, "" for one that is no text or too large to be looked into."""
    return "" if len(content) > _LARGEST or b"\0" in content else content.decode(errors="replace")


def _of_files(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    return ((path, text) for path, content in files.items() if (text := readable(content)))
