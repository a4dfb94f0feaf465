"""monitor.report, with a server in place of Prometheus."""

import json
from pathlib import Path

import pytest
from watched_shop import NOW, Answers, project, watched

from tasks.model.errors import InputError
from tasks.monitor.view.report import run
from tests import schemas

BUSY: Answers = {
    "container_cpu_usage": [({"service": "web", "container": "shop-web-1"}, 0.5)],
    "container_memory": [({"service": "web", "container": "shop-web-1"}, 9.6e7)],
    "container_restarts_total": [({"container": "shop-web-1"}, 2.0), ({"container": "shop-store-1"}, 0.0)],
    "histogram_quantile(0.99, sum by (le, http_request_method": [
        ({"http_request_method": "GET", "http_route": "/api/users/{id}"}, 0.25),
        ({"http_request_method": "POST", "http_route": "/api/users"}, 0.5),
    ],
    "sum by (http_request_method, http_route) (increase(": [
        ({"http_request_method": "GET", "http_route": "/api/users/{id}"}, 1200.4),
        ({"http_request_method": "POST", "http_route": "/api/users"}, 33.0),
        ({"http_request_method": "GET", "http_route": "/version"}, 0.0),
    ],
    "increase(http_server": [({}, 43_200.0)],
    "histogram_quantile": [({}, 0.1)],
    'status_code=~"5.."': [({}, 0.02)],
    "http_server_request_duration_seconds_count": [({}, 12.5)],
    "slo:period_error_budget": [({"sloth_service": "web", "sloth_slo": "availability"}, 0.42)],
    "slo:objective": [({"sloth_service": "web", "sloth_slo": "availability"}, 0.999)],
    "ALERTS": [({"alertname": "HighErrorRate", "severity": "page", "service": "web"}, 1.0)],
    "slipway_deploy_last": [({"outcome": "deployed"}, NOW - 3600)],
    "slipway_release_info": [({"release": "3", "version": "1.4.3"}, 1.0)],
}


def test_the_page_and_its_document_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(BUSY, tmp_path) as (shop, _):
        run(shop, "24h", "", "", json=True)
    document = json.loads(capsys.readouterr().out)
    assert schemas.faults(document) == []
    assert (document["since"], document["until"]) == ("2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z")
    web = document["services"][0]
    assert (web["requests"], web["rate"], web["errors"]) == (43_200.0, 12.5, 0.02)
    assert [route["route"] for route in web["routes"]] == ["/api/users", "/api/users/{id}"]
    assert document["releases"] == [{"time": "2026-11-28T23:00:00Z", "text": "deployed 1.4.3", "kind": "release"}]
    assert document["objectives"][0] == {
        "service": "web", "name": "availability", "objective": 0.999, "budget_left": 0.42, "burn_rate": None,
    }  # fmt: skip
    assert [(alert["alert"], alert["until"]) for alert in document["alerts"]] == [("HighErrorRate", None)]
    assert document["restarts"] == [{"container": "shop-web-1", "restarts": 2, "out_of_memory": 0}]
    page = Path(document["file"]).read_text(encoding="utf-8")
    assert document["file"] == str(tmp_path / "monitor" / "shop.html")
    for word in ("deployed 1.4.3", "HighErrorRate", "/api/users/{id}", "43,200", "99.9 %", "42.0 %", "shop-web-1"):
        assert word in page


def test_the_page_goes_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(BUSY, tmp_path) as (shop, _):
        run(shop, "2h", "1h", str(tmp_path / "page.html"), json=False)
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    assert "2026-11-28 22:00 to 2026-11-28 23:00 UTC" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_time_without_data_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched({}, tmp_path) as (shop, _):
        run(shop, "24h", "", "", json=False)
    assert "no data of any service from 2026-11-28T00:00:00Z to 2026-11-29T00:00:00Z" in capsys.readouterr().err
    page = (tmp_path / "monitor" / "shop.html").read_text(encoding="utf-8")
    assert "0 %" not in page.replace("width:100%", "") and page.count("No data: ") >= 7


def test_alerts_are_looked_for_more_finely_than_curves_are_drawn(tmp_path: Path) -> None:
    with watched(BUSY, tmp_path) as (shop, server):
        run(shop, "24h", "", "", json=False)
    steps = {asked.fields["query"][:6]: asked.fields["step"] for asked in server.requests if "step" in asked.fields}
    assert (steps["ALERTS"], steps["sum (r"]) == ("18.000", "360.000")


@pytest.mark.parametrize(
    ("since", "until", "word"),
    [
        ("1h", "2h", "less than four readings"),
        ("30s", "", "less than four readings"),
        ("yesterday", "", "--since: expected a time"),
        ("2h", "soon", "--until: expected a time"),
    ],
)
def test_a_time_that_is_none_is_refused(since: str, until: str, word: str, tmp_path: Path) -> None:
    with watched({}, tmp_path) as (shop, _), pytest.raises(InputError) as error:
        run(shop, since, until, "", json=False)
    assert word in error.value.message


@pytest.mark.parametrize("out", [".", "nowhere/report.html"])
def test_a_page_is_not_written_where_no_file_can_be(out: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run(project(9, tmp_path), "24h", "", str(tmp_path / out), json=False)
    assert "no file can be written there" in error.value.message
