"""test.telemetry, with small servers in place of a stack and of the stores that watch it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from store_server import Asked, StoreServer, serving, success
from support import container, profile, stack

from tasks.host.project import Project
from tasks.host.reports import Run
from tasks.model.engine.log_lines import LogLine
from tasks.model.errors import RefusedError
from tasks.model.suite import SuiteResult
from tasks.test import telemetry
from tasks.test.plan import junit
from tests import schemas

NOW = 1_795_910_400.0


class Shop:
    """A front that names the trace of each request in its log, a service behind it, and what watches them.

    ``broken`` is what does not work: ``traces``, ``logs``, ``exemplars``, ``metrics``, ``front``.
    """

    def __init__(self, directory: Path, broken: str) -> None:
        self.broken, self.directory = broken, directory
        self.traces: list[str] = []

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        """Answer a client as the front does."""
        version, trace, _, flags = asked.headers["traceparent"].split("-")
        assert (version, flags) == ("00", "01")
        self.traces.append(trace)
        return (502, b"") if self.broken == "front" else (200, b"{}")

    def know(self, asked: Asked) -> tuple[int, bytes]:
        """Answer as Prometheus and Jaeger do."""
        if asked.path == "/api/traces":
            return 200, json.dumps({"data": [self._trace(trace) for trace in asked.every.get("traceID", ())]}).encode()
        if asked.path == "/api/v1/query_exemplars":
            known = [] if self.broken == "exemplars" else self.traces[-1:]
            examples = [{"labels": {"trace_id": trace}, "value": "0.1", "timestamp": NOW + 1} for trace in known]
            return success([{"seriesLabels": {}, "exemplars": examples}])
        expression = asked.fields["query"]
        if expression == "time()":
            return success({"resultType": "scalar", "result": [NOW, str(NOW)]})
        gone = self.broken == "metrics" and 'service="web"' in expression
        result = [] if gone else [{"metric": {}, "value": [NOW, str(NOW + 1)]}]
        return success({"resultType": "vector", "result": result})

    def _trace(self, trace: str) -> dict[str, Any]:
        def span(number: int, kind: str, **tags: str) -> dict[str, Any]:
            named = {"span.kind": kind, **tags}
            return {"traceID": trace, "spanID": str(number), "operationName": "x", "processID": "p",
                    "tags": [{"key": key, "value": value} for key, value in named.items()]}  # fmt: skip

        spans = [span(1, "server"), span(2, "client", **{"db.system.name": "postgresql"})]
        known = [] if self.broken == "traces" else spans
        return {"traceID": trace, "spans": known, "processes": {"p": {"serviceName": "web"}}}

    def read(self, identity: str, since: int) -> Iterator[LogLine]:
        """Yield the lines of a container."""
        if self.broken == "logs" and "web" in identity:
            return
        named = () if "store" in identity else self.traces
        for trace in (*named, ""):
            yield LogLine(since, "stdout", json.dumps({"level": "info", "trace_id": trace}))

    def project(self, front: StoreServer, stores: StoreServer) -> Project:
        """Return the project."""
        url = f"http://127.0.0.1:{front.port}/api/users"
        services: dict[str, Any] = {
            "front": {"image": "front", "x-slipway": {"smoke": [{"url": url}]}},
            "web": {"image": "web", "environment": {"A": None}, "x-slipway": {"metrics": {"port": 9464}}},
            "store": {"image": "store", "x-slipway": {"database": "postgres", "metrics": {"exporter": "postgres"}}},
        }
        own = [container(f"shop-{name}-1") for name in services]
        watching = [
            container("shop-x-1", project="shop-monitoring", service=name, ports=(f"127.0.0.1:{stores.port}->1/tcp",))
            for name in ("prometheus", "jaeger")
        ]
        logs = SimpleNamespace(clock=lambda: 5, read=self.read, last=lambda *_: ([], True))
        shop = SimpleNamespace(
            profile=profile("staging", MONITOR_INTERVAL="15s"),
            stack=stack(services),
            model={"services": services},
            engine=SimpleNamespace(containers=lambda name: own, labelled=lambda label: watching, logs=logs),
            address="",
            runner=SimpleNamespace(dry=False),
        )
        shop.engine.local = lambda: True
        shop.wide = shop
        return cast("Project", shop)


@contextmanager
def shop(directory: Path, broken: str = "") -> Iterator[tuple[Project, Run]]:
    """Yield a shop, and the run whose reports are of it."""
    one = Shop(directory, broken)
    with ExitStack() as servers:
        front = servers.enter_context(serving(one.answer))
        stores = servers.enter_context(serving(one.know))
        yield one.project(front, stores), Run("20261129-000000-0000", directory / "20261129-000000-0000")


def result(directory: Path, broken: str = "") -> SuiteResult:
    with shop(directory, broken) as (project, run):
        return telemetry.execute(project, run, 0.2)


def test_where_all_is_known_the_suite_passes_and_writes_its_reports(tmp_path: Path) -> None:
    found = result(tmp_path)
    assert (found.outcome, found.tests, found.failures, found.reason) == ("passed", 10, 0, "")
    written, document = (tmp_path / name for name in found.reports)
    report = junit.parse(written.read_bytes(), "junit.xml")
    assert (report.count(), report.count("failed")) == (10, 0)
    checks = json.loads(document.read_text(encoding="utf-8"))["checks"]
    whole = {"schema": "slipway/test.telemetry/v1", "outcome": "passed", "run": "x", "suites": [], "coverage": None}
    assert schemas.faults({**whole, "checks": checks}) == []


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ("traces", "missing: traces of web, front, web, store; exemplars of web"),
        ("metrics", "missing: metrics of web"),
        ("logs", "missing: logs of web; traces of front, web, store"),
        ("exemplars", "missing: exemplars of web"),
        ("front", "missing: requests of front"),
    ],
)
def test_what_does_not_work_is_named(broken: str, missing: str, tmp_path: Path) -> None:
    found = result(tmp_path, broken)
    assert found.outcome == "failed" and found.failures > 0
    assert found.reason == missing
    report = junit.parse((tmp_path / found.reports[0]).read_bytes(), "junit.xml")
    assert report.count("failed") == found.failures


def test_an_environment_is_monitored_when_its_prometheus_runs(tmp_path: Path) -> None:
    with shop(tmp_path) as (project, _):
        assert telemetry.monitored(project)
        stopped = [container("shop-x-1", project="shop-monitoring", service="prometheus", state="exited")]
        project.engine.labelled = lambda *_labels: stopped  # type: ignore[method-assign,assignment,return-value]
        assert not telemetry.monitored(project)
        with pytest.raises(RefusedError) as error:
            telemetry.execute(project, Run("x", tmp_path / "x"))
    assert error.value.hint == "inv monitor.up --env staging"
