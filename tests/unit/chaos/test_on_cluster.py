"""Faults on Kubernetes: their targets, the objects that make them, and what became of them."""

from typing import Any

import pytest

from tasks.chaos.plan import on_cluster
from tasks.chaos.plan.active import ACTIVE, LEFT, UNDONE
from tasks.chaos.plan.faults import fault
from tasks.chaos.plan.injection import FaultRequest
from tasks.chaos.plan.on_cluster import again, blast, objects, planned
from tasks.kube import schemas
from tasks.kube.plan import pod_security
from tasks.model.errors import InputError, RefusedError


def pod(name: str, node: str = "one", phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"nodeName": node}, "status": {"phase": phase}}


def request(name: str, **more: Any) -> FaultRequest:
    return FaultRequest(fault(name), "Web_App", 0.0 if name == "pod-kill" else 10.0, **more)


def test_a_drain_is_of_the_node_that_has_most_pods_of_the_service() -> None:
    pods = [pod("a", "one"), pod("b", "two"), pod("c", "two"), pod("d", "one", "Pending"), pod("e", "one"),
            pod("f", "one", deletionTimestamp="now")]  # fmt: skip
    assert planned("shop", "ns", request("drain"), pods[:4]).target == "two"
    assert planned("shop", "ns", request("drain"), pods).target == "one", "the first by its name"
    assert planned("shop", "ns", request("drain"), pods).pods == ("a", "b", "c", "e")


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(RefusedError, match="no Pod of Web_App of shop runs"):
        planned("shop", "ns", request("cut"), [pod("a", phase="Pending")])
    with pytest.raises(InputError, match="slow is not made on Kubernetes"):
        planned("shop", "ns", request("slow"), [pod("a")])
    with pytest.raises(InputError, match="--from: cut on Kubernetes is about all of the service"):
        planned("shop", "ns", request("cut", source="db"), [pod("a")])


def test_the_objects_are_as_the_api_and_the_level_restricted_want_them() -> None:
    for name in ("cut", "drain"):
        made = objects(planned("shop", "ns", request(name), [pod("a")]), "python:3", "print()")
        assert schemas.faults(made) == ()
        [job] = [one for one in made if one["kind"] == "Job"]
        assert pod_security.violations(job["spec"]["template"]["spec"], "restricted") == ()
        assert {one["metadata"]["labels"]["slipway.chaos"] for one in made} == {"shop"}


def rights(name: str) -> set[tuple[str, str, tuple[str, ...]]]:
    made = objects(planned("shop", "ns", request(name), [pod("a")]), "python:3", "print()")
    return {
        (one["kind"], f"{resource} {'+'.join(rule['verbs'])}", tuple(rule.get("resourceNames", ())))
        for one in made
        for rule in one.get("rules", ())
        for resource in rule["resources"]
    }


def test_a_job_may_do_nothing_but_its_fault() -> None:
    assert rights("cut") == {
        ("Role", "pods list", ()),
        ("Role", "networkpolicies list", ()),
        ("Role", "networkpolicies get+patch", ("web-app",)),
    }
    assert rights("drain") == {
        ("Role", "pods list", ()),
        ("Role", "pods/eviction create", ()),
        ("ClusterRole", "nodes get+patch", ("one",)),
    }


def test_the_blast_radius_is_said() -> None:
    assert blast(planned("shop", "ns", request("drain"), [pod("a")]), ("a", "db-0"))[1:] == (
        "node: one",
        "Pods that leave it: a, db-0",
        "undone after 10.0 s, whatever becomes of this process: it takes Pods",
    )
    assert blast(planned("shop", "ns", request("pod-kill"), [pod("a")]))[1:] == (
        "Pods: a", "undone at once: others are started",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, ACTIVE),
        ({"active": 1}, ACTIVE),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, UNDONE),
        ({"conditions": [{"type": "Failed", "status": "True"}, {"type": "Complete", "status": "False"}]}, LEFT),
    ],
)
def test_a_fault_is_as_its_job(status: dict[str, Any], state: str) -> None:
    [job] = [
        one for one in objects(planned("shop", "ns", request("drain"), [pod("a")]), "i", "p") if one["kind"] == "Job"
    ]
    one = on_cluster.active({**job, "status": status}, {"web-app": "Web_App"})
    assert (one.state, one.service, one.fault, one.target, one.seconds) == (state, "Web_App", "drain", "one", 10.0)


def test_what_is_left_is_undone_by_the_same_job_without_any_time() -> None:
    [job] = [
        one for one in objects(planned("shop", "ns", request("cut"), [pod("a")]), "i", "p") if one["kind"] == "Job"
    ]
    live = {**job, "status": {"failed": 6}, "spec": {**job["spec"], "selector": {"matchLabels": {"uid": "7"}}}}
    live["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] = "7"
    made = again(live)
    assert schemas.faults([made]) == () and "selector" not in made["spec"]
    command = made["spec"]["template"]["spec"]["containers"][0]["command"]
    assert (
        "--seconds=0" in command and "--seconds=10" not in command and "--mark=ns/slipway-chaos-cut-web-app" in command
    )
    assert set(made["spec"]["template"]["metadata"]["labels"]) <= set(made["metadata"]["labels"])
