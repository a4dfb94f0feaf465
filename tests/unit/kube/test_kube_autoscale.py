"""What autoscalers do, as the cluster says it: numbers, and why there are none."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_objects import NAMES as SHOP
from cluster_objects import after, deployment, metadata, state
from support import ROOT

from tasks.kube.plan.live.autoscalers import Autoscaler, autoscalers, handed_over, keeping_numbers
from tasks.kube.plan.live.difference import differences
from tasks.model.stack.stack import parse
from tests import schemas

NAMES = {"web": "web", "my-api": "my_api", "fixed": "fixed"}
SCALE = {"scale": {"min": 2, "max": 10, "cpu": "70%"}}
CPU = {"cpus": 0.5}
STACK = parse(
    {
        "name": "shop",
        "services": {
            "web": {"image": "web:1", **CPU, "x-slipway": SCALE},
            "my_api": {"image": "api:1", **CPU, "x-slipway": {"scale": {"max": 3}}},
            "fixed": {"image": "fixed:1"},
        },
    }
)
# As the controller manager of Kubernetes 1.35 says it on a cluster without metrics-server.
NO_SERVER = (
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for "
    "resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource "
    "(get pods.metrics.k8s.io)"
)
AWAY = NO_SERVER.replace("could not find the requested resource", "is currently unable to handle the request")
EARLY = "unable to fetch metrics from resource metrics API: no metrics returned from resource metrics API"
ABLE = {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "recommended size matches"}
ACTIVE = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "computed"}
FREE = {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange", "message": "within the range"}


def scaler(
    service: str = "web", conditions: Any = (ABLE, ACTIVE, FREE), cpu: int | None = 35, name: str = "", **status: Any
) -> dict[str, Any]:
    """Return an autoscaler as the API server has it."""
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": cpu}}}]
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name or service, service),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name or service},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
        "status": {
            "currentReplicas": 4,
            "desiredReplicas": 4,
            "conditions": list(conditions),
            "currentMetrics": current if cpu is not None else None,
            **status,
        },
    }


def found(*objects: Any, only: tuple[str, ...] = ("web",)) -> tuple[Autoscaler, ...]:
    return autoscalers(STACK, objects, NAMES, only)


def test_an_autoscaler_that_works_has_all_its_numbers() -> None:
    (one,) = found(scaler(lastScaleTime="2026-11-30T08:00:00Z"))

    assert one.document() == {
        "service": "web", "autoscaler": "web", "state": "works", "reason": None,
        "min": 2, "max": 10, "target": 70, "pods": 4, "wanted": 4, "cpu": 35, "metrics": True,
        "changed": "2026-11-30T08:00:00Z", "asked": {"min": 2, "max": 10, "target": 70},
    }  # fmt: skip
    assert one.row() == ("web", "works", "2", "10", "4", "4", "70 %", "35 %", "-")
    assert not one.differs


def test_a_service_that_rests_uses_0_percent_which_is_a_number() -> None:
    (one,) = found(scaler(cpu=0))

    assert (one.cpu, one.measured, one.row()[-2]) == (0, True, "0 %")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (NO_SERVER, "the cluster has no metrics API: install metrics-server"),
        (AWAY, "the metrics API does not answer"),
        ("failed to get cpu utilization: missing request for cpu in container web of Pod web-1", "asks for no CPU"),
        (EARLY, "the metrics API knows nothing of its Pods yet"),
        ("failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)", "No Pod"),
        ("something  new\nis wrong", "something new is wrong"),
    ],
)
def test_without_metrics_there_is_no_number_and_the_reason_is_told(message: str, why: str) -> None:
    none = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": message}
    # A number from before, which the status keeps, says nothing of now.
    (one,) = found(scaler(conditions=(ABLE, none), cpu=61))

    assert (one.state, one.cpu, one.measured, one.row()[-2]) == ("no metrics", None, False, "-")
    assert why.lower() in one.reason.lower()


def test_one_that_cannot_reach_its_workload_fails_in_the_clusters_words() -> None:
    lost = {
        "type": "AbleToScale",
        "status": "False",
        "reason": "FailedGetScale",
        "message": 'deployments "web" not found',
    }
    (one,) = found(scaler(conditions=(lost,)))

    assert (one.state, one.reason) == ("fails", 'deployments "web" not found')


def test_a_service_without_pods_is_paused_and_not_a_fault() -> None:
    off = {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "replicas is zero"}
    (one,) = found(scaler(conditions=(ABLE, off), currentReplicas=0, desiredReplicas=0))

    assert (one.state, one.pods) == ("paused", 0)


def test_one_at_its_upper_bound_says_so_and_one_at_the_lower_does_not() -> None:
    full = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas", "message": "more than the maximum"}
    least = {"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas", "message": "less than the minimum"}

    assert found(scaler(conditions=(ABLE, ACTIVE, full)))[0].state == "at most"
    assert found(scaler(conditions=(ABLE, ACTIVE, least)))[0].state == "works"


def test_a_new_one_waits_until_the_cluster_has_looked_at_it() -> None:
    raw = scaler()
    raw["status"] = {"desiredReplicas": 0}
    (one,) = found(raw)

    assert (one.state, one.cpu, one.wanted) == ("waiting", None, None)


def test_one_whose_metrics_were_not_asked_for_yet_waits() -> None:
    assert found(scaler(conditions=(ABLE,), cpu=None))[0].state == "waiting"


def test_the_number_of_pods_is_handed_over_when_a_service_begins_to_scale() -> None:
    live, wanted = deployment("web", 3), scaler()

    assert handed_over([live, deployment("fixed")], [wanted]) == (
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}},
    )
    assert handed_over([live, scaler()], [wanted]) == (), "the autoscaler has it already"
    assert handed_over([], [wanted]) == ()


def test_a_plan_that_adds_an_autoscaler_says_that_the_number_of_pods_stays() -> None:
    live = [deployment("app", 3)]
    # Helm gives the number up, so the API server says of a dry run what it fills in: 1.
    wanted = [after(deployment("app", 1)), scaler("app")]

    assert differences(state(live, wanted), SHOP)[0].change.causes[0] == "3 of 1 containers"
    kept = differences(state(live, list(keeping_numbers(live, wanted))), SHOP)[0].change
    assert kept.action == "reload"
    assert not [cause for cause in kept.causes if "3" in cause or "replicas" in cause]
    assert wanted[0]["spec"]["replicas"] == 1, "what is given stays as it is"


def test_a_service_that_should_scale_and_has_no_autoscaler_is_absent() -> None:
    one, other = found(deployment("web"), only=("web", "my_api", "fixed"))

    assert (one.service, one.name, one.state) == ("web", "", "absent")
    assert (other.service, other.document()["asked"]) == ("my_api", {"min": 1, "max": 3, "target": 80})


def test_other_bounds_than_those_of_the_compose_file_are_seen() -> None:
    assert found(scaler("my-api"), only=("my_api",))[0].differs
    assert not found(scaler("my-api"), only=("web",))[0].differs, "there is none"


def test_what_nobody_asked_for_comes_last() -> None:
    all_ = autoscalers(STACK, (scaler("gone"), scaler("fixed"), scaler("web")), NAMES)

    assert [(one.service, one.state, one.differs) for one in all_] == [
        ("web", "works", False), ("my_api", "absent", False), ("fixed", "works", True), ("gone", "works", True),
    ]  # fmt: skip


def test_both_slots_of_a_service_are_told_while_they_are_there() -> None:
    two = found(scaler(name="web-green"), scaler(name="web-blue"))

    assert [one.name for one in two] == ["web-blue", "web-green"]


# The task, with a kubectl that says what an API server would


Task = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Return what runs ``inv kube.autoscale`` on a project whose cluster has certain autoscalers."""
    services = "{image: web, cpus: 0.5, x-slipway: {scale: {min: 2, max: 10, cpu: 70%}}}"
    (tmp_path / "compose.yaml").write_text(f"services: {{web: {services}, fixed: {{image: fixed}}}}\n")
    where = "KUBE_CONTEXT=prod-eu\nKUBE_NAMESPACE=shop\n"
    (tmp_path / "prod.env").write_text(f"COMPOSE_PROJECT_NAME=shop\nORCHESTRATOR=kubernetes\n{where}")
    (tmp_path / "dev.env").write_text("COMPOSE_PROJECT_NAME=shop-dev\n")
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/asked\n'
        'case "$*" in\n'
        """version*) echo '{"clientVersion": {"gitVersion": "v1.35.4"}}' ;;\n"""
        """*" get namespace "*) echo '{"metadata": {"name": "shop", "labels": {}}}' ;;\n"""
        f'*" get horizontalpodautoscalers"*) cat {tmp_path}/answer; exit $(cat {tmp_path}/code) ;;\n'
        "*) exit 9 ;;\nesac\n"
    )
    program.chmod(0o755)

    def run(objects: Any, *words: str, env: str = "prod", refusal: str = "") -> "subprocess.CompletedProcess[str]":
        (tmp_path / "answer").write_text(json.dumps({"kind": "List", "items": objects}))
        (tmp_path / "code").write_text("0")
        if refusal:
            program.write_text(
                f"#!/bin/sh\ncase $1 in version) echo v1.35.4 ;; *) echo '{refusal}' >&2; exit 1 ;; esac\n"
            )
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG")}
        place = {"SLIPWAY_PROJECT_DIR": str(tmp_path), "SLIPWAY_ENVS_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, str(ROOT / "tasks/cli/program.py"), "kube.autoscale", "--env", env, *words],
            env={**kept, **place, "PATH": f"{program.parent}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///nowhere.sock"},
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def test_the_task_prints_what_its_schema_says_and_asks_one_context(task: Task, tmp_path: Path) -> None:
    done = task([scaler()], "--json")

    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert schemas.faults(document) == []
    assert [(one["service"], one["cpu"]) for one in document["autoscalers"]] == [("web", 35)]
    asked = [line for line in (tmp_path / "asked").read_text().splitlines() if not line.startswith("version")]
    assert asked != []
    assert all("--context=prod-eu" in line and "--namespace=shop" in line for line in asked), asked


def test_without_metrics_the_task_ends_with_5_and_says_what_is_missing(task: Task) -> None:
    none = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": NO_SERVER}
    done = task([scaler(conditions=(ABLE, none), cpu=None)])

    assert done.returncode == 5
    assert done.stdout.splitlines()[1].split()[:9] == ["web", "no", "metrics", "2", "10", "4", "4", "70", "%"]
    assert "0 %" not in done.stdout.replace("70 %", "")
    assert "not scaled: web (no metrics: the cluster has no metrics API: install metrics-server" in done.stderr


def test_a_service_that_does_not_scale_is_nothing_to_list(task: Task) -> None:
    done = task([], "--service", "fixed", "--json")

    assert (done.returncode, json.loads(done.stdout)["autoscalers"]) == (0, [])


def test_bounds_that_somebody_changed_are_told(task: Task) -> None:
    raw = scaler()
    raw["spec"]["maxReplicas"] = 50
    done = task([raw])

    assert (done.returncode, done.stdout.splitlines()[1].split()[3]) == (0, "50")
    assert "web: the Compose files say 2 to 10 Pods at 70 %; inv deploy.prod brings that" in done.stderr


def test_bad_input_is_2_and_what_the_cluster_does_not_allow_3(task: Task) -> None:
    elsewhere, unknown = task([], env="dev"), task([], "--service", "webb")
    forbidden = task(
        [],
        refusal='Error from server (Forbidden): horizontalpodautoscalers.autoscaling is forbidden: User "eve" cannot '
        'list resource "horizontalpodautoscalers" in API group "autoscaling" in the namespace "shop"',
    )

    assert elsewhere.returncode == unknown.returncode == 2
    assert "dev is not on a cluster" in elsewhere.stderr
    assert "no service 'webb'" in unknown.stderr
    assert forbidden.returncode == 3
    assert "eve may not list horizontalpodautoscalers.autoscaling in namespace shop" in forbidden.stderr
