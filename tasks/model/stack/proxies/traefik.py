"""The upstream file of Traefik's file provider: the list ``servers`` of a service, a line ``- url: …`` for each server.

The line with the name of the service is a comment while containers are named: it keeps the pattern. A list whose lines
end with ``# backup`` has the containers that stand by, for a ``failover`` service; without such a list nothing does.
While new containers get a share of the requests only, a line ``weight: …  # share`` follows each server.
https://doc.traefik.io/traefik/reference/routing-configuration/http/load-balancing/service/
"""

import re

from ...errors import InputError
from ...lazy_pattern import lazy_pattern
from ..upstream import ProxyTarget

_LINE = lazy_pattern(
    r"^(?P<indent>[ \t]*)(?P<off>#[ \t]*)?-[ \t]+(?P<key>[\"']?url[\"']?:[ \t]*)(?P<quote>[\"']?)(?P<scheme>[a-z0-9]+)://"
    r"(?P<host>[^:/\"'\s#]+)(?P<rest>[^\s\"'#]*)(?P=quote)[ \t]*(?:#[ \t]*(?P<role>backup|down|canary))?[ \t]*"
    r"(?P<end>\n|\Z)(?:[ \t]+weight:[ \t]*(?P<weight>\d+)[ \t]*# share[ \t]*(?:\n|\Z))?",
    re.MULTILINE,
)


def pattern(service: str) -> str:
    """Return the line that the file of a service has to have."""
    return f"- url: http://{service}:PORT"


def _port(line: re.Match[str]) -> str:
    return (re.match(r":\d+", line["rest"]) or [""])[0]


def told(text: str, service: str) -> str:
    """Return the servers of the file in the form of ``upstream.py``, a line each."""
    lines = list(_LINE.finditer(text))
    serving = {line["host"] for line in lines if not line["off"] and line["role"] in (None, "canary")}
    words = []
    for line in lines:
        if line["role"] == "backup" and (line["off"] or line["host"] in serving | {service}):
            continue  # without containers that stand by, those that serve are in the list as well
        role = " backup" if line["role"] == "backup" else " down" if line["off"] else ""
        weight = f" weight={line['weight']}" if line["weight"] else ""
        mark = "  # canary" if line["role"] == "canary" else ""
        words.append(f"server {line['host']}{_port(line)}{weight}{role};{mark}\n")
    return "".join(words)


def retarget(text: str, service: str, aim: ProxyTarget) -> str:
    """Return the text of the file, changed so that it leads to the containers of ``aim``."""
    lines = list(_LINE.finditer(text))
    own = next((line for line in lines if line["host"] == service and line["role"] != "backup"), None)
    if own is None:
        raise InputError(
            f"the proxy's upstream file of {service} has no line `{pattern(service)}`",
            "add the line; it is the pattern for the lines of the containers",
        )
    standing_by = next((line for line in lines if line["role"] == "backup"), None)

    def said(line: re.Match[str], host: str, role: str = "", off: str = "") -> str:
        url = f"{own['scheme']}://{host}{own['rest']}"
        return f"{line['indent']}{off}- {own['key']}{own['quote']}{url}{own['quote']}{role}\n"

    def shared(line: re.Match[str]) -> list[str]:
        stays, comes = aim.weights()
        inside = f"{line['indent']}  weight: "
        led = [f"{said(line, name)}{inside}{stays}  # share\n" for name in aim.containers]
        return led + [f"{said(line, name, '  # canary')}{inside}{comes}  # share\n" for name in aim.canaries]

    def replaced(line: re.Match[str]) -> str:
        if line.start() == own.start():
            named = shared(line) if aim.canaries else [said(line, name) for name in aim.containers or (service,)]
            named += [said(line, name, "  # down", "# ") for name in (*aim.coming, *aim.backups)]
            return "".join(named + ([said(line, service, "  # down", "# ")] if aim.containers else []))
        if standing_by and line.start() == standing_by.start():
            return "".join(said(line, name, "  # backup") for name in aim.backups or aim.containers or (service,))
        return ""

    return _LINE.sub(replaced, text)


def first(text: str, service: str) -> str:
    """Return the first file of a service, from its text in the form of ``upstream.py``."""
    port = re.search(rf"server {re.escape(service)}(:\d+)", text)
    return (
        f"http:\n  services:\n    {service}:\n      loadBalancer:\n        servers:\n"
        f"          - url: http://{service}{port[1] if port else ''}\n"
    )
