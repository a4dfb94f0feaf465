"""The x-slipway.metrics field of a service: where it has metrics, and what they are called."""

import re
from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from ...lazy_pattern import lazy_pattern
from ...record import Record

POSTGRES, MYSQL, REDIS, NGINX = KINDS = ("postgres", "mysql", "redis", "nginx")
NO_EXPORTER = "none"
# As OpenTelemetry calls them, in the spelling of Prometheus:
# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
DURATION, STATUS = "http_server_request_duration_seconds", "http_response_status_code"
_PORTS = {POSTGRES: 5432, MYSQL: 3306, REDIS: 6379}
_PATHS = {"": "/metrics", NGINX: "/stub_status"}
_KEYS = ("port", "path", "duration", "status", "exporter")
_PARTS = lazy_pattern(r"(?P<histogram>.+)_(?:bucket|count|sum)")


class Metrics(Record):
    """``x-slipway.metrics`` of a service.

    Without ``exporter`` the service has metrics itself, at ``port`` and ``path``; ``duration`` is the name of the
    histogram of its requests, in seconds, ``status`` that of the label with the HTTP status. ``exporter`` is one of
    ``KINDS``: another program asks the service at ``port`` (and ``path``) and has its metrics; ``NO_EXPORTER``: none.
    """

    port: int = 0
    path: str = ""
    duration: str = DURATION
    status: str = STATUS
    exporter: str = ""


def parse(raw: object, where: str, known: tuple[str, ...] = _KEYS) -> Metrics | None:
    """Return where a service has metrics, None when it does not say; raises InputError for what is not valid."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "as in {port: 9464, path: /metrics}")
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", f"there are: {', '.join(known)}")
    exporter = raw.get("exporter", "")
    if exporter not in ("", *KINDS, NO_EXPORTER):
        raise InputError(
            f"{where}.exporter: expected one of {', '.join((*KINDS, NO_EXPORTER))}, got {exporter!r}",
            "a service that has metrics itself needs none: {port: 9464}",
        )
    if exporter:
        _nothing_else(raw, exporter, where)
    if exporter == NO_EXPORTER:
        return Metrics(exporter=exporter)
    return Metrics(
        port=_port(raw.get("port", _PORTS.get(exporter)), f"{where}.port"),
        path=_path(raw.get("path", _PATHS.get(exporter, "")), f"{where}.path", exporter),
        duration=_histogram(raw.get("duration", DURATION), f"{where}.duration"),
        status=_name(raw.get("status", STATUS), f"{where}.status", "label", STATUS),
        exporter=exporter,
    )


def _nothing_else(raw: Mapping[str, Any], exporter: str, where: str) -> None:
    """Raise InputError for keys that mean nothing to an exporter."""
    allowed = {NO_EXPORTER: (), NGINX: ("port", "path")}.get(exporter, ("port",))
    for key in raw:
        if key != "exporter" and key not in allowed:
            raise InputError(f"{where}.{key}: it means nothing with exporter: {exporter}", "take it out")


def _port(value: object, where: str) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 65536:
        raise InputError(f"{where}: expected a port of the container, got {value!r}", "as in {port: 9464}")
    return number


def _path(value: object, where: str, exporter: str) -> str:
    if exporter in _PORTS:
        return ""
    if not isinstance(value, str) or not re.fullmatch(r"/[!-~]*", value):
        raise InputError(f"{where}: expected a path, got {value!r}", f"as in {{path: {_PATHS[exporter]}}}")
    return value


def _histogram(value: object, where: str) -> str:
    name = _name(value, where, "metric", DURATION)
    if part := _PARTS.fullmatch(name):
        raise InputError(f"{where}: {name!r} is one part of a histogram", f"name the histogram: {part['histogram']}")
    return name


def _name(value: object, where: str, kind: str, example: str) -> str:
    # https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise InputError(f"{where}: expected the name of a {kind}, got {value!r}", f"as in {example}")
    return value
