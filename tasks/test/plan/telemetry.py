"""What ``test.telemetry`` asks the stack, what the stores have to know of it afterwards, and whether they do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from ...model.record import Record
from ...model.stack.presets.server import DATABASE
from ...model.stack.smoke import CONTAINER, Check
from ...model.stack.telemetry.metrics import POSTGRES
from ...model.suite import FAILED, PASSED, SKIPPED
from ...telemetry.plan.servers import metrics_of
from ...telemetry.plan.traces import SERVER, Exemplar, TraceSpan

if TYPE_CHECKING:
    from ...model.stack.stack import Service, Stack

ENDPOINT, NAME = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"
"""Variables by which an OpenTelemetry SDK is told where its spans go, and what the service is called there.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""
REQUESTS, METRICS, TRACES, LOGS, EXEMPLARS = "requests", "metrics", "traces", "logs", "exemplars"
_SHOWN = 3  # requests in a reason


class Aim(Record):
    """A request that is sent several times, and the service that gets it."""

    service: str
    check: Check


class Sent(Record):
    """A request that was sent: its aim, the id of its trace, the status of the answer, and why there was none."""

    aim: Aim
    trace: str
    status: int = 0
    error: str = ""


class Expected(Record):
    """What has to be known of a stack.

    ``own`` are services that have metrics themselves, ``exported`` those that an exporter asks, ``others`` those of
    which there are only numbers of their containers. ``traced`` are services that make spans, with their names in
    them; ``databases`` are asked by others.
    """

    own: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    traced: Mapping[str, str] = field(default_factory=dict)
    databases: tuple[str, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """All services."""
        return (*self.own, *self.exported, *self.others)


class Evidence(Record):
    """What was found. ``since`` is when the first request was sent, in seconds since the epoch.

    ``scraped`` is when the newest number of a service was read, by service. ``traces`` are the spans of the requests
    that were sent, and of the exemplars, by trace; ``active`` are the names of all services that made spans since.
    ``lines`` counts the lines that are kept of a service, and ``logged`` has the traces that its lines name.
    """

    since: float
    sent: tuple[Sent, ...]
    scraped: Mapping[str, float] = field(default_factory=dict)
    traces: Mapping[str, tuple[TraceSpan, ...]] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    exemplars: tuple[Exemplar, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    logged: Mapping[str, frozenset[str]] = field(default_factory=dict)


class TelemetryRow(Record):
    """Whether one thing is known of a service (several: of all that are named)."""

    service: str
    store: str
    check: str
    outcome: str
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        return {"service": self.service, "store": self.store, "check": self.check, "outcome": self.outcome,
                "reason": self.reason or None}  # fmt: skip


def aims(stack: "Stack", wide: "Stack") -> tuple[Aim, ...]:
    """Return what is to be asked: the targets of load tests and the smoke checks that expect an answer.

    A target of ``wide``, which has the services of all profiles, is asked where the smoke checks ask its service: its
    own port may not be published. Where they ask none, it is asked from inside of its service.
    """
    checks = [(service.name, check) for service in stack.services.values() for check in service.slipway.smoke]
    answered = [Aim(name, check) for name, check in checks if check.method == "GET" and check.status < 300]
    targets = []
    for target in (target for service in wide.services.values() for target in service.slipway.load):
        if target.method != "GET" or target.address.host not in stack.services:
            continue
        front = next((aim.check for aim in answered if aim.service == target.address.host), None)
        address = replace(front.address, path=target.address.path) if front else target.address
        origin = front.origin if front else CONTAINER
        targets.append(Aim(target.address.host, Check(address=address, origin=origin)))
    return tuple(dict.fromkeys((*targets, *answered)))


def expected(stack: "Stack", environments: Mapping[str, Mapping[str, str]]) -> Expected:
    """Return what has to be known of the services that do not end; ``environments`` are their variables."""
    lasting = [service for service in stack.services.values() if not stack.one_off(service) and service.replicas]
    own = [service.name for service in lasting if _has_own(service)]
    exported = [service.name for service in lasting if _exporter(service)]
    traced = {
        service.name: environments.get(service.name, {}).get(NAME) or service.name
        for service in lasting
        if _has_own(service) or ENDPOINT in environments.get(service.name, {})
    }
    others = [service.name for service in lasting if service.name not in (*own, *exported)]
    databases = [service.name for service in lasting if service.slipway.role == DATABASE]
    return Expected(tuple(own), tuple(exported), tuple(others), traced, tuple(databases))


def _has_own(service: "Service") -> bool:
    metrics = metrics_of(service)
    return bool(metrics and not metrics.exporter)


def _exporter(service: "Service") -> bool:
    metrics = metrics_of(service)
    return bool(metrics and metrics.exporter)


def alive(exporter: str) -> str:
    """Return the metric by which an exporter says that what it asks answers: 1."""
    return f"{'pg' if exporter == POSTGRES else exporter}_up"


def judge(wanted: Expected, found: Evidence) -> tuple[TelemetryRow, ...]:
    """Return what is known of each service and what is not; where requests were not answered, nothing is missing."""
    answered = _answered(found)
    rows = (
        *_metrics(wanted, found),
        *_traces(wanted, found),
        *_logs(wanted, found),
        _crossing(wanted, found),
        _exemplar(wanted, found),
    )
    if answered.outcome == FAILED:
        rows = tuple(row if row.outcome != FAILED else _in_vain(row) for row in rows)
    return (answered, *rows)


def _in_vain(row: TelemetryRow) -> TelemetryRow:
    return replace(row, outcome=SKIPPED, reason=f"the requests were not answered ({row.reason})")


def _row(service: str, store: str, check: str, reason: str = "") -> TelemetryRow:
    return TelemetryRow(service, store, check, FAILED if reason else PASSED, reason)


def _answered(found: Evidence) -> TelemetryRow:
    """Return whether the requests were answered: without answers nothing else can be expected."""
    services = ", ".join(dict.fromkeys(one.aim.service for one in found.sent))
    bad = [f"{one.aim.check}: {one.error or f'status {one.status}'}" for one in found.sent
           if one.error or not 200 <= one.status < 500]  # fmt: skip
    reason = "; ".join(list(dict.fromkeys(bad))[:_SHOWN])
    if not found.sent:
        reason = "there is nothing to ask: no service says x-slipway.load or x-slipway.smoke with a GET"
    return _row(services or "-", REQUESTS, f"{len(found.sent)} requests are answered", reason)


def _metrics(wanted: Expected, found: Evidence) -> Iterator[TelemetryRow]:
    kinds = {"of its own": wanted.own, "of its exporter": wanted.exported, "of its containers": wanted.others}
    for what, services in kinds.items():
        for service in services:
            time = found.scraped.get(service)
            reason = "" if time and time >= found.since else "no data" if time is None else "no data since the requests"
            yield _row(service, METRICS, f"numbers {what} are fresh", reason)


def _traces(wanted: Expected, found: Evidence) -> Iterator[TelemetryRow]:
    own = _own_traces(found)
    for service, name in wanted.traced.items():
        made = name in found.active or any(span.service == name for spans in own.values() for span in spans)
        reason = "" if made else _untraced(service, name, found)
        yield _row(service, TRACES, "it makes spans", reason)


def _untraced(service: str, name: str, found: Evidence) -> str:
    named = f" as {name}" if name != service else ""
    if not _own_traces(found):
        return f"no trace of {len(found.sent)} requests is stored; its {ENDPOINT} says where spans go"
    return f"no span of it{named} in {len(_own_traces(found))} traces"


def _own_traces(found: Evidence) -> dict[str, tuple[TraceSpan, ...]]:
    """Return the traces of the requests that were sent, of those that are stored."""
    return {one.trace: found.traces[one.trace] for one in found.sent if one.trace in found.traces}


def _logs(wanted: Expected, found: Evidence) -> Iterator[TelemetryRow]:
    for service in wanted.services:
        lines = found.lines.get(service, 0)
        yield _row(service, LOGS, "it has lines", "" if lines else "no line is kept of its containers")


def _crossing(wanted: Expected, found: Evidence) -> TelemetryRow:
    """Return whether one trace leads from the proxy to the database, and is found in the logs on its way."""
    fronts = tuple(dict.fromkeys(one.aim.service for one in found.sent))
    services = tuple(dict.fromkeys((*fronts, *wanted.traced, *(wanted.databases if wanted.traced else ()))))
    check = "one trace crosses them, and their logs name it"
    if not wanted.traced:
        return TelemetryRow(", ".join(fronts) or "-", TRACES, check, SKIPPED, f"no service has metrics of its own "
                            f"or the variable {ENDPOINT}")  # fmt: skip
    gaps = [_gaps(wanted, found, one) for one in found.sent if one.trace in found.traces]
    best = min(gaps, key=len, default=("no trace of the requests is stored",))
    return _row(", ".join(services), TRACES, check, "; ".join(best))


def _gaps(wanted: Expected, found: Evidence, sent: Sent) -> tuple[str, ...]:
    """Return what a trace lacks: spans of a service that answers, of a database, and lines of logs that name it."""
    trace, spans = sent.trace, found.traces[sent.trace]
    answering = [service for service, name in wanted.traced.items()
                 if any(span.service == name and span.kind == SERVER for span in spans)]  # fmt: skip
    gaps = [] if answering else [f"no service has answered in a span of {trace}"]
    if wanted.databases and not any(span.database for span in spans):
        gaps.append(f"no span of {trace} asks a database")
    on_its_way = dict.fromkeys((sent.aim.service, *answering))
    silent = [service for service in on_its_way if trace not in found.logged.get(service, frozenset())]
    return (*gaps, *(f"no line of {service} names {trace}" for service in silent))


def _exemplar(wanted: Expected, found: Evidence) -> TelemetryRow:
    """Return whether an exemplar, which a person would click on, leads to a trace that is stored."""
    services, check = ", ".join(wanted.own), "an exemplar opens its trace"
    if not wanted.own:
        return TelemetryRow("-", EXEMPLARS, check, SKIPPED, "no service has metrics of its own")
    fresh = [one for one in found.exemplars if one.time >= found.since]
    if not fresh:
        return _row(services, EXEMPLARS, check, "no exemplar since the requests names a trace")
    if not any(one.trace in found.traces for one in fresh):
        return _row(
            services, EXEMPLARS, check, f"no trace of {len(fresh)} exemplars is stored, such as {fresh[0].trace}"
        )
    return _row(services, EXEMPLARS, check)


def complete(rows: Iterable[TelemetryRow]) -> bool:
    """Whether nothing is missing."""
    return all(row.outcome != FAILED for row in rows)


def missing(rows: Iterable[TelemetryRow]) -> str:
    """Return in a line what is missing: services by store."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.outcome == FAILED:
            found.setdefault(row.store, []).append(row.service)
    return "; ".join(f"{store} of {', '.join(dict.fromkeys(services))}" for store, services in found.items())


def traceparent(trace: str, span: str) -> str:
    """Return the header of W3C that says which trace a request is part of, and that it is to be recorded."""
    return f"00-{trace}-{span}-01"
