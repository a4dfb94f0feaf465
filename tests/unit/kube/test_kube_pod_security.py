"""What the levels of the Pod Security Standards say of Pods."""

from typing import Any

import pytest
from pods import CASES, WEB, pod

from tasks.kube.plan.pod_security import BASELINE, PRIVILEGED, RESTRICTED, pod_of, violations


def fields(spec: dict[str, Any], level: str = RESTRICTED) -> list[str]:
    return [violation.field for violation in violations(spec, level)]


def test_a_pod_that_drops_everything_is_allowed() -> None:
    assert violations(pod(), RESTRICTED) == ()


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_allowed_is_named_by_its_field(case: str) -> None:
    spec, field, in_baseline = CASES[case]

    assert field in fields(spec)
    assert (field in fields(spec, BASELINE)) == in_baseline
    assert fields(spec, PRIVILEGED) == []


def test_a_container_may_say_what_the_pod_does_not() -> None:
    said = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}}

    assert fields(pod({"runAsNonRoot": None, "seccompProfile": None}, said)) == []


def test_a_container_that_takes_back_what_the_pod_says_is_named() -> None:
    assert fields(pod(context={"runAsNonRoot": False})) == [f"{WEB}.runAsNonRoot"]


def test_init_containers_are_looked_at_too() -> None:
    spec = pod(initContainers=[{"name": "wait", "image": "web:1"}])

    assert [field for field in fields(spec) if field.startswith("initContainers[wait]")] == [
        "initContainers[wait].securityContext.allowPrivilegeEscalation",
        "initContainers[wait].securityContext.capabilities.drop",
    ]


def test_pods_are_found_in_what_makes_them() -> None:
    spec = pod()
    template = {"template": {"spec": spec}}
    assert pod_of({"apiVersion": "v1", "kind": "Pod", "spec": spec}) == spec
    for version, kind in (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job")):
        assert pod_of({"apiVersion": version, "kind": kind, "spec": template}) == spec
    assert pod_of({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": template}}}) == spec
    assert pod_of({"apiVersion": "v1", "kind": "Service", "spec": {"ports": []}}) is None
    assert pod_of({"apiVersion": "v1", "kind": "ConfigMap", "data": {}}) is None
