"""What differs by kind of proxy while it is led elsewhere: when it has read its file, and what it lacks to be led."""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from ..host.project import Project
from ..model.compose import Source
from ..model.errors import CommandError, SlipwayError
from ..model.stack.proxies.kinds import CADDY, HAPROXY, TRAEFIK
from ..model.units import show_duration
from .plan.rollout import Proxy, workers

_READ = 10.0  # seconds that Traefik may take to read a file; it looks at most every 2 s (providersThrottleDuration)
_LOOK = 0.2  # seconds between two looks
# How a container is asked for a URL, by the program that its image has.
_GETTERS: Mapping[str, tuple[str, ...]] = {
    "/usr/bin/curl": ("curl", "--silent", "--show-error", "--fail", "--max-time", "5", "--noproxy", "*"),
    "/usr/bin/wget": ("wget", "-q", "-T", "5", "-O", "-"),
    "/bin/wget": ("wget", "-q", "-T", "5", "-O", "-"),
}
_SERVICES = "/api/http/services?per_page=10000"
_CADDYFILE = "/etc/caddy/Caddyfile"

Fault = tuple[str, str]
"""What a proxy lacks to be led, and a hint."""

_Server = tuple[str, int]  # the URL of a server of Traefik, and its weight


def _asked(project: Project, source: Source, proxy: Proxy, name: str, path: str) -> Any:
    """Return what the proxy's API answers, as JSON, None in a dry run; raises CommandError when it does not answer."""
    getter = next((words for file, words in _GETTERS.items() if project.engine.has_file(name, file)), None)
    if getter is None:
        raise CommandError(f"the image of {name} has neither curl nor wget to ask its API with", 1, "add one of them")
    url = proxy.settings.api + path
    command = source.docker("exec", name, *getter, url, reason="what has the proxy read?")
    try:
        said = "".join(project.runner.lines(command))
        return json.loads(said) if said else None
    except (CommandError, ValueError):
        raise CommandError(
            f"the API of {name} does not answer at {url}", 1,
            "switch it on (api.insecure=true, on a port that is not published), or say its URL: x-slipway.proxy.api",
        ) from None  # fmt: skip


def await_traefik(project: Project, source: Source, proxy: Proxy, name: str, text: str) -> None:
    """Wait until Traefik leads to the servers of an upstream file; raises CommandError when it does not accept it."""
    wanted = _servers(text)
    fault = CommandError(
        f"{name} does not lead to the servers of its file after {show_duration(_READ)}", 1,
        f"its log says why: docker logs {name}",
    )  # fmt: skip
    deadline = time.monotonic() + _READ
    while True:
        known: dict[str, Any] = {}
        try:
            known = {entry["name"]: entry for entry in _asked(project, source, proxy, name, _SERVICES)}
        except CommandError as error:  # a busy machine may answer late once
            if time.monotonic() > deadline:
                raise error from None
        if all(_known(known.get(f"{service}@file", {})) == servers for service, servers in wanted.items()):
            break
        if time.monotonic() > deadline:
            raise fault
        project.engine.watch.pause(_LOOK)
    for service in wanted:
        if errors := known[f"{service}@file"].get("error"):
            raise CommandError(f"{name}: service {service}: {'; '.join(errors)}", 1)


def _servers(text: str) -> dict[str, list[_Server]]:
    """Return the servers of each service of an upstream file; raises CommandError when it is no YAML."""
    import yaml  # type: ignore[import-untyped]

    try:
        document = yaml.safe_load(text) or {}
        services = document["http"]["services"].items()
        lists = {name: entry["loadBalancer"]["servers"] or [] for name, entry in services if "loadBalancer" in entry}
        return {str(name): [_server(server) for server in servers] for name, servers in lists.items()}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = " ".join(str(error).split())
        raise CommandError(f"the upstream file has no servers of services: {type(error).__name__} {what}", 1) from None


def _server(entry: Mapping[str, Any]) -> _Server:
    return str(entry["url"]), int(entry.get("weight") or 1)


def _known(entry: Mapping[str, Any]) -> list[_Server]:
    return [_server(server) for server in (entry.get("loadBalancer") or {}).get("servers") or () if "url" in server]


def connected(project: Project, source: Source, name: str) -> frozenset[str]:
    """Return the addresses that a proxy's container has established connections to."""
    tables = ("cat", "/proc/net/tcp", "/proc/net/tcp6")
    command = source.docker("exec", name, *tables, reason="is it still connected to old containers?")
    with contextlib.suppress(CommandError):  # without IPv6 there is no second table, and `cat` fails on it
        return peers(list(project.runner.lines(command)))
    return peers(list(project.runner.lines(source.docker("exec", name, *tables[:2]))))


def peers(table: Iterable[str]) -> frozenset[str]:
    """Return the addresses that a container has established TCP connections to, from lines of ``/proc/net/tcp``.

    ``/proc/net/tcp6`` has IPv4 addresses as ``::ffff:10.0.0.1``. https://docs.kernel.org/networking/proc_net_tcp.html
    """
    found = set()
    for line in table:
        words = line.split()
        if len(words) > 3 and words[3] == "01":  # TCP_ESTABLISHED
            packed = bytes.fromhex(words[2].partition(":")[0])
            # Words of four bytes, each as the processor has it: all that Docker runs on are little-endian.
            address = ip_address(b"".join(packed[start : start + 4][::-1] for start in range(0, len(packed), 4)))
            found.add(str(getattr(address, "ipv4_mapped", None) or address))
    return frozenset(found)


def lacking(project: Project, source: Source, proxy: Proxy, services: Mapping[str, int]) -> list[Fault]:
    """Return what a running proxy lacks to be led to other containers of these services.

    They are given with the least share of the requests, in percent, that a container gets: 100 without a canary.
    """
    faults: list[Fault] = []
    for name in proxy.containers:
        if proxy.settings.kind == HAPROXY and not workers(proxy, project.engine.processes(name)):
            faults.append(
                (
                    f"{name} has no worker processes, so {proxy.settings.reload} would end it",
                    "start haproxy in master-worker mode: haproxy -W -db -f …",
                )
            )
        elif proxy.settings.kind == TRAEFIK:
            faults += _traefik_lacks(project, source, proxy, name)
        elif proxy.settings.kind == CADDY:
            faults += _caddy_lacks(project, source, proxy, name, services)
    return faults


def _traefik_lacks(project: Project, source: Source, proxy: Proxy, name: str) -> list[Fault]:
    try:
        overview = _asked(project, source, proxy, name, "/api/overview")
    except SlipwayError as error:
        return [(error.message, error.hint)]
    if overview is None or "File" in (overview.get("providers") or ()):
        return []
    return [
        (
            f"{name} has no file provider, so it does not read {proxy.settings.upstreams}",
            f"give it --providers.file.directory={proxy.settings.upstreams}",
        )
    ]


def _caddy_lacks(
    project: Project, source: Source, proxy: Proxy, name: str, services: Mapping[str, int]
) -> list[Fault]:  # fmt: skip
    from ..model.stack.proxies.caddy import needed_slots, placeholder

    if not project.engine.has_file(name, _CADDYFILE):
        return []  # it has its configuration from elsewhere
    text = "".join(project.runner.lines(source.docker("exec", name, "cat", _CADDYFILE, reason="is it led by files?")))
    if not text or "import" in text.split():
        return []  # what it imports is not looked at
    directory = proxy.settings.upstreams
    wanted = [placeholder(directory, service) for service in services]
    if lacks := [one for one in wanted if one not in text]:
        return [
            (f"{name}: {_CADDYFILE} does not name {one}, so Caddy would not follow", f"say: reverse_proxy {one}:PORT")
            for one in lacks
        ]
    return [
        (
            f"{name}: {_CADDYFILE} names too few files of {service} for a share of {least} %, which needs "
            f"{needed_slots(least)}",
            f"name {placeholder(directory, service)} to {placeholder(directory, service, needed_slots(least))}",
        )
        for service, least in services.items()
        if placeholder(directory, service, needed_slots(least)) not in text
    ]
