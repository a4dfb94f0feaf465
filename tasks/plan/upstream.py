"""The file in which a proxy names the servers of a service.

A proxy names the servers of a service in a file of its own, ``<x-slipway.proxy.upstreams>/<service>.conf``. A
rollout writes the containers that serve into it, and keeps the service's own name as the backup: so a stack that
somebody starts by hand is served too. Why not DNS alone: a new container has the service's name before it is ready.
While new containers are watched, the old ones are the backup: the name would lead to the new ones again. On a reload
nginx forgets the address of a name that was no server before, or was the backup only: so who is about to serve, or to
serve again, is named beforehand, as ``down``.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .errors import InputError

_SERVER = re.compile(
    r"^(?P<head>[^#\n]*?)(?<![\w.-])server[ \t]+(?P<host>[^\s:;{]+)(?P<port>:\d+)?(?P<rest>[^;{\n]*);"
    r"[ \t]*(?P<end>\n?)",
    re.MULTILINE,
)
_ROLE = re.compile(r"[ \t]+(?:backup|down)\b")


def serving(text: str, service: str) -> tuple[str, ...]:
    """Return the containers that an upstream file leads to; none when it leads to the service's own name only."""
    found = [one for one in _SERVER.finditer(text) if one["host"] != service]
    return tuple(one["host"] for one in found if not _ROLE.search(one["rest"]))


def proven(text: str, service: str, running: Collection[str], replicas: int) -> tuple[str, ...]:
    """Return the containers of an upstream file that have been watched to their end, of which ``replicas`` are wanted.

    Those that are the backup are the old ones; what they were to leave for stands last of what the file leads to.
    """
    servers = [one for one in _SERVER.finditer(text) if one["host"] in running and one["host"] != service]
    backups = tuple(one["host"] for one in servers if "backup" in one["rest"].split())
    led = serving(text, service)
    return (*led[: max(replicas - len(backups), 0)], *backups) if backups else led


def leads(text: str, service: str) -> bool:
    """Whether an upstream file names the servers of a service by its pattern."""
    return any(found["host"] == service for found in _SERVER.finditer(text))


@dataclass(frozen=True)
class Aim:
    """What a proxy is to lead to: containers, and ``backups`` when none of them answers.

    Without backups the service's own name is the backup; beside them it only keeps the pattern. ``coming`` are about to
    be led to: the proxy is to know their addresses by then.
    """

    containers: Sequence[str]
    backups: Sequence[str] = ()
    coming: Sequence[str] = ()


def pointed(text: str, service: str, aim: Aim) -> str:
    """Return an upstream file that leads to what it should.

    Raises InputError when the file does not name the service.
    """
    own = next((found for found in _SERVER.finditer(text) if found["host"] == service), None)
    if own is None:
        raise InputError(
            f"the proxy's upstream file of {service} has no line `server {service}:PORT …;`",
            "start it from one that has; the containers are named by its pattern",
        )
    port, rest = own["port"] or "", _ROLE.sub("", own["rest"])
    lines = [f"server {name}{port}{rest};" for name in aim.containers]
    lines += [f"server {name}{port}{rest} down;" for name in (*aim.coming, *aim.backups)]
    lines += [f"server {name}{port}{rest} backup;" for name in aim.backups]
    role = " backup down" if aim.backups else " backup" if aim.containers else ""
    lines.append(f"server {service}{port}{rest}{role};")
    indent = own["head"] if own["head"].isspace() else " "

    def replaced(found: re.Match[str]) -> str:
        if found.start() == own.start():
            return found["head"] + f"\n{indent}".join(lines) + found["end"]
        return "" if not found["head"].strip() else found["head"] + found["end"]

    return _SERVER.sub(replaced, text)


def begun(service: str, port: int, others: Mapping[str, str]) -> str:
    """Return the file with which a proxy begins to lead to a service; like one of ``others``, by service."""
    for other, text in sorted(others.items()):
        own = next((found for found in _SERVER.finditer(text) if found["host"] == other), None)
        if own:
            line = f"server {service}:{port}{_ROLE.sub('', own['rest'])};"
            named = re.sub(rf"(?<![\w.-]){re.escape(other)}(?![\w.-])", service, text[: own.start()] + own["head"])
            return f"{named}{line}{own['end']}" + "".join(re.findall(r"^\s*\}.*\n?", text[own.end() :], re.MULTILINE))
    return f"upstream {service} {{\n    server {service}:{port};\n}}\n"
