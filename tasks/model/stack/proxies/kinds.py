"""The kinds of proxies that Slipway knows: default settings, and the language in which each names its servers.

What a plan is decided on is the same for all kinds: the text of an upstream file in the form of ``upstream.py``. A
``Language`` turns the file of a proxy into that form, and writes what a plan wants into the file.
"""

from collections.abc import Callable, Mapping

from ...record import Record
from ..upstream import ProxyTarget, retarget

NGINX, HAPROXY, CADDY, TRAEFIK = KINDS = ("nginx", "haproxy", "caddy", "traefik")

# What ``x-slipway.proxy`` leaves out, by kind; {upstreams} is the directory of the upstream files.
PRESETS: Mapping[str, Mapping[str, object]] = {
    NGINX: {
        "upstreams": "/etc/nginx/upstreams",
        "check": ["nginx", "-t", "-q"],
        "workers": "nginx: worker process",
    },
    HAPROXY: {
        "upstreams": "/etc/haproxy/upstreams",
        "check": ["haproxy", "-c", "-q", "-f", "/etc/haproxy/haproxy.cfg", "-f", "{upstreams}"],
        "reload": "USR2",
        "workers": "haproxy",
    },
    CADDY: {"upstreams": "/etc/caddy/upstreams", "reload": "", "drain": "10s"},
    TRAEFIK: {"upstreams": "/etc/traefik/upstreams", "reload": "", "drain": "10s", "api": "http://127.0.0.1:8080"},
}
# Keys that mean nothing to a kind: Caddy and Traefik are led elsewhere without a reload.
FOREIGN_KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("api",),
    NGINX: ("api", "drain"),
    HAPROXY: ("api", "drain", "maintenance"),
    CADDY: ("api", "check", "reload", "workers"),
    TRAEFIK: ("check", "reload", "workers", "maintenance"),
}


class Language(Record):
    """How a kind of proxy names the servers of a service.

    - ``suffix``: of the upstream file.
    - ``told``: returns the text of the file, of a service, in the form of ``upstream.py``.
    - ``retarget``: returns the text of the file, changed so that it leads elsewhere; raises InputError when it does
      not have the ``pattern``, the line with the name of the service.
    - ``first``: returns the first file of a service, from its text in the form of ``upstream.py``.
    """

    suffix: str
    pattern: Callable[[str], str]
    told: Callable[[str, str], str]
    retarget: Callable[[str, str, ProxyTarget], str]
    first: Callable[[str, str], str]


def _as_it_is(text: str, _service: str) -> str:
    return text


# Caddy itself does not read this file: it reads one name from each of the files that ``caddy.slots`` describes.
_PLAIN = Language(".conf", lambda service: f"server {service}:PORT;", _as_it_is, retarget, _as_it_is)


def language(kind: str) -> Language:
    """Return the language of a kind of proxy; "" is a proxy without a kind, by the documented contract."""
    if kind == HAPROXY:
        from . import haproxy

        return Language(".cfg", haproxy.pattern, haproxy.told, haproxy.retarget, haproxy.first)
    if kind == TRAEFIK:
        from . import traefik

        return Language(".yml", traefik.pattern, traefik.told, traefik.retarget, traefik.first)
    return _PLAIN
