"""The page of monitor.report."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from tasks.monitor.view.plan import shown
from tasks.monitor.view.plan.budget import ErrorBudget
from tasks.monitor.view.plan.chart import Chart, Curve, Mark
from tasks.monitor.view.plan.figures import Period, ServiceFigures
from tasks.monitor.view.plan.happened import Fired, Restarted
from tasks.monitor.view.plan.page import MonitorReport, ServiceReport, page
from tasks.monitor.view.plan.routes import Route

START = 1_795_910_400.0  # 2026-11-29 00:00 UTC
DURING = Period(START, START + 86_400, 360.0, 360.0)
NASTY = "<script>alert('&\"')</script>"


def chart(title: str = "Requests per second", *values: float | None) -> Chart:
    return Chart(title, (Curve("requests", values),), DURING, shown.rate)


def report(**changes: Any) -> MonitorReport:
    web = ServiceFigures("web", "metrics", rate=18.2, errors=0.021, p50=0.004, p95=0.02, p99=0.06, memory=0.6)
    routes = (Route("GET", "/api/users/{id}", 1200.4, 0.0, 0.06),)
    many = chart("Requests per second", *(float(number % 50) for number in range(len(DURING.times))))
    whole = MonitorReport(
        "shop", "staging", DURING, START + 90_000,
        (
            ServiceReport(web, 1_572_480.4, (many,), routes, ""),
            ServiceReport(ServiceFigures("worker"), None, (chart("Memory in use"),), (), "no data in the last 24 h"),
        ),
        (chart("Processor in use", 0.5),),
        (Mark(START + 3600, "deployed 1.4.2"), Mark(START + 7200, "rolled back", "failure")),
        (ErrorBudget("web", "availability", 0.999, -0.2, 3.1), ErrorBudget("web", "latency", None, None, None)),
        (Fired("HighErrorRate", "page", "service=web", START, START + 900),
         Fired("DiskFull", "ticket", "", START + 86_000, START + 86_400, True)),
        (Restarted("shop-web-1", 3, 1),),
    )  # fmt: skip
    return replace(whole, **changes)


class Reader(HTMLParser):
    """Reads a page: its texts, what it loads, and whether every element is closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.names: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        given = dict(attributes)
        self.loads += [f"{name}={value}" for name, value in attributes if name in ("src", "href", "srcset")]
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(text)


def texts(whole: MonitorReport) -> str:
    return " | ".join(Reader(page(whole)).texts)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = page(report())
    read = Reader(text)
    assert read.loads == [] and "script" not in read.names and "url(" not in text and "@import" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'" in text


def test_every_element_is_closed_and_every_id_is_unique() -> None:
    read = Reader(page(report()))
    assert read.open == []
    assert len(read.ids) == len(set(read.ids)) > 0


def test_what_others_have_named_is_escaped() -> None:
    web = ServiceFigures(NASTY)
    text = page(
        report(
            project=NASTY,
            environment=NASTY,
            services=(ServiceReport(web, None, (chart(NASTY, 1.0),), (Route(NASTY, NASTY, 1, 0, 0),), NASTY),),
            host=(chart(NASTY, 1.0),),
            marks=(Mark(START, NASTY), Mark(START, NASTY, "failure")),
            objectives=(ErrorBudget(NASTY, NASTY, 1, 1, 1),),
            alerts=(Fired(NASTY, NASTY, NASTY, START, START),),
            restarts=(Restarted(NASTY, 1, 1),),
        )
    )
    assert "<script" not in text and "</script" not in text and "&lt;script&gt;" in text


def test_the_services_are_summed_up_and_what_is_not_known_is_a_dash_and_a_sentence() -> None:
    found = texts(report())
    assert "web | requests | 1,572,480 | 18.2/s | 2.10 % | 4.0 ms | 20 ms | 60 ms | - | 60.0 %" in found
    assert "worker | - | - | - | - | - | - | - | - | -" in found
    assert "worker: no data in the last 24 h" in found


def test_a_chart_without_data_says_so() -> None:
    assert "No data: Memory in use, 2026-11-29 00:00 to 2026-11-30 00:00 UTC." in texts(report())


def test_a_budget_that_is_spent_is_not_shown_as_one_that_is_left() -> None:
    found = texts(report())
    assert "web | availability | 99.9 % | spent 1.2 times | 3.10" in found
    assert "web | latency | - | - | -" in found


def test_alerts_say_since_when_and_whether_they_still_fire() -> None:
    found = texts(report())
    assert "before 2026-11-29 00:00 | 2026-11-29 00:15 | 15 m" in found
    assert "2026-11-29 23:53 | still | 6 m 40 s" in found


def test_where_nothing_happened_a_sentence_says_so() -> None:
    found = texts(report(marks=(), objectives=(), alerts=(), restarts=()))
    for sentence in ("No deploy is known", "No data: no service has an objective", "None.", "No container was started"):
        assert sentence in found


def test_curves_can_be_read_as_a_table_of_some_24_rows() -> None:
    body = re.search(r"<details>.*?<tbody>(.*?)</tbody>.*?</details>", page(report()), re.S)
    assert body is not None
    assert body[1].count("<tr>") == 22
    assert "Each row is the highest of 11 values." in texts(report())


def test_tables_have_headers_and_can_be_scrolled_by_keyboard() -> None:
    text = page(report())
    assert text.count("<table>") == text.count('role="region" tabindex="0" aria-label="')
    assert text.count('<th scope="col"') == len(re.findall(r"<th[ >]", text))


def test_there_are_colours_for_light_and_for_dark() -> None:
    text = page(report())
    assert "color-scheme:light dark" in text and "prefers-color-scheme:dark" in text
