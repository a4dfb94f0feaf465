"""What Compose files say before variables are replaced: secrets that are written out, ports that are variables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..host.profile.compose_files import read_compose_files
from ..host.profile.extensions import parse_compose
from ..host.profile.settings import Settings
from ..model.errors import InputError
from ..model.lazy_pattern import lazy_pattern
from ..model.profile.redaction import is_secret_variable
from ..model.stack.layering import without_tags

_VARIABLE = lazy_pattern(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def services(names: Sequence[str], where: Settings) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the services of Compose files, those that they include and extend too, as they are written."""
    for text in read_compose_files([(name, "") for name in names], where, []):
        try:
            document = without_tags(parse_compose(text.text, text.shown))
        except InputError:
            continue  # Compose has read it
        found = document.get("services") if isinstance(document, dict) else None
        for name, service in found.items() if isinstance(found, dict) else ():
            if isinstance(service, dict):
                yield str(name), service


def secrets(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the secrets whose values a service writes out under `environment`."""
    environment = service.get("environment")
    if isinstance(environment, list):
        environment = dict(str(entry).split("=", 1) for entry in environment if "=" in str(entry))
    pairs = environment.items() if isinstance(environment, dict) else ()
    return tuple(
        str(key)
        for key, value in pairs
        if value is not None and "$" not in str(value).replace("$$", "") and is_secret_variable(str(key), str(value))
    )


def port_variable(service: Mapping[str, Any]) -> str:
    """Return the variable that sets the first published port of a service, "" when it is written out."""
    ports = service.get("ports")
    for entry in ports if isinstance(ports, list) else ():
        published = str(entry.get("published", "")) if isinstance(entry, dict) else str(entry).rpartition(":")[0]
        if match := _VARIABLE.search(published):
            return match[1]
    return ""
