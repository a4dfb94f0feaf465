"""The health check of a service as probes."""

from typing import Any

import pytest
from workload_release import HEALTHY, container, outcomes, part, release

from tasks.kube.plan.outcome import IGNORED, INFERRED, REFUSED, TRANSLATED
from tasks.kube.plan.source import ImageFacts, KubeSource

CHECK = {"test": ["CMD", "/app", "healthcheck"], "interval": "10s", "timeout": "3s", "retries": 3}
EXEC = {"exec": {"command": ["/app", "healthcheck"]}, "timeoutSeconds": 3}


def checked(**check: Any) -> KubeSource:
    return release(app={"image": "app", "healthcheck": check})


def test_the_check_is_readiness_and_startup_and_never_liveness() -> None:
    source = checked(**CHECK, start_period="30s", start_interval="10s")
    assert container(source) == {
        "name": "app",
        "readinessProbe": {**EXEC, "periodSeconds": 10, "failureThreshold": 3},
        "startupProbe": {**EXEC, "periodSeconds": 10, "failureThreshold": 6},
    }


def test_liveness_is_on_request_and_fails_later_than_readiness() -> None:
    source = release(app={"image": "app", "healthcheck": CHECK, "x-slipway": {"liveness": True}})
    probes = container(source)
    assert probes["livenessProbe"] == {**EXEC, "periodSeconds": 10, "failureThreshold": 9}
    assert probes["readinessProbe"]["failureThreshold"] == 3
    # HEALTH_TIMEOUT, at the engine's start interval of 5 s: liveness does not hit a start that takes its time.
    assert probes["startupProbe"] == {**EXEC, "periodSeconds": 5, "failureThreshold": (60 + 3 * 10) // 5}
    assert outcomes(source)["x-slipway.liveness"].kind == TRANSLATED


def test_without_a_start_period_nothing_is_restarted_at_the_start() -> None:
    assert set(container(checked(**CHECK))) == {"name", "readinessProbe"}


def test_the_time_of_what_comes_before_is_added_to_the_start() -> None:
    check = {**CHECK, "start_period": "30s", "start_interval": "250ms"}
    source = release(
        db={"image": "db"},
        cache={"image": "cache", "depends_on": {"db": HEALTHY}},
        app={"image": "app", "healthcheck": check, "depends_on": {"cache": HEALTHY}},
    )
    failures = 30 + 2 * 60 + 3 * 10
    assert container(source)["startupProbe"] == {**EXEC, "periodSeconds": 1, "failureThreshold": failures}


def test_a_container_is_not_started_again_before_the_engine_would_call_it_unhealthy() -> None:
    check = {
        "test": ["CMD", "ready"],
        "interval": "30s",
        "retries": 3,
        "start_period": "10s",
        "start_interval": "250ms",
    }
    startup = container(checked(**check))["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 10 + 3 * 30


def test_a_shell_check_is_one_text_for_the_shell() -> None:
    source = checked(test=["CMD-SHELL", "curl -fs localhost/health || exit 1"])
    assert container(source)["readinessProbe"]["exec"] == {
        "command": ["/bin/sh", "-c", "curl -fs localhost/health || exit 1"]
    }


def test_a_variable_of_a_shell_check_is_the_shells() -> None:
    source = checked(test=["CMD-SHELL", 'pg_isready -U "$${POSTGRES_USER:-postgres}" -d $$(cat /run/name)'])
    assert container(source)["readinessProbe"]["exec"]["command"][2] == (
        'pg_isready -U "${POSTGRES_USER:-postgres}" -d $$(cat /run/name)'
    )


def test_a_check_of_words_stays_words() -> None:
    source = checked(test=["CMD", "pg_isready", "-U", "postgres"])
    assert container(source)["readinessProbe"]["exec"] == {"command": ["pg_isready", "-U", "postgres"]}


def test_a_shell_check_without_a_shell_is_refused() -> None:
    source = release(
        {"app": ImageFacts(shell=False)}, app={"image": "app", "healthcheck": {"test": ["CMD-SHELL", "true"]}}
    )
    assert "readinessProbe" not in container(source)
    assert outcomes(source)["healthcheck"].kind == REFUSED


def test_times_below_a_second_are_a_second_and_the_report_says_so() -> None:
    source = checked(test=["CMD", "ok"], interval="500ms", timeout="1.5s", start_period="2s", start_interval="250ms")
    probes = container(source)
    assert probes["readinessProbe"] == {
        "exec": {"command": ["ok"]},
        "periodSeconds": 1,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }
    assert probes["startupProbe"]["periodSeconds"] == 1
    rounded = {key: outcome.reason for key, outcome in outcomes(source).items() if outcome.kind == INFERRED}
    assert rounded["healthcheck.interval"] == "Kubernetes counts whole seconds: 1 s and not 500ms"
    assert rounded["healthcheck.start_interval"] == "Kubernetes counts whole seconds: 1 s and not 250ms"
    assert rounded["healthcheck.timeout"] == "Kubernetes counts whole seconds: 2 s and not 1.5s"
    assert "healthcheck.start_period" not in rounded


def test_times_that_are_not_said_are_the_engines() -> None:
    assert container(checked(test=["CMD", "ok"]))["readinessProbe"] == {
        "exec": {"command": ["ok"]},
        "periodSeconds": 30,
        "timeoutSeconds": 30,
        "failureThreshold": 3,
    }


@pytest.mark.parametrize("check", [{"test": ["NONE"]}, {"disable": True}])
def test_a_check_that_is_switched_off_is_no_probe(check: dict[str, Any]) -> None:
    image = ImageFacts(health={"Test": ["CMD", "ok"]})
    source = release({"app": image}, app={"image": "app", "healthcheck": check})
    assert container(source) == {"name": "app"}
    assert outcomes(source)["healthcheck"].into == "no probe"


@pytest.mark.parametrize("check", [{"interval": "5s"}, {"test": []}, {"test": ["CMD"]}, {"test": ["CMD-SHELL"]}])
def test_what_checks_nothing_is_no_probe(check: dict[str, Any]) -> None:
    assert container(checked(**check)) == {"name": "app"}
    assert outcomes(checked(**check))["healthcheck"].kind == IGNORED


def test_the_check_of_the_image_counts() -> None:
    health = {"Test": ["CMD-SHELL", "wget -q localhost"], "Interval": 5_000_000_000, "Retries": 7}
    source = release({"app": ImageFacts(health=health)}, app={"image": "app"})
    assert container(source)["readinessProbe"] == {
        "exec": {"command": ["/bin/sh", "-c", "wget -q localhost"]},
        "periodSeconds": 5,
        "timeoutSeconds": 30,
        "failureThreshold": 7,
    }
    assert outcomes(source)["healthcheck"].kind == INFERRED


def test_times_of_the_compose_file_change_those_of_the_images_check() -> None:
    health = {"Test": ["CMD", "ok"], "Interval": 5_000_000_000, "Timeout": 2_000_000_000}
    source = release({"app": ImageFacts(health=health)}, app={"image": "app", "healthcheck": {"interval": "20s"}})
    assert container(source)["readinessProbe"]["periodSeconds"] == 20
    assert container(source)["readinessProbe"]["timeoutSeconds"] == 2


def smoked(**request: Any) -> KubeSource:
    check = {"from": "container", "url": "http://localhost:8000/ready?deep=1", "status": 200, **request}
    return release({"app": ImageFacts(ports=("8000/tcp",))}, app={"image": "app", "x-slipway": {"smoke": [check]}})


def test_a_request_of_the_container_is_a_check_when_there_is_none() -> None:
    assert container(smoked()) == {
        "name": "app",
        "readinessProbe": {
            "httpGet": {"path": "/ready?deep=1", "port": 8000},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
    }
    assert outcomes(smoked())["x-slipway.smoke"].kind == INFERRED


def test_a_request_by_tls_is_one_by_tls() -> None:
    get = container(smoked(url="https://127.0.0.1:8000/"))["readinessProbe"]["httpGet"]
    assert get == {"path": "/", "port": 8000, "scheme": "HTTPS"}


@pytest.mark.parametrize(
    "request_",
    [
        {"from": "host"},
        {"url": "http://localhost:9000/"},  # no port of the container
        {"url": "http://db:8000/"},
        {"body": "ok"},
        {"method": "HEAD"},
        {"status": 404},
    ],
)
def test_a_request_that_the_kubelet_would_make_otherwise_is_no_check(request_: dict[str, Any]) -> None:
    assert container(smoked(**request_)) == {"name": "app"}


def test_a_check_of_the_service_comes_before_a_request() -> None:
    smoke = [{"from": "container", "url": "http://localhost:80/", "status": 200}]
    source = release(app={"image": "app", "expose": ["80"], "healthcheck": CHECK, "x-slipway": {"smoke": smoke}})
    assert "exec" in container(source)["readinessProbe"]


def test_a_job_is_not_asked_whether_it_is_healthy() -> None:
    source = release(app={"image": "app", "healthcheck": CHECK, "x-slipway": {"job": "migrate"}})
    assert container(source) == {"name": "app"}
    assert outcomes(source)["healthcheck"].kind == IGNORED


def test_probes_are_fields_of_the_container_only() -> None:
    assert part(checked(**CHECK), "app").workload == {}
