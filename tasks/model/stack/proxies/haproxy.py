"""The upstream file of haproxy: a section ``backend web`` with a line ``server web web:8000 …`` for each server.

haproxy's ``disabled`` is the ``down`` of the other form. It knows a server by its name, so a backup has a single line;
and the line with the name of the service serves only while no container is named.
"""

import re

from ...errors import InputError
from ...lazy_pattern import lazy_pattern
from .. import upstream
from ..upstream import ProxyTarget, has_pattern

_SAID = lazy_pattern(
    r"^(?P<indent>[ \t]*)server[ \t]+\S+[ \t]+(?P<host>[^\s:#@/]+)(?P<port>:\d+)?(?P<rest>(?:[ \t][^\n#]*?)?)"
    r"[ \t]*(?:#(?P<canary> canary\b)?[^\n]*)?$",
    re.MULTILINE,
)
_TOLD = lazy_pattern(
    r"^(?P<indent>[ \t]*)server[ \t]+(?P<host>[^\s:;]+)(?P<port>:\d+)?(?P<rest>[^;\n]*);[ \t]*(?P<canary># canary)?"
    r"(?P<end>\n|\Z)",
    re.MULTILINE,
)

# What ends a server in the other form means nothing special to haproxy.
_HIDDEN = {ord(";"): "\0", ord("{"): "\1"}
_SHOWN = {0: ";", 1: "{"}
_WEIGHT = 256  # the greatest; https://docs.haproxy.org/3.0/configuration.html#5.2-weight


def pattern(service: str) -> str:
    """Return the line that the file of a service has to have."""
    return f"server {service} {service}:PORT"


def told(text: str, _service: str) -> str:
    """Return the text of the file in the form of ``upstream.py``."""

    def line(server: re.Match[str]) -> str:
        rest = re.sub(r"(?<=\s)disabled(?!\S)", "down", server["rest"])
        rest = re.sub(r"(?<=\s)weight[ \t]+(?=\d)", "weight=", rest)
        mark = "  # canary" if server["canary"] else ""
        return f"{server['indent']}server {server['host']}{server['port'] or ''}{rest};{mark}"

    return _SAID.sub(line, text.translate(_HIDDEN))


def _said(text: str, service: str, standing_by: frozenset[str]) -> str:
    """Return a text in the form of ``upstream.py`` as haproxy reads it; ``standing_by`` are the backups."""

    def line(server: re.Match[str]) -> str:
        host, roles = server["host"], set(server["rest"].split()) & {"backup", "down"}
        if host in standing_by and "down" in roles:
            return ""  # its line as a backup follows
        rest = re.sub(r"[ \t]+(?:backup|down)(?!\S)", "", server["rest"])
        rest = re.sub(r"(?<=\s)weight=(?=\d)", "weight ", rest)
        role = "" if not roles else " backup" if host != service and "down" not in roles else " disabled"
        mark = "  # canary" if server["canary"] else ""
        return f"{server['indent']}server {host} {host}{server['port'] or ''}{rest}{role}{mark}{server['end']}"

    return _TOLD.sub(line, text).translate(_SHOWN)


def retarget(text: str, service: str, aim: ProxyTarget) -> str:
    """Return the text of the file, changed so that it leads to the containers of ``aim``."""
    now = told(text, service)
    if not has_pattern(now, service):
        raise InputError(
            f"the proxy's upstream file of {service} has no line `{pattern(service)} …`",
            "add the line; it is the pattern for the lines of the containers",
        )
    return _said(upstream.retarget(now, service, aim, _WEIGHT), service, frozenset(aim.backups))


def first(text: str, service: str) -> str:
    """Return the first file of a service: one in the form of ``upstream.py`` as haproxy reads it."""
    braces = re.fullmatch(r"upstream \S+ \{\n(.*)\}\n", text, re.DOTALL)
    return _said(f"backend {service}\n{braces[1]}" if braces else text, service, frozenset())
