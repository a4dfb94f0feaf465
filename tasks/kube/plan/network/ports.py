"""At which ports a service listens, and under which names others know it, as far as its project says so."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record
from ....model.stack.stack import Service
from ..names import label
from ..source import KubeSource

_LONGEST_NAME = 15  # https://kubernetes.io/docs/concepts/services-networking/service/#multi-port-services, RFC 6335
# https://kubernetes.io/docs/concepts/services-networking/service/#application-protocol
_APPLICATION = lazy_pattern(r"(?:[a-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LOOPBACK = lazy_pattern(r"127\.|::1$|\[::1\]$")


class ContainerPort(Record):
    """A port at which a container listens. ``open``: it is published to more than the machine that runs it.

    ``reason`` says who told of it where the Compose file does not declare it; ``named`` is the name that it has there.
    """

    number: int
    protocol: str = "tcp"
    named: str = ""
    application: str = ""
    open: bool = False
    reason: str = ""


def container_ports(source: KubeSource, service: Service) -> tuple[ContainerPort, ...]:
    """Return the ports at which a service is known to listen, by number: declared, of its image, and named by others.

    A port that is declared twice is there once for each protocol.
    """
    raw, found = source.raw(service.name), dict[tuple[int, str], ContainerPort]()
    told = (*_published(raw), *_exposed(raw), *_of_image(source, service), *_of_extension(service))
    for port in (*told, *_of_references(source, service)):
        before = found.get((port.number, port.protocol))
        if before is None or (port.open and not before.open):
            found[port.number, port.protocol] = port
    return tuple(found[key] for key in sorted(found))


def names_of(source: KubeSource, service: Service) -> tuple[str, ...]:
    """Return the names by which other services know a service: its own, aliases, links, its container's."""
    raw = source.raw(service.name)
    aliases = [alias for entry in (raw.get("networks") or {}).values() for alias in (entry or {}).get("aliases") or ()]
    links = [alias for _, alias in linked(source, service)]
    return tuple(dict.fromkeys([service.name, *aliases, *links, *filter(None, [service.container_name])]))


def linked(source: KubeSource, service: Service) -> tuple[tuple[str, str], ...]:
    """Return each link to a service, as the service that has it and the name that it uses."""
    return tuple(source.once(_links).get(service.name, ()))


def _links(source: KubeSource) -> dict[str, list[tuple[str, str]]]:
    """Return all links by the service that they lead to."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in source.stack.services:
        for link in source.raw(name).get("links") or ():
            target, _, alias = str(link).partition(":")
            found.setdefault(target, []).append((name, alias or target))
    return found


def port_names(ports: Iterable[ContainerPort]) -> list[str]:
    """Return a name for each port, all different and of at most 15 characters: ``tcp-8080``, ``dns-udp``."""
    found: list[str] = []
    chosen = [(port, _cleaned(port.named)) for port in ports]
    often = [name for _, name in chosen]
    for port, name in chosen:
        if name and often.count(name) > 1:
            name = f"{name[: _LONGEST_NAME - len(port.protocol) - 1].rstrip('-')}-{port.protocol}"
        found.append(name if name and name not in found else f"{port.protocol}-{port.number}")
    return found


def _cleaned(name: str) -> str:
    cleaned = re.sub(r"-+", "-", label(name))[:_LONGEST_NAME].rstrip("-") if name else ""
    return cleaned if re.search("[a-z]", cleaned) else ""


def _published(raw: Mapping[str, Any]) -> Iterator[ContainerPort]:
    for entry in raw.get("ports") or ():
        yield ContainerPort(
            int(entry["target"]),
            str(entry.get("protocol") or "tcp"),
            str(entry.get("name") or ""),
            application if _APPLICATION.fullmatch(application := str(entry.get("app_protocol") or "")) else "",
            open=not _LOOPBACK.match(str(entry.get("host_ip") or "")),
        )


def _exposed(raw: Mapping[str, Any]) -> Iterator[ContainerPort]:
    return (port for entry in raw.get("expose") or () for port in _range(str(entry), ""))


def _of_image(source: KubeSource, service: Service) -> Iterator[ContainerPort]:
    return (port for entry in source.image(service.name).ports for port in _range(entry, "its image says so"))


def _of_extension(service: Service) -> Iterator[ContainerPort]:
    if service.slipway.metrics and service.slipway.metrics.port:
        yield ContainerPort(service.slipway.metrics.port, reason="x-slipway.metrics says so")
    if service.slipway.ingress and service.slipway.ingress.port:
        yield ContainerPort(service.slipway.ingress.port, reason="x-slipway.ingress says so")


def _range(entry: str, reason: str) -> Iterator[ContainerPort]:
    numbers, _, protocol = entry.partition("/")
    first, _, last = numbers.partition("-")
    if first.isdecimal() and (not last or last.isdecimal()):
        for number in range(int(first), int(last or first) + 1):
            yield ContainerPort(number, protocol.lower() or "tcp", reason=reason)


def _of_references(source: KubeSource, service: Service) -> Iterator[ContainerPort]:
    """Yield the ports of a service that others name, as in ``http://web:8000``."""
    for name in names_of(source, service):
        for number, key in source.mentions.ports.get(name, ()):
            yield ContainerPort(number, reason=f"{key} says so")
