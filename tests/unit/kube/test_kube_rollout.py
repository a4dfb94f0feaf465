"""How Pods are replaced, stopped and counted."""

from dataclasses import replace
from typing import Any

import pytest
from workload_release import COMPLETED, HEALTHY, container, objects, one, outcomes, release

from tasks.kube.plan.outcome import IGNORED, INFERRED, REFUSED, TRANSLATED
from tasks.kube.plan.source import ImageFacts, KubeSettings

SELECTOR = {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}}


def spec(**service: Any) -> dict[str, Any]:
    found: dict[str, Any] = one(release(app={"image": "app", **service}), "app", "Deployment")["spec"]
    return found


def rolling(unavailable: int | str, surge: int | str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}


def test_start_first_takes_no_pod_away_before_a_new_one_is_ready() -> None:
    update = {"order": "start-first", "parallelism": 2, "monitor": "20s", "delay": "5s", "failure_action": "rollback"}
    made = spec(deploy={"replicas": 4, "update_config": update}, stop_grace_period="15s")
    assert made["replicas"] == 4
    assert made["strategy"] == rolling(0, 2)
    assert made["minReadySeconds"] == 20
    assert made["progressDeadlineSeconds"] == 60 + 20
    pod = made["template"]["spec"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert pod["terminationGracePeriodSeconds"] == 15 + 5


def test_a_pod_waits_for_its_last_requests_where_others_are_there() -> None:
    def waits(**service: Any) -> bool:
        return "lifecycle" in container(release(app={"image": "app", **service}))

    assert waits(scale=2)
    assert waits(scale=2, deploy={"update_config": {"order": "stop-first"}})
    assert not waits(scale=2, deploy={"update_config": {"parallelism": 0}})
    assert not waits()


def test_every_key_of_the_update_is_told() -> None:
    update = {
        "order": "start-first",
        "parallelism": 2,
        "monitor": "20s",
        "delay": "5s",
        "failure_action": "rollback",
        "max_failure_ratio": 0.1,
    }
    said = outcomes(release(app={"image": "a", "deploy": {"update_config": update, "rollback_config": {"order": "x"}}}))
    kinds = {key.removeprefix("deploy."): said[key].kind for key in said if key.startswith("deploy.")}
    assert kinds == {
        **{f"update_config.{key}": TRANSLATED for key in update if key != "max_failure_ratio"},
        "update_config.max_failure_ratio": IGNORED,
        "rollback_config": IGNORED,
    }


@pytest.mark.parametrize(
    ("service", "strategy"),
    [
        ({"x-slipway": {"rollout": "start-first"}}, rolling(0, 1)),
        ({"x-slipway": {"rollout": "blue-green"}}, rolling(0, "100%")),
        ({"x-slipway": {"rollout": "canary"}}, rolling(0, 1)),
        ({"x-slipway": {"rollout": "recreate"}}, {"type": "Recreate"}),
        ({"deploy": {"update_config": {"order": "start-first", "parallelism": 0}}}, rolling(0, "100%")),
        ({"deploy": {"update_config": {"order": "stop-first"}}}, {"type": "Recreate"}),
        ({"deploy": {"replicas": 3, "update_config": {"order": "stop-first", "parallelism": 2}}}, rolling(2, 0)),
        ({"deploy": {"replicas": 3, "update_config": {"parallelism": 0}}}, {"type": "Recreate"}),
        ({"scale": 3}, rolling(1, 0)),
        ({"x-slipway": {"reload": {"check": ["proxy", "-t"]}}}, rolling(0, 1)),
        ({"x-slipway": {"reload": {}, "rollout": "recreate"}}, {"type": "Recreate"}),
    ],
)
def test_how_old_pods_are_replaced(service: dict[str, Any], strategy: dict[str, Any]) -> None:
    assert spec(**service)["strategy"] == strategy


@pytest.mark.parametrize("rollout", ["blue-green", "canary"])
def test_what_a_rolling_update_is_not_is_told(rollout: str) -> None:
    said = outcomes(release(app={"image": "app", "x-slipway": {"rollout": rollout}}))
    assert said["x-slipway.rollout"].kind == INFERRED


def test_a_canary_is_told_by_the_key_that_is_there() -> None:
    said = outcomes(release(app={"image": "app", "x-slipway": {"canary": {"weight": [10, 50]}}}))
    assert said["x-slipway.canary"].kind == INFERRED


def test_that_a_service_is_interrupted_because_it_says_nothing_is_told() -> None:
    assert "start-first" in outcomes(release(app={"image": "app"}))[""].reason


def test_a_recreated_container_does_not_wait_before_it_stops() -> None:
    assert "lifecycle" not in container(release(app={"image": "app"}))


def test_a_deadline_counts_what_has_to_be_up_before() -> None:
    source = release(
        db={"image": "db"},
        migrate={"image": "m", "depends_on": {"db": HEALTHY}},
        app={"image": "app", "depends_on": {"migrate": COMPLETED}},
    )
    assert one(source, "app", "Deployment")["spec"]["progressDeadlineSeconds"] == 3 * 60


def test_several_pods_are_spread_and_only_one_is_taken_from_a_node() -> None:
    made, budget = objects(release(app={"image": "app", "deploy": {"replicas": 2}}), "app")
    assert made["spec"]["template"]["spec"]["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": SELECTOR,
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]
    assert budget == {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "app", "labels": SELECTOR["matchLabels"]},
        "spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": SELECTOR},
    }


def test_pods_leave_a_node_that_does_not_answer_when_the_profile_says() -> None:
    source = release(app={"image": "app"}, db={"image": "db", "x-slipway": {"role": "database"}})
    assert "tolerations" not in one(source, "app", "Deployment")["spec"]["template"]["spec"]
    source = replace(source, settings=KubeSettings(node_timeout=30.0))
    about = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    assert one(source, "app", "Deployment")["spec"]["template"]["spec"]["tolerations"] == [
        {"key": "node.kubernetes.io/not-ready", **about},
        {"key": "node.kubernetes.io/unreachable", **about},
    ]
    assert "tolerations" not in one(source, "db", "StatefulSet")["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("service", "key"),
    [
        ({"x-slipway": {"role": "database", "rollout": "start-first"}}, "x-slipway.rollout"),
        ({"x-slipway": {"role": "database", "rollout": "blue-green"}}, "x-slipway.rollout"),
        (
            {"x-slipway": {"role": "database"}, "deploy": {"update_config": {"order": "start-first"}}},
            "deploy.update_config.order",
        ),
    ],
)
def test_a_database_is_never_there_twice(service: dict[str, Any], key: str) -> None:
    said = outcomes(release(app={"image": "db", **service}))
    assert [name for name, outcome in said.items() if outcome.kind == REFUSED] == [key]


def test_settle_is_how_long_a_pod_has_to_be_ready() -> None:
    assert spec(**{"x-slipway": {"settle": "1.5s"}})["minReadySeconds"] == 2
    assert "minReadySeconds" not in spec()


def test_a_service_scales_by_its_cpu() -> None:
    own = {"scale": {"min": 2, "max": 10, "cpu": "70%"}, "rollout": "start-first"}
    source = release(app={"image": "app", "cpus": 0.5, "x-slipway": own})
    made, budget, scaler = objects(source, "app")
    assert "replicas" not in made["spec"], "each apply would set the number back"
    assert budget["kind"] == "PodDisruptionBudget"
    assert scaler == {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app", "labels": SELECTOR["matchLabels"]},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("replicas", "why"),
    [
        (3, "it begins with 2, and decides how many there are"),
        (9, "the number of Pods is 2 to 5, and not 9"),
    ],
)
def test_a_number_of_containers_that_an_autoscaler_decides_is_told_of(replicas: int, why: str) -> None:
    own = {"scale": {"min": 2, "max": 5, "cpu": "70%"}, "rollout": "start-first"}
    source = release(app={"image": "app", "cpus": 0.5, "deploy": {"replicas": replicas}, "x-slipway": own})
    told = outcomes(source)["deploy.replicas"]
    assert (told.kind, told.into, told.reason) == (INFERRED, "HorizontalPodAutoscaler", why)


def test_a_share_of_no_cpu_is_refused() -> None:
    source = release(app={"image": "app", "x-slipway": {"scale": {"max": 3}}})
    assert outcomes(source)["x-slipway.scale"].kind == REFUSED


def test_the_time_to_stop_is_that_of_compose() -> None:
    source = release(app={"image": "app", "stop_grace_period": "1m0s"})
    assert one(source, "app", "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60
    assert outcomes(source)["stop_grace_period"].kind == TRANSLATED


@pytest.mark.parametrize(
    ("of_image", "said", "kind"),
    [
        ("SIGQUIT", "SIGQUIT", TRANSLATED),
        ("SIGQUIT", "QUIT", TRANSLATED),
        ("", "SIGTERM", TRANSLATED),
        ("", "SIGINT", REFUSED),
        ("SIGQUIT", "SIGTERM", REFUSED),
    ],
)
def test_the_signal_is_the_images(of_image: str, said: str, kind: str) -> None:
    source = release({"app": ImageFacts(stop_signal=of_image)}, app={"image": "app", "stop_signal": said})
    assert outcomes(source)["stop_signal"].kind == kind


def test_a_shell_sends_another_signal_and_waits_for_the_end() -> None:
    image = ImageFacts(stop_signal="SIGTERM", shell=True)
    source = release({"app": image}, app={"image": "app", "stop_signal": "SIGINT"})
    assert container(source)["lifecycle"]["preStop"] == {
        "exec": {"command": ["/bin/sh", "-c", "kill -INT 1; while kill -0 1; do sleep 1; done"]}
    }
    assert outcomes(source)["stop_signal"].kind == INFERRED


def test_another_signal_comes_when_no_request_comes_any_more() -> None:
    own = {"image": "app", "stop_signal": "3", "stop_grace_period": "20s", "x-slipway": {"rollout": "start-first"}}
    source = release({"app": ImageFacts(shell=True)}, app=own)
    command = container(source)["lifecycle"]["preStop"]["exec"]["command"]
    assert command[2] == "sleep 5; kill -3 1; while kill -0 1; do sleep 1; done"
    assert one(source, "app", "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 25


def test_a_command_before_the_stop_comes_instead_of_the_wait() -> None:
    source = release(
        app={
            "image": "app",
            "x-slipway": {"rollout": "start-first"},
            "pre_stop": [{"command": ["drain", "$$(hostname)"]}],
            "post_start": [{"command": ["warm"]}],
        }
    )
    assert container(source)["lifecycle"] == {
        "postStart": {"exec": {"command": ["warm"]}},
        # Of Compose: $(hostname). Kubernetes puts no variables into these words, so nothing is escaped.
        "preStop": {"exec": {"command": ["drain", "$(hostname)"]}},
    }


@pytest.mark.parametrize("hooks", [[{"command": ["a"], "user": "root"}], [{"command": ["a"]}, {"command": ["b"]}]])
def test_commands_that_a_hook_can_not_be_are_refused(hooks: list[dict[str, Any]]) -> None:
    source = release(app={"image": "app", "pre_stop": hooks})
    assert outcomes(source)["pre_stop"].kind == REFUSED
    assert "lifecycle" not in container(source)
