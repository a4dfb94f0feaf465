"""The Pods of a project in the words of a container engine, and why they do not get ready."""

from typing import Any

from cluster_objects import NAMES, deployment, metadata, pod, service

from tasks.kube.plan.live import pods
from tasks.model.stack.stack import parse

STACK = parse({"name": "shop", "services": {"app": {"image": "shop/app:1", "deploy": {"replicas": 2}}}})


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return pod("app-1", state={"waiting": {"reason": reason, "message": message}}, ready=False, started=False, **more)


def test_a_service_has_the_members_of_a_service_on_an_engine() -> None:
    row = pods.row(STACK, STACK.services["app"], [pod("app-1"), pod("app-2")], [deployment(), service()], NAMES)

    assert row == {
        "service": "app",
        "state": "running",
        "health": "healthy",
        "image": "shop/app:1",
        "digest": f"sha256:{'a' * 64}",
        "replicas": "2/2",
        "ports": ["80/tcp"],
        "started": "2026-11-30T08:00:05Z",
        "restarts": 0,
    }


def test_the_worst_health_counts() -> None:
    sick = pod("app-2", ready=False)

    row = pods.row(STACK, STACK.services["app"], [pod("app-1"), sick], [deployment()], NAMES)

    assert (row["health"], row["replicas"]) == ("unhealthy", "2/2")


def test_a_service_without_pods_is_absent_or_stopped() -> None:
    none = pods.row(STACK, STACK.services["app"], [], [], NAMES)
    scaled = pods.row(STACK, STACK.services["app"], [], [deployment(replicas=0)], NAMES)

    assert (none["state"], none["replicas"], scaled["state"], scaled["replicas"]) == ("absent", "0/2", "stopped", "0/0")


def test_pods_that_are_removed_do_not_count() -> None:
    going = pod("app-2")
    going["metadata"]["deletionTimestamp"] = "2026-11-30T08:10:00Z"

    assert pods.row(STACK, STACK.services["app"], [pod("app-1"), going], [deployment()], NAMES)["replicas"] == "1/2"


def on_lost_node(name: str, ready: str = "False") -> dict[str, Any]:
    """Return a Pod whose node does not answer, as the API server has it: what the node said last stays."""
    raw = pod(name)
    raw["spec"]["nodeName"] = "node-2"
    raw["status"]["conditions"] = [
        {"type": "Ready", "status": ready},
        {"type": "ContainersReady", "status": "True"},
    ]
    return raw


def test_of_a_pod_whose_node_does_not_answer_nothing_is_known() -> None:
    gone = on_lost_node("app-2")

    row = pods.row(STACK, STACK.services["app"], [pod("app-1"), gone], [deployment()], NAMES)
    listed = pods.container_row(gone, NAMES)

    assert (row["state"], row["health"], row["replicas"]) == ("running/unknown", "healthy", "1/2")
    assert (listed["state"], listed["health"]) == ("unknown", "")
    assert said([gone]) == ["app: node-2 does not answer: nobody knows whether its Pod there still runs"]
    assert not pods.lost(on_lost_node("app-2", ready="True"))


def test_what_was_told_to_end_on_such_a_node_may_still_run() -> None:
    gone, kept = on_lost_node("app-2"), on_lost_node("app-3")
    gone["metadata"]["deletionTimestamp"] = "2026-11-30T08:10:00Z"

    (problem,) = pods.stranded([gone, kept, pod("app-1"), deployment()], NAMES)

    assert str(problem) == "app: app-2 was told to end and may still run: node-2 does not answer"
    assert problem.hint.endswith("kubectl delete node node-2")


def test_a_gate_of_its_own_takes_the_readiness_from_a_pod_too() -> None:
    waits = on_lost_node("app-2")
    waits["spec"]["readinessGates"] = [{"conditionType": "balancer.example.com/ready"}]

    assert (pods.lost(waits), pods.state(waits)) == (False, "running")


def said(pods_: list[Any], objects: list[Any] | None = None) -> list[str]:
    return [str(problem) for problem in pods.problems(pods_, objects or [], NAMES)]


def test_an_image_that_cannot_be_pulled_says_why_and_with_which_secret() -> None:
    message = 'Back-off pulling image "reg/app:9": ErrImagePull: failed to resolve: reg/app:9: not found'
    without = waiting("ImagePullBackOff", message, image="reg/app:9")
    given = waiting("ErrImagePull", "pull access denied", image="reg/app:9")
    given["spec"]["imagePullSecrets"] = [{"name": "login"}]

    (first,) = pods.problems([without], [], NAMES)
    (second,) = pods.problems([given], [], NAMES)

    assert (str(first), first.final) == ("app: the nodes cannot pull reg/app:9: not found", True)
    assert first.hint == "the Pods use no pull secret: KUBE_PULL_SECRETS"
    assert second.hint == "the Pods use the pull secret login"


def test_a_crash_loop_says_the_exit_code_and_the_lack_of_memory() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}

    assert said([waiting("CrashLoopBackOff", lastState=last)]) == [
        "app: it ends again and again with exit code 137 (killed for memory)"
    ]


def test_a_pod_that_no_node_takes() -> None:
    raw = pod("app-1", state={}, ready=False)
    raw["status"]["conditions"] = [
        {"reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}
    ]

    assert said([raw]) == ["app: no node takes it: 0/1 nodes are available: 1 Insufficient cpu."]


def test_a_quota_or_a_webhook_that_refuses_pods_is_told_with_its_words() -> None:
    raw = deployment()
    words = 'pods "app-1" is forbidden: exceeded quota: small'
    raw["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": words}]

    assert said([], [raw]) == [f"app: {words}"]


def test_a_claim_that_finds_no_volume() -> None:
    raw = {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata("data-db-0", "db"),
        "spec": {},
        "status": {"phase": "Pending"},
    }

    (problem,) = pods.problems([], [raw], NAMES)

    assert str(problem) == "db: the claim data-db-0 has no volume (no storage class: the cluster has no default one)"
    assert "KUBE_STORAGE_CLASS" in problem.hint


def test_what_waiting_does_not_help_comes_first() -> None:
    sick = pod("app-2", ready=False)

    found = pods.problems([sick, waiting("ErrImageNeverPull")], [], NAMES)

    assert [problem.final for problem in found] == [True, False]


def test_a_container_of_ps() -> None:
    raw = pod("app-1", state={"terminated": {"exitCode": 3}}, ready=False)
    raw["status"]["phase"] = "Failed"
    raw["spec"]["containers"][0]["ports"] = [{"containerPort": 8000}]

    assert pods.container_row(raw, NAMES) == {
        "name": "app-1",
        "service": "app",
        "state": "exited",
        "health": "",
        "exit_code": 3,
        "image": "shop/app:1",
        "ports": ["8000/tcp"],
    }
