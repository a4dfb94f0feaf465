"""Where the numbers of a service come from: its own metrics, its spans, or those that an exporter has of it."""

from ....model.record import Record
from ....model.stack.telemetry.metrics import KINDS as EXPORTERS
from ....model.stack.telemetry.metrics import Metrics
from ....telemetry.plan import queries
from ....telemetry.plan.queries import Requests, quoted, selector

METRICS, SPANS, EXPORTER = "metrics", "traces", "exporter"
REQUESTS = "requests"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# What the known software does per second, and its counters; an exporter has neither errors nor latencies.
_WORK = dict(
    zip(
        EXPORTERS,
        (
            ("transactions", "pg_stat_database_xact_commit", "pg_stat_database_xact_rollback"),
            ("statements", "mysql_global_status_questions"),
            ("commands", "redis_commands_processed_total"),
            (REQUESTS, "{}_http_requests_total"),
        ),
        strict=True,
    )
)
# https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/connector/spanmetricsconnector
_CALLS, _SECONDS = "traces_span_metrics_calls_total", "traces_span_metrics_duration_seconds_bucket"


class RequestSource(Record):
    """The expressions for one place where the requests of a service are counted; "" for what is not known there."""

    kind: str
    unit: str
    rate: str
    errors: str = ""
    p50: str = ""
    p95: str = ""
    p99: str = ""


def sources(service: str, metrics: Metrics | None, window: str | float) -> tuple[RequestSource, ...]:
    """Return where the numbers of a service may be, the best first; ``window`` as in PromQL, or in seconds."""
    found = [_spans(service, window)]
    if metrics and metrics.port and not metrics.exporter:
        requests = Requests.of(service, metrics)
        latencies = {name: requests.quantile(share, window) for name, share in QUANTILES.items()}
        found.insert(0, RequestSource(METRICS, REQUESTS, requests.rate(window), _errors(requests, window), **latencies))
    if metrics and metrics.exporter in _WORK:
        unit, *counters = _WORK[metrics.exporter]
        names = (counter.format(metrics.exporter) for counter in counters)
        rates = (f"sum(rate({selector(name, service=service)}[{queries.span(window)}]))" for name in names)
        found.append(RequestSource(EXPORTER, unit, " + ".join(rates)))
    return tuple(found)


def _errors(requests: Requests, window: str | float) -> str:
    """Return the expression for the share of errors; nothing where no request has the label that says its status."""
    labelled = selector(f"{requests.duration}_count", f'{requests.status}!=""', service=requests.service)
    return f"({requests.errors(window)}) and on () count(count_over_time({labelled}[{queries.span(window)}]))"


def _spans(service: str, window: str | float) -> RequestSource:
    """Return the expressions for the spans that a service answered requests in."""
    of, during = f'service_name={quoted(service)}, span_kind="SPAN_KIND_SERVER"', queries.span(window)
    calls = f"sum(rate({_CALLS}{{{of}}}[{during}]))"
    failed = f'sum(rate({_CALLS}{{{of}, status_code="STATUS_CODE_ERROR"}}[{during}]))'
    latencies = {
        name: f"histogram_quantile({share}, sum by (le) (rate({_SECONDS}{{{of}}}[{during}])))"
        for name, share in QUANTILES.items()
    }
    # Without a failed call there is no series of failed calls; without a call there is no share.
    return RequestSource(SPANS, REQUESTS, calls, f"({failed} or 0 * {calls}) / ({calls} > 0)", **latencies)


def busiest(project: str, window: str | float) -> str:
    """Return the expression for the cores that the busiest container of each service uses."""
    used = selector("container_cpu_usage_seconds_total", project=project)
    return f"max by (service) (rate({used}[{queries.span(window)}]))"


def fullest(project: str) -> str:
    """Return the expression for the bytes that the fullest container of each service holds."""
    return f"max by (service) ({selector('container_memory_working_set_bytes', project=project)})"


CORES = "count(count by (cpu) (node_cpu_seconds_total))"
"""The expression for the number of cores of the host."""
