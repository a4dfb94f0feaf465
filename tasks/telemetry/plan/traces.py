"""Traces as Jaeger answers them, and exemplars as Prometheus does, as plain data.

https://www.jaegertracing.io/docs/latest/architecture/apis/
https://prometheus.io/docs/prometheus/latest/querying/api/#querying-exemplars
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from ...model.record import Record

SERVER, CLIENT = "server", "client"
# https://opentelemetry.io/docs/specs/semconv/database/: the present name, and the one that was used before 2025.
_DATABASE = ("db.system.name", "db.system")
_TRACE = ("trace_id", "traceID", "traceId")


class TraceSpan(Record):
    """A span: the service that made it, what it did, its kind (``server``, ``client``, …) and its attributes.

    ``start`` is in seconds since the epoch, ``seconds`` how long it took, ``parent`` the id of the span that it is a
    part of, "" for the first.
    """

    trace: str
    span: str
    service: str
    name: str
    kind: str = ""
    parent: str = ""
    start: float = 0.0
    seconds: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def database(self) -> str:
        """The kind of database that it asked, "" when it asked none."""
        return next((self.attributes[name] for name in _DATABASE if self.attributes.get(name)), "")


class Exemplar(Record):
    """An example of what a metric has counted: the trace of it, its value, and its time in seconds since the epoch."""

    trace: str
    value: float
    time: float
    labels: Mapping[str, str] = field(default_factory=dict)


def parse_traces(document: Mapping[str, Any]) -> dict[str, tuple[TraceSpan, ...]]:
    """Return the traces of an answer by their ids, each in order of time; one that is not there is left out."""
    traces = {}
    for raw in document.get("data") or ():
        processes = raw.get("processes") or {}
        spans = (_span(span, processes) for span in raw.get("spans") or ())
        traces[identity(raw["traceID"])] = tuple(sorted(spans, key=lambda span: (span.start, span.span)))
    return {trace: spans for trace, spans in traces.items() if spans}


def _span(raw: Mapping[str, Any], processes: Mapping[str, Any]) -> TraceSpan:
    attributes = {tag["key"]: str(tag["value"]) for tag in raw.get("tags") or ()}
    parents = (link["spanID"] for link in raw.get("references") or () if link.get("refType") == "CHILD_OF")
    return TraceSpan(
        trace=identity(raw["traceID"]),
        span=raw["spanID"],
        service=processes.get(raw.get("processID", ""), {}).get("serviceName", ""),
        name=raw["operationName"],
        kind=attributes.get("span.kind", ""),
        parent=next(parents, ""),
        start=raw.get("startTime", 0) / 1e6,
        seconds=raw.get("duration", 0) / 1e6,
        attributes=attributes,
    )


def identity(trace: str) -> str:
    """Return the id of a trace as W3C writes it: Jaeger leaves zeros at its beginning out."""
    return trace.lower().rjust(32, "0")


def parse_exemplars(data: Iterable[Mapping[str, Any]]) -> tuple[Exemplar, ...]:
    """Return the exemplars of an answer that name a trace, the newest first."""
    found = []
    for series in data:
        for raw in series.get("exemplars") or ():
            trace = next((raw["labels"][name] for name in _TRACE if raw["labels"].get(name)), "")
            if trace:
                labels = series.get("seriesLabels") or {}
                found.append(Exemplar(identity(trace), float(raw["value"]), float(raw["timestamp"]), labels))
    return tuple(sorted(found, key=lambda one: -one.time))
