"""What Pods may do, in the words of a container engine, and what a report says of it."""

from typing import Any

import pytest

from tasks.kube.plan.live.confined import UNKNOWN, amount, confined, with_token
from tasks.model.engine.confinement import Confined, Mount, PublishedPort
from tasks.scan.plan.hardening import judge, of_pods

NAMES = {"app": "app", "my-agent": "my_agent"}
HARDENED = {
    "name": "app",
    "securityContext": {
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}, "requests": {"cpu": "250m"}},
    "readinessProbe": {"exec": {"command": ["true"]}},
}
RUNTIME = {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}


def pod(*containers: Any, service: str = "app", status: Any = None, **spec: Any) -> dict[str, Any]:
    """Return a Pod that runs."""
    about = {"name": f"{service}-1", "labels": {"app.kubernetes.io/name": service}}
    return {
        "kind": "Pod",
        "metadata": about,
        "spec": {"containers": list(containers), **RUNTIME, **spec},
        "status": {"phase": "Running", **(status or {})},
    }


def only(raw: dict[str, Any]) -> Confined:
    (one,) = confined([raw], NAMES)
    return one


def found(*raws: Any) -> dict[str, str]:
    """Return the findings of a report on Pods, by item."""
    report = judge(of_pods(confined(raws, NAMES), (), ()), {})
    return {finding.id: finding.title for finding in report.findings}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("128Mi", 128 << 20),
        ("1G", 1e9),
        ("500m", 0.5),
        ("2", 2.0),
        ("1e3", 1000.0),
        ("1.5Gi", 1.5 * (1 << 30)),
        (None, 0),
    ],
)
def test_a_quantity_is_a_number(text: str | None, number: float) -> None:
    assert amount(text) == number


def test_a_hardened_pod_has_nothing_to_report() -> None:
    one = only(pod(HARDENED))

    assert (one.user, one.memory, one.cpus, one.cpu_shares) == ("1000", 128 << 20, 0.5, 256)
    assert one.options == ("no-new-privileges:true",)
    assert found(pod(HARDENED)) == {}


def test_what_the_kubelet_saw_counts_before_what_the_pod_says() -> None:
    status = {"containerStatuses": [{"name": "app", "user": {"linux": {"uid": 0, "gid": 0}}}]}

    assert only(pod(HARDENED, status=status)).user == "0:0"
    assert found(pod(HARDENED, status=status)) == {"CIS-4.1": "runs as root"}


def test_a_user_that_nobody_says_is_not_called_root() -> None:
    bare = {"name": "app", "securityContext": {**HARDENED["securityContext"], "runAsUser": None}}
    del bare["securityContext"]["runAsUser"]

    assert only(pod(bare)).user == UNKNOWN
    assert "CIS-4.1" not in found(pod(bare))
    assert only(pod(bare, securityContext={"runAsNonRoot": True})).user == "not root"


def test_a_pod_that_says_nothing_differs_in_every_item_that_a_pod_answers() -> None:
    assert set(found(pod({"name": "app"}, securityContext={"runAsUser": 0}))) == {
        *("CIS-4.1", "CIS-5.4", "CIS-5.11", "CIS-5.12", "CIS-5.13", "CIS-5.22", "CIS-5.26", "CIS-5.27")
    }


def test_what_a_pod_has_of_its_node() -> None:
    agent = {
        **HARDENED,
        "ports": [{"containerPort": 9100, "hostPort": 9100, "protocol": "TCP"}],
        "volumeMounts": [{"name": "root", "mountPath": "/host", "readOnly": True, "mountPropagation": "Bidirectional"}],
    }
    raw = pod(
        agent, service="my-agent", hostNetwork=True, hostPID=True, hostIPC=True,
        volumes=[{"name": "root", "hostPath": {"path": "/"}}],
    )  # fmt: skip

    one = only(raw)

    assert (one.service, one.network, one.pid, one.ipc) == ("my_agent", "host", "host", "host")
    assert one.mounts == (Mount("/", "/host", False, "rshared"),)
    assert one.ports == (PublishedPort("", 9100, 9100),)
    assert {"CIS-5.10", "CIS-5.16", "CIS-5.17", "CIS-5.6", "CIS-5.14", "CIS-5.32"} <= set(found(raw))


def test_privileged_containers_sidecars_and_those_that_have_ended() -> None:
    privileged = {"name": "app", "securityContext": {"privileged": True}}
    sidecar = {"name": "proxy", "restartPolicy": "Always"}
    ended = {**pod({"name": "migrate"}, service="migrate"), "status": {"phase": "Succeeded"}}

    assert found(pod(privileged))["CIS-5.5"] == "is privileged: it can do all that the host can"
    assert len(confined([pod(HARDENED, initContainers=[sidecar, {"name": "wait"}]), ended], NAMES)) == 2


def test_the_token_of_a_service_account_is_told_with_its_service_and_can_be_accepted() -> None:
    volumes = [{"name": "api", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]
    mounted = {
        **HARDENED,
        "volumeMounts": [{"name": "api", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
    }

    assert with_token([pod(mounted, volumes=volumes), pod(HARDENED, service="my-agent")], NAMES) == ("app",)
    report = of_pods((), ["app"], ())
    assert [(one.id, one.where) for one in judge(report, {}).findings] == [("KUBE-TOKEN", "app")]
    accepted = judge(report, {"app": {"KUBE-TOKEN": "it watches Pods"}})
    assert accepted.findings == ()
    assert [(one.finding.id, one.reason) for one in accepted.accepted] == [("KUBE-TOKEN", "it watches Pods")]


def test_items_that_no_pod_answers_are_told_and_not_passed() -> None:
    report = judge(of_pods((), (), ["app"]), {})

    assert report.findings == ()
    assert [line.partition(":")[0] for line in report.unchecked] == [
        "CIS-5.2",
        "CIS-5.3",
        "CIS-5.15",
        "CIS-5.29",
        "CIS-4.1",
    ]
    assert report.unchecked[-1].endswith("says the user of app")


def test_a_pod_that_wants_no_apparmor_profile_is_told() -> None:
    context = {**HARDENED["securityContext"], "appArmorProfile": {"type": "Unconfined"}}

    assert found(pod({**HARDENED, "securityContext": context})) == {"CIS-5.2": "runs without an AppArmor profile"}
