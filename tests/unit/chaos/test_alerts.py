"""The alert that an experiment names: it is waited for where something monitors the environment, and nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from store_server import Asked, serving, success
from support import ROOT, container, profile, stack

from tasks.chaos import alerts
from tasks.chaos.alerts import AlertCheck
from tasks.chaos.plan.alerts import sentence, why_not
from tasks.host.project import Project
from tasks.model.errors import InputError, RefusedError

SOON = (0.2, 0.2)  # seconds that an alert has
SERVICES: dict[str, Any] = {"web": {"image": "web", "x-slipway": {"metrics": {"port": 9464}}}}


def told(*answers: bool | RefusedError) -> Callable[[], bool]:
    """Return what says in turn whether the alert fires; the last answer stays."""
    left = list(answers)

    def fires() -> bool:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, RefusedError):
            raise answer
        return answer

    return fires


def checked(*answers: bool | RefusedError) -> AlertCheck:
    check = AlertCheck("ServiceErrors", told(*answers), SOON, look=0.01)
    check.begin()
    check.await_firing()
    check.await_resolved()
    return check


def test_an_alert_that_fires_and_is_resolved_has_both_times() -> None:
    check = checked(False, RefusedError("prometheus does not answer", "wait"), True, True, False)
    document = check.document()
    assert 0 <= document["fired_after"] < 5 and 0 <= document["resolved_after"] < 5
    assert (check.as_it_should, document["not_asked"], why_not(document)) == (True, None, "")


def test_an_alert_that_does_not_fire_is_not_waited_for_until_it_is_resolved() -> None:
    check = checked(False)
    assert check.document() == {"name": "ServiceErrors", "fired_after": None, "resolved_after": None, "not_asked": None}
    assert (check.as_it_should, why_not(check.document())) == (False, "ServiceErrors has not fired")


def test_an_alert_that_goes_on_firing_is_not_as_it_should_be() -> None:
    check = checked(True)
    assert not check.as_it_should
    assert why_not(check.document()) == "ServiceErrors is not resolved"
    assert sentence(check.document()) == "ServiceErrors fired after 0.0 s, and is not resolved"


def test_a_prometheus_that_never_answers_is_no_alert_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not checked(RefusedError("prometheus of test does not answer", "wait")).as_it_should
    assert "ServiceErrors: has not fired: prometheus of test does not answer" in capsys.readouterr().err


def test_it_is_waited_for_before_the_first_end_of_a_fault_and_not_before_others() -> None:
    asked: list[bool] = []

    def fires() -> bool:
        asked.append(True)
        return True

    check = AlertCheck("ServiceErrors", fires, SOON, look=0.01)
    check.await_firing()
    check.await_firing()
    assert asked == [True]


@contextmanager
def monitored(firing: dict[str, str], services: dict[str, Any] = SERVICES) -> Iterator[Project]:
    """A project whose Prometheus knows one alert, which fires with these labels if there are any."""
    rule = {"name": "ServiceErrors", "type": "alerting", "query": "1"}
    active = [{"labels": firing, "state": "firing", "value": "1", "activeAt": "2026-11-29T00:00:00Z"}] if firing else []

    def answer(asked: Asked) -> tuple[int, bytes]:
        if asked.path == "/api/v1/rules":
            return success({"groups": [{"name": "services", "rules": [rule]}]})
        assert asked.path == "/api/v1/alerts"
        return success({"alerts": active})

    with serving(answer) as server:
        yield project(server.port, services)


def project(port: int, services: dict[str, Any] = SERVICES) -> Project:
    """Return a project; with port 0 nothing monitors it."""
    ports = (f"127.0.0.1:{port}->9090/tcp",)
    found = [container("shop-monitoring-prometheus-1", project="shop-monitoring", service="prometheus", ports=ports)]
    shop = SimpleNamespace(
        profile=profile("test"),
        stack=stack(services),
        cwd=str(ROOT / "docker_project"),
        clustered=False,
        engine=SimpleNamespace(labelled=lambda label: found if port and label == "slipway.monitors=shop" else ()),
        address="",
        settings=SimpleNamespace(home=ROOT, project_dir=ROOT / "docker_project", shown=lambda path: path.name),
    )
    return cast(Project, shop)


def test_where_nothing_monitors_nothing_is_asked_and_that_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    check = alerts.check(project(0), "ServiceErrors")
    assert not check.asked and check.as_it_should
    assert sentence(check.document()) == "ServiceErrors: not asked: not monitored"
    assert "ServiceErrors: not asked: not monitored" in capsys.readouterr().err


def test_an_alert_of_another_project_is_another() -> None:
    with monitored({"alertname": "ServiceErrors", "project": "other"}) as shop:
        check = alerts.check(shop, "ServiceErrors")
        assert check.asked and check._fires and not check._fires()


@pytest.mark.parametrize("labels", [{"project": "shop"}, {"sloth_id": "web-fast"}])
def test_an_alert_that_fires_already_would_prove_nothing(labels: dict[str, str]) -> None:
    with (
        monitored({"alertname": "ServiceErrors", **labels}) as shop,
        pytest.raises(RefusedError, match="ServiceErrors of shop fires already"),
    ):
        alerts.check(shop, "ServiceErrors")


def test_an_alert_that_prometheus_has_not_loaded_is_not_waited_for() -> None:
    with monitored({}) as shop, pytest.raises(RefusedError, match="the Prometheus of test has no alert ServiceSlow"):
        alerts.check(shop, "ServiceSlow")


def test_an_unknown_alert_is_refused_with_its_place_and_what_is_called_alike() -> None:
    with pytest.raises(InputError) as refused:
        alerts.refuse_unknown(project(0), "ServiceError", "cut.yaml")
    where, _, alike = refused.value.message.partition("; is it ")
    assert where == "cut.yaml: extensions: alert: no alert 'ServiceError' in rules"
    assert "ServiceErrors" in alike
    with pytest.raises(InputError, match=r"no alert 'Qqq' in rules$"):
        alerts.refuse_unknown(project(0), "Qqq", "cut.yaml")


def test_alerts_on_objectives_are_known_where_the_project_has_objectives() -> None:
    own = {"metrics": {"port": 9464}, "slo": [{"name": "available", "objective": "99%"}]}
    with_objective = {"web": {"image": "web", "x-slipway": own}}
    alerts.refuse_unknown(project(0, with_objective), "SLOBurnRate", "slow.yaml")
    with pytest.raises(InputError, match="no alert 'SLOBurnRate'"):
        alerts.refuse_unknown(project(0), "SLOBurnRate", "slow.yaml")


def test_the_rules_of_a_project_of_its_own_count(tmp_path: Path) -> None:
    rules = tmp_path / "monitoring" / "prometheus" / "rules"
    rules.mkdir(parents=True)
    (tmp_path / "monitoring" / "docker-compose.monitoring.yml").write_text("services: {}\n")
    (rules / "queue.yml").write_text("groups: [{name: queue, rules: [{alert: QueueFull, expr: 'queue > 9'}]}]\n")
    own = project(0)
    own.cwd = str(tmp_path)
    alerts.refuse_unknown(own, "QueueFull", "full.yaml")
    with pytest.raises(InputError, match="no alert 'ServiceErrors'"):
        alerts.refuse_unknown(own, "ServiceErrors", "full.yaml")
