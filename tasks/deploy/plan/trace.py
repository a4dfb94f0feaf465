"""The trace of a deploy as OTLP/JSON: a span for the whole, and one for each step of its story.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and the variables of
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

SERVICE = "slipway"
_PARENT = lazy_pattern(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?:-.*)?")
_LIMIT = 3.0  # seconds that sending may take, when OTEL_EXPORTER_OTLP_TIMEOUT says nothing
_INTERNAL, _OK, _ERROR = 1, 1, 2  # SpanKind and Status.StatusCode


class Parent(Record):
    """The span that a deploy is part of: ``TRACEPARENT`` of https://www.w3.org/TR/trace-context/."""

    trace: str = ""
    span: str = ""
    sampled: bool = True


class Destination(Record):
    """Where a trace is sent to: URL, headers, and how long that may take, in seconds."""

    url: str
    headers: Mapping[str, str]
    limit: float


class Span(Record):
    """A step: its name, its times in seconds since the epoch, whether it failed, and what is known of it."""

    name: str
    start: float
    end: float
    failed: str = ""
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)


def parent(text: str) -> Parent:
    """Return the span of a ``TRACEPARENT``; an empty one, which begins a trace, for a text that is none."""
    match = _PARENT.fullmatch(text.strip().lower())
    if match is None or text.startswith("ff") or not int(match["trace"], 16) or not int(match["span"], 16):
        return Parent()
    return Parent(match["trace"], match["span"], bool(int(match["flags"], 16) & 1))


def destination(environment: Mapping[str, str]) -> Destination | None:
    """Return where the variables of OpenTelemetry say that traces go; None where they say nothing or "off"."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or environment.get("OTEL_TRACES_EXPORTER", "otlp") not in ("", "otlp"):
        return None
    own, common = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    url = own or (f"{common.rstrip('/')}/v1/traces" if common else "")
    if not url:
        return None
    said = environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or environment.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    limit = environment.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or environment.get("OTEL_EXPORTER_OTLP_TIMEOUT", "")
    return Destination(url, _pairs(said), int(limit) / 1000 if limit.isdecimal() and int(limit) else _LIMIT)


def resource(environment: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of what sends the trace; those of the variables win, as OpenTelemetry says."""
    name = environment.get("OTEL_SERVICE_NAME", "")
    said = _pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return {"service.name": SERVICE, **attributes, **said, **({"service.name": name} if name else {})}


def _pairs(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(",") if "=" in item)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if key.strip()}


def document(
    root: Span, steps: Iterable[Span], ids: Sequence[str], within: Parent, attributes: Mapping[str, str]
) -> dict[str, Any]:
    """Return the trace as OTLP/JSON. ``ids``: one of 32 hexadecimal digits, then one of 16 for each span."""
    trace, own, *others = ids
    trace = within.trace or trace
    spans = [_span(root, trace, own, within.span)]
    spans += [_span(step, trace, number, own) for step, number in zip(steps, others, strict=True)]
    scope = {"scope": {"name": SERVICE}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(attributes)}, "scopeSpans": [scope]}]}


def _span(span: Span, trace: str, own: str, within: str) -> dict[str, Any]:
    status = {"code": _ERROR, "message": span.failed} if span.failed else {"code": _OK}
    return {
        "traceId": trace,
        "spanId": own,
        **({"parentSpanId": within} if within else {}),
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(round(span.start * 1e9)),
        "endTimeUnixNano": str(round(max(span.end, span.start) * 1e9)),
        "attributes": _attributes(span.attributes),
        "status": status,
    }


def _attributes(values: Mapping[str, str | int | float]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value != ""]


def _value(value: str | int | float) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}
