"""The files from which Caddy reads the names of servers at each request, by ``{file./etc/caddy/upstreams/web.1}``.

A reload of Caddy closes the connections that clients keep (Go's ``http.Server.Shutdown``), and each of its upstreams is
a single address. So there is a file for each container of a service, and one for the container that stands by.
"""

import math
import re
from collections.abc import Sequence

from ...lazy_pattern import lazy_pattern
from ..upstream import canary_weights, serving_containers, serving_weights

_BACKUP = lazy_pattern(r"^[ \t]*server[ \t]+(?P<host>[^\s:;]+)[^;\n]*[ \t]backup;", re.MULTILINE)


def slots(text: str, service: str, count: int) -> dict[str, str]:
    """Return the texts of the files of a service by their names, of at least ``count`` containers.

    ``text`` is the upstream file in the form of ``upstream.py``. With fewer containers some are named again; without
    any the service's name serves. The one that stands by comes first: it is written before the others change.
    """
    names = serving_containers(text, service) or (service,)
    if canaries := canary_weights(text):
        return {f"{service}.backup": f"{names[0]}\n", **_shared(text, service, count, canaries)}
    backups = [server["host"] for server in _BACKUP.finditer(text) if server["host"] != service]
    numbered = {f"{service}.{number + 1}": names[number % len(names)] for number in range(max(count, len(names)))}
    return {name: f"{host}\n" for name, host in {f"{service}.backup": (*backups, *names)[0], **numbered}.items()}


def _shared(text: str, service: str, count: int, canaries: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Return the numbered files of a service of which some name containers that get a share of the requests only.

    Caddy asks the files in turn, so the share of the files is the share of the requests: not more than was wanted.
    """
    led, new = serving_containers(text, service), [name for name, _ in canaries]
    share = sum(weight for _, weight in canaries)
    of_new = count * share // (share + sum(serving_weights(text, service)))
    files = {}
    for number in range(count):
        before, after = number * of_new // count, (number + 1) * of_new // count
        host = new[before % len(new)] if after > before else led[(number - after) % len(led)]
        files[f"{service}.{number + 1}"] = f"{host}\n"
    return files


def needed_slots(least: int) -> int:
    """Return how many files a service needs so that one of them is a share of ``least`` percent at most."""
    return math.ceil(100 / least)


def placeholder(directory: str, service: str, number: int = 1) -> str:
    """Return how a Caddyfile names a server of a service, by default the first."""
    return f"{{file.{directory.rstrip('/')}/{service}.{number}}}"
