"""What ``monitor.report`` plots: of each service, of its database or queue, and of the host."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ....model.record import Record
from ....model.stack.telemetry.metrics import KINDS as EXPORTERS
from ....telemetry.plan import queries
from ....telemetry.plan.queries import selector
from ....telemetry.plan.series import Series
from . import shown
from .chart import Chart, Curve
from .figures import Period, curve
from .sources import EXPORTER, REQUESTS, RequestSource

_MOST = 6  # curves of a chart: more cannot be told apart
UNITS: Mapping[str, Callable[[float | None], str]] = {
    "rate": shown.rate,
    "share": shown.share,
    "seconds": shown.seconds,
    "bytes": shown.size,
    "number": shown.number,
}
# File systems that hold nothing that can run full: https://github.com/prometheus/node_exporter (--collector.filesystem)
_NO_DISK = 'fstype!~"tmpfs|ramfs|overlay|squashfs|rootfs|devtmpfs|nsfs|iso9660"'


class Panel(Record):
    """A chart to be: names and expressions of its curves, or one expression with a curve for each value of a label.

    ``unit`` is one of ``UNITS``; ``top`` the value that the axis reaches at least.
    """

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    split: str = ""
    top: float = 0.0


def of_requests(source: RequestSource) -> tuple[Panel, ...]:
    """Return the panels of a service: rate, errors, duration."""
    panels = [Panel(f"{source.unit.capitalize()} per second", "rate", ((source.unit, source.rate),))]
    if source.kind != EXPORTER:
        quantiles = tuple((name, str(getattr(source, name))) for name in ("p50", "p95", "p99"))
        panels.append(Panel("Share of errors", "share", (("errors", source.errors),), top=0.01))
        panels.append(Panel(f"How long {REQUESTS} take", "seconds", quantiles))
    return tuple(panels)


def of_containers(project: str, service: str, window: float) -> tuple[Panel, ...]:
    """Return the panels of the containers of a service: each is a curve."""
    span, chosen = queries.span(window), {"project": project, "service": service}
    cores = f"sum by (container) (rate({selector('container_cpu_usage_seconds_total', **chosen)}[{span}]))"
    held = f"max by (container) ({selector('container_memory_working_set_bytes', **chosen)})"
    return (
        Panel("Processor cores in use", "number", (("", cores),), "container"),
        Panel("Memory in use", "bytes", (("", held),), "container"),
    )


def of_exporter(kind: str, service: str, window: float) -> tuple[Panel, ...]:
    """Return the panels of what an exporter knows of a service."""
    make = dict(zip(EXPORTERS, (_postgres, _mysql, _redis, _proxy), strict=True))[kind]

    def of(metric: str, *written: str) -> str:
        return selector(metric, *written, service=service)

    def per_second(metric: str) -> str:
        return f"sum(rate({of(metric)}[{queries.span(window)}]))"

    return tuple(make(of, per_second, kind))


_Of = Callable[..., str]


def _postgres(of: _Of, per_second: _Of, _kind: str) -> Iterable[Panel]:
    read, hit = per_second("pg_stat_database_blks_read"), per_second("pg_stat_database_blks_hit")
    done = (
        ("committed", per_second("pg_stat_database_xact_commit")),
        ("rolled back", per_second("pg_stat_database_xact_rollback")),
    )
    limit = f"max({of('pg_settings_max_connections')})"
    yield Panel("Transactions per second", "rate", done)
    yield Panel("Connections", "number", (("open", f"sum({of('pg_stat_database_numbackends')})"), ("at most", limit)))
    yield Panel("Deadlocks per second", "rate", (("deadlocks", per_second("pg_stat_database_deadlocks")),))
    yield Panel("Reads answered from memory", "share", (("from memory", f"{hit} / ({hit} + {read} > 0)"),), top=1)
    yield Panel("Size of the databases", "bytes", (("size", f"sum({of('pg_database_size_bytes')})"),))


def _mysql(of: _Of, per_second: _Of, _kind: str) -> Iterable[Panel]:
    open_, limit = of("mysql_global_status_threads_connected"), of("mysql_global_variables_max_connections")
    slow = per_second("mysql_global_status_slow_queries")
    yield Panel("Statements per second", "rate", (("statements", per_second("mysql_global_status_questions")),))
    yield Panel("Connections", "number", (("open", f"sum({open_})"), ("at most", f"max({limit})")))
    yield Panel("Slow statements per second", "rate", (("slow", slow),))


def _redis(of: _Of, per_second: _Of, _kind: str) -> Iterable[Panel]:
    memory = (
        ("used", f"sum({of('redis_memory_used_bytes')})"),
        ("at most", f"max({of('redis_memory_max_bytes')} > 0)"),
    )
    yield Panel("Commands per second", "rate", (("commands", per_second("redis_commands_processed_total")),))
    yield Panel("Clients", "number", (("clients", f"sum({of('redis_connected_clients')})"),))
    yield Panel("Memory", "bytes", memory)
    yield Panel("Keys thrown out per second", "rate", (("evicted", per_second("redis_evicted_keys_total")),))


def _proxy(of: _Of, per_second: _Of, kind: str) -> Iterable[Panel]:
    connections = (("active", "active"), ("waiting", "waiting"), ("writing", "writing"))
    lines = tuple((name, f"sum({of(f'{kind}_connections_{state}')})") for name, state in connections)
    yield Panel("Requests per second", "rate", ((REQUESTS, per_second(f"{kind}_http_requests_total")),))
    yield Panel("Connections", "number", lines)


def of_host(project: str, window: float) -> tuple[Panel, ...]:
    """Return the panels of the host that the containers run on, and of what these send and receive."""
    span = queries.span(window)
    idle = f'avg(rate(node_cpu_seconds_total{{mode="idle"}}[{span}]))'
    disks = f"node_filesystem_avail_bytes{{{_NO_DISK}}} / node_filesystem_size_bytes{{{_NO_DISK}}}"
    received, sent = (
        f"sum(rate({selector(f'container_network_{way}_bytes_total', project=project)}[{span}]))"
        for way in ("receive", "transmit")
    )
    memory = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
    return (
        Panel("Processor in use", "share", (("in use", f"1 - {idle}"),), top=1),
        Panel("Memory in use", "share", (("in use", f"max({memory})"),), top=1),
        Panel("Space in use", "share", (("", f"max by (device) (1 - {disks})"),), "device", 1),
        Panel("Network of the containers, bytes per second", "bytes", (("received", received), ("sent", sent))),
    )


def chart(panel: Panel, answers: Sequence[Sequence[Series]], during: Period) -> Chart:
    """Return the chart of a panel from the answers to its expressions, in their order.

    Of a label with many values the curves that reach highest are drawn, the others counted in the title.
    """
    title, curves = panel.title, []
    for (name, _), series in zip(panel.lines, answers, strict=True):
        if panel.split:
            curves += [Curve(one.labels.get(panel.split, "") or "-", curve((one,), during)) for one in series]
        else:
            curves.append(Curve(name, curve(series, during)))
    if len(curves) > _MOST:
        highest = sorted(curves, key=lambda one: -max(one.known, default=0.0))[:_MOST]
        title += f" ({len(curves) - _MOST} lower ones are not drawn)"
        curves = [one for one in curves if one in highest]
    return Chart(title, tuple(sorted(curves, key=lambda one: one.name) if panel.split else curves), during,
                 UNITS[panel.unit], panel.top)  # fmt: skip
