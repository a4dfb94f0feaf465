"""The upstream file in which a proxy names the servers of a service.

A proxy reads the servers of each service from ``<x-slipway.proxy.upstreams>/<service>.conf``. A rollout writes the
serving containers into it, and keeps the service's name as the backup server, so that a stack that was started without
Slipway is served too. DNS alone is not enough: a new container answers to the service's name before it is ready. While
new containers are watched, the old ones are the backup, not the service's name, which would lead to the new ones again.
On a reload nginx starts without the address of a name that was no server before, or only the backup: so containers that
are about to serve are named in advance, as ``down``. While new containers get a share of the requests only, all servers
have a weight, and the lines of the new ones end with the comment ``# canary``: they do not serve for good yet.

Where there is a backup, nginx leaves a server alone for 10 s after one connection that failed, also a kept one that was
closed meanwhile (``max_fails``; it ignores that for a single server only). If the backup does not answer, every request
of these seconds is lost. So servers in nginx's own form get ``max_fails=0``, unless their line says something else.
https://nginx.org/en/docs/http/ngx_http_upstream_module.html#max_fails
"""

import re
from collections.abc import Collection, Mapping, Sequence

from ..errors import InputError
from ..lazy_pattern import lazy_pattern
from ..record import Record

# A comment, in which nothing is a server, or a server: at the beginning of a line, or after another directive on it.
_SERVER = lazy_pattern(
    r"#[^\n]*|(?:^|(?<=[;{]))(?P<head>[ \t]*)server[ \t]+(?P<host>[^\s:;{]+)(?P<port>:\d+)?(?P<rest>[^;{\n]*);"
    r"(?P<canary>[ \t]*# canary\b[^\n]*)?(?P<end>(?:[ \t]*\n)?)",
    re.MULTILINE,
)
_ROLE = lazy_pattern(r"[ \t]+(?:backup|down)\b")
_NGINX = lazy_pattern(r"^[ \t]*upstream[ \t]+\S+[ \t]*\{", re.MULTILINE)
_WEIGHT = lazy_pattern(r"[ \t]+weight=(?P<weight>\d+)\b")
_ASKED_AGAIN = " max_fails=0"  # a server that did not answer is asked again at once


def _servers(text: str) -> list[re.Match[str]]:
    return [match for match in _SERVER.finditer(text) if match["host"]]


def serving_containers(text: str, service: str) -> tuple[str, ...]:
    """Return the containers that an upstream file leads to; none when it leads to the service's name only.

    Those that get a share of the requests only are none of them.
    """
    servers = [server for server in _servers(text) if server["host"] != service and not server["canary"]]
    return tuple(server["host"] for server in servers if not _ROLE.search(server["rest"]))


def canary_weights(text: str) -> tuple[tuple[str, int], ...]:
    """Return the containers of an upstream file that get a share of the requests only, with their weights."""
    return tuple((server["host"], weight(server["rest"])) for server in _servers(text) if server["canary"])


def canary_containers(text: str) -> tuple[str, ...]:
    """Return the containers of an upstream file that get a share of the requests only."""
    return tuple(host for host, _ in canary_weights(text))


def serving_weights(text: str, service: str) -> tuple[int, ...]:
    """Return the weights of the containers that an upstream file leads to."""
    led = serving_containers(text, service)
    lines = {server["host"]: server["rest"] for server in _servers(text) if not _ROLE.search(server["rest"])}
    return tuple(weight(lines[name]) for name in led)


def weight(words: str) -> int:
    """Return the weight that the words after the address of a server say, 1 when they say none."""
    match = _WEIGHT.search(words)
    return int(match["weight"]) if match else 1


def is_nginx(text: str) -> bool:
    """Whether an upstream file is in nginx's form: then its servers may have weights."""
    return bool(_NGINX.search(text))


def named_servers(text: str) -> frozenset[str]:
    """Return the names in an upstream file whose address the proxy knows: not those that are only a backup."""
    return frozenset(server["host"] for server in _servers(text) if "backup" not in server["rest"].split())


def watched_containers(text: str, service: str, running: Collection[str], replicas: int) -> tuple[str, ...]:
    """Return the containers of an upstream file that were watched to the end, out of the ``replicas`` wanted.

    Backups are old containers; the new ones that are to replace them are the last that the file leads to, and are still
    being watched.
    """
    servers = [server for server in _servers(text) if server["host"] in running and server["host"] != service]
    backups = tuple(server["host"] for server in servers if "backup" in server["rest"].split())
    led = serving_containers(text, service)
    return (*led[: max(replicas - len(backups), 0)], *backups) if backups else led


def has_pattern(text: str, service: str) -> bool:
    """Whether an upstream file has the line with the service's name: the pattern for its containers."""
    return any(server["host"] == service for server in _servers(text))


class ProxyTarget(Record):
    """The containers that a proxy is to lead to, and the ``backups`` for when none of them answers.

    Without backups the service's name is the backup; with them its line only keeps the pattern. ``coming`` will be led
    to next: the proxy has to know their addresses by then. ``canaries`` get ``share`` percent of the requests, the
    ``containers`` the others.
    """

    containers: Sequence[str]
    backups: Sequence[str] = ()
    coming: Sequence[str] = ()
    canaries: Sequence[str] = ()
    share: int = 0

    @property
    def settled(self) -> bool:
        """Whether the containers serve as they did before a rollout: nothing stands by or has a share of theirs."""
        return bool(self.containers) and not self.backups and not self.canaries

    def weights(self, most: int = 0) -> tuple[int, int]:
        """Return the weights of each of the containers and of each of the canaries, ``most`` at most (0: any)."""
        from .proving import shares  # loaded only for a canary

        return shares(len(self.containers), len(self.canaries), self.share, most)


def retarget(text: str, service: str, aim: ProxyTarget, most: int = 0) -> str:
    """Return the text of an upstream file, changed so that it leads to the containers of ``aim``.

    ``most`` is the greatest weight that a server may have, 0 for any. Raises InputError when the file has no line with
    the service's name.
    """
    own = next((match for match in _servers(text) if match["host"] == service), None)
    if own is None:
        raise InputError(
            f"the proxy's upstream file of {service} has no line `server {service}:PORT …;`",
            "add the line; it is the pattern for the lines of the containers",
        )
    port, rest = own["port"] or "", _ROLE.sub("", own["rest"])
    if _NGINX.search(text) and "max_fails" not in rest:
        rest += _ASKED_AGAIN
    lines = [f"server {name}{port}{rest};" for name in aim.containers]
    if aim.canaries:
        plain, (stays, comes) = _WEIGHT.sub("", rest), aim.weights(most)
        lines = [f"server {name}{port}{plain} weight={stays};" for name in aim.containers]
        lines += [f"server {name}{port}{plain} weight={comes};  # canary" for name in aim.canaries]
    lines += [f"server {name}{port}{rest} down;" for name in (*aim.coming, *aim.backups)]
    lines += [f"server {name}{port}{rest} backup;" for name in aim.backups]
    role = " backup down" if aim.backups else " backup" if aim.containers else ""
    lines.append(f"server {service}{port}{rest}{role};")

    def replaced(match: re.Match[str]) -> str:
        if match["host"] is None:
            return match[0]
        return "\n".join(own["head"] + line for line in lines) + own["end"] if match.start() == own.start() else ""

    return _SERVER.sub(replaced, text)


def first_upstream_file(service: str, port: int, others: Mapping[str, str]) -> str:
    """Return a first upstream file for a service, in the form of one of the ``others`` (by service), if any."""
    for other, text in sorted(others.items()):
        own = next((server for server in _servers(text) if server["host"] == other), None)
        if own:
            line = f"server {service}:{port}{_ROLE.sub('', own['rest'])};"
            named = re.sub(rf"(?<![\w.-]){re.escape(other)}(?![\w.-])", service, text[: own.start()] + own["head"])
            return f"{named}{line}{own['end']}" + "".join(re.findall(r"^\s*\}.*\n?", text[own.end() :], re.MULTILINE))
    return f"upstream {service} {{\n    server {service}:{port};\n}}\n"
