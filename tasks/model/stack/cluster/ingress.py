"""What leads to a service from outside of a cluster: ``x-slipway.ingress``."""

import re
from collections.abc import Mapping

from ...errors import InputError
from ...record import Record

_KEYS = ("host", "path", "port", "tls", "class", "annotations")
_ISSUER = "issuer:"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names; an Ingress and a route
# also take a wildcard as the first label.
_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"


class IngressRoute(Record):
    """Requests for ``host`` ("": any) whose path begins with ``path`` get to ``port`` (0: the one that there is).

    ``secret`` is the name of the Secret with the certificate, ``issuer`` that of the cert-manager ClusterIssuer that
    fills it, "" for plain HTTP; ``class_name`` that of the IngressClass, "" for the profile's.
    """

    host: str = ""
    path: str = "/"
    port: int = 0
    secret: str = ""
    issuer: str = ""
    class_name: str = ""
    annotations: Mapping[str, str] | None = None


def parse_ingress(raw: object, where: str) -> IngressRoute:
    """Return what leads to a service from outside; raises InputError for what is not valid."""
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "as in {host: shop.example.com, tls: shop-tls}")
    for key in raw:
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {key!r}", f"there are: {', '.join(_KEYS)}")
    tls = str(raw.get("tls") or "")
    issuer = tls.removeprefix(_ISSUER) if tls.startswith(_ISSUER) else ""
    host = _host(raw.get("host", ""), f"{where}.host")
    if issuer and not host:
        raise InputError(f"{where}.tls: a certificate is issued for a host, and there is none", "say host:")
    return IngressRoute(
        host=host,
        path=_path(raw.get("path", "/"), f"{where}.path"),
        port=_port(raw.get("port", 0), f"{where}.port"),
        secret="" if issuer else _name(tls, f"{where}.tls"),
        issuer=_name(issuer, f"{where}.tls"),
        class_name=_name(str(raw.get("class") or ""), f"{where}.class"),
        annotations=_annotations(raw.get("annotations") or {}, f"{where}.annotations"),
    )


def _host(value: object, where: str) -> str:
    if value != "" and not (isinstance(value, str) and re.fullmatch(rf"(?:\*\.)?{_NAME}", value)):
        raise InputError(f"{where}: expected the name of a host, got {value!r}", "without scheme, port and path")
    return str(value)


def _path(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or re.search(r"[?#\s]|//", value):
        raise InputError(f"{where}: expected a path, got {value!r}", "as in /api: it begins with a slash")
    return value


def _port(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
        raise InputError(f"{where}: expected a port of the container, got {value!r}", "as in 8080")
    return value


def _name(value: str, where: str) -> str:
    if value and not re.fullmatch(_NAME, value):
        raise InputError(
            f"{where}: expected the name of an object, got {value!r}", "lower case letters, digits, - and ."
        )
    return value


def _annotations(value: object, where: str) -> Mapping[str, str] | None:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a mapping, got {value!r}", 'as in {example.com/timeout: "30"}')
    return {str(name): str(text) for name, text in value.items()} or None
