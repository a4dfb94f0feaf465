"""A project whose monitoring is a small server that answers PromQL by parts of the expression."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from store_server import Asked, StoreServer, serving, success
from support import container, profile, stack

from tasks.host.project import Project

NOW = 1_795_910_400.0  # 2026-11-29 00:00 UTC
SERVICES: dict[str, Any] = {
    "web": {"image": "web", "cpus": 2, "x-slipway": {"metrics": {"port": 9464}}},
    "store": {"image": "store", "x-slipway": {"database": "postgres", "metrics": {"exporter": "postgres"}}},
    "worker": {"image": "worker"},
    "tidy": {"image": "tidy", "x-slipway": {"job": "once"}},
}
Answers = Mapping[str, list[tuple[dict[str, str], float]]]
"""Labels and value of each series, by a part of the expression; the first part that is in it counts."""


def project(port: int, reports: Path) -> Project:
    """Return a project whose Prometheus and Jaeger are at a port."""
    found = [
        container(f"shop-monitoring-{name}-1", project="shop-monitoring", service=name, number=1,
                  ports=(f"127.0.0.1:{port}->9090/tcp",))
        for name in ("prometheus", "jaeger")
    ]  # fmt: skip
    shop = SimpleNamespace(
        profile=profile("staging", MONITOR_INTERVAL="15s"),
        stack=stack(SERVICES),
        model={"name": "shop", "services": SERVICES},
        engine=SimpleNamespace(labelled=lambda label: found if label == "slipway.monitors=shop" else ()),
        address="",
        settings=SimpleNamespace(reports_dir=reports),
        runner=SimpleNamespace(dry=False),
    )
    return cast("Project", shop)


def answering(answers: Answers, asked: Asked) -> tuple[int, bytes]:
    """Return the answer to a question: series at one time, or at each time of a range."""
    expression = asked.fields["query"]
    if expression == "time()":
        return success({"resultType": "scalar", "result": [NOW, str(NOW)]})
    series = next((found for part, found in answers.items() if part in expression), [])
    if asked.path == "/api/v1/query_range":
        start, end, step = (float(asked.fields[name]) for name in ("start", "end", "step"))
        times = [start + number * step for number in range(int((end - start) / step) + 1)]
        result = [{"metric": labels, "values": [[time, str(value)] for time in times]} for labels, value in series]
        return success({"resultType": "matrix", "result": result})
    result = [{"metric": labels, "value": [NOW, str(value)]} for labels, value in series]
    return success({"resultType": "vector", "result": result})


@contextmanager
def watched(answers: Answers, reports: Path) -> Iterator[tuple[Project, StoreServer]]:
    """Yield a project whose Prometheus answers so, and the server that is its Prometheus."""
    with serving(lambda asked: answering(answers, asked)) as server:
        yield project(server.port, reports), server
