"""What the report plots."""

import pytest

from tasks.model.stack.telemetry.metrics import KINDS, Metrics
from tasks.monitor.view.plan import panels as plan
from tasks.monitor.view.plan.figures import Period
from tasks.monitor.view.plan.panels import Panel
from tasks.monitor.view.plan.sources import sources
from tasks.telemetry.plan.series import Series

DURING = Period(0.0, 100.0, 50.0, 60.0)


def series(label: str, *values: float) -> Series:
    return Series({"container": label}, tuple((50.0 * at, value) for at, value in enumerate(values)))


def test_a_service_has_its_rate_its_errors_and_how_long_it_takes() -> None:
    panels = plan.of_requests(sources("web", Metrics(9464), 60.0)[0])
    assert [panel.title for panel in panels] == ["Requests per second", "Share of errors", "How long requests take"]
    assert [name for name, _ in panels[2].lines] == ["p50", "p95", "p99"]


def test_what_an_exporter_counts_has_neither_errors_nor_latencies() -> None:
    panels = plan.of_requests(sources("store", Metrics(5432, exporter="postgres"), 60.0)[-1])
    assert [panel.title for panel in panels] == ["Transactions per second"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_exporter_has_panels_whose_expressions_ask_for_the_service(kind: str) -> None:
    panels = plan.of_exporter(kind, "store", 60.0)
    expressions = [expression for panel in panels for _, expression in panel.lines]
    assert len(expressions) > 2 and all('service="store"' in expression for expression in expressions)
    assert all(panel.unit in plan.UNITS for panel in panels)


def test_each_container_of_a_service_has_a_curve() -> None:
    cores = plan.of_containers("shop", "web", 60.0)[0]
    chart = plan.chart(cores, [(series("shop-web-2", 1, 2, 3), series("shop-web-1", 4, 5))], DURING)
    assert [(one.name, one.values) for one in chart.curves] == [
        ("shop-web-1", (4.0, 5.0, None)),
        ("shop-web-2", (1.0, 2.0, 3.0)),
    ]


def test_of_many_containers_the_highest_are_drawn_and_the_others_counted() -> None:
    many = [series(f"shop-web-{number}", number) for number in range(1, 10)]
    chart = plan.chart(plan.of_containers("shop", "web", 60.0)[0], [many], DURING)
    assert [one.name for one in chart.curves] == [f"shop-web-{number}" for number in range(4, 10)]
    assert chart.title == "Processor cores in use (3 lower ones are not drawn)"


def test_a_curve_without_an_answer_is_there_without_values() -> None:
    panel = Panel("Connections", "number", (("open", "x"), ("at most", "y")))
    chart = plan.chart(panel, [(series("", 3),), ()], DURING)
    assert [(one.name, one.known) for one in chart.curves] == [("open", [3.0]), ("at most", [])]


def test_the_host_has_processor_memory_space_and_network() -> None:
    assert [panel.title.split()[0] for panel in plan.of_host("shop", 60.0)] == [
        "Processor",
        "Memory",
        "Space",
        "Network",
    ]
