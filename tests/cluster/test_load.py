"""`inv test.load` and `inv scan.hardening` for an environment on the cluster; nothing of them is left there."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.registries import Registry

from .cluster import Cluster, until
from .released import Released, made

TAKES = 70


@pytest.fixture(scope="module")
def shop(cluster: Cluster, store: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """The stack, deployed to staging."""
    name = f"slipway-loaded-{os.getpid()}"
    with made(tmp_path_factory.mktemp("loaded") / "shop", name, cluster, "staging") as shop:
        shop.profile("staging", f"{store.host}/{name}", LOAD_P95_MAX="30s", LOAD_P99_MAX="30s")
        shop.inv("deploy.staging")
        yield shop


def left(shop: Released) -> list[str]:
    """Return the jobs and Pods of load tests."""
    place = shop.places["staging"]
    return [
        raw["metadata"]["name"]
        for kind in ("jobs", "pods")
        for raw in place.get(kind)
        if "-load-" in raw["metadata"]["name"]
    ]


def test_load_comes_from_a_pod_beside_the_service_and_leaves_nothing(shop: Released) -> None:
    first = shop.json("test.load", "--env", "staging", "--rate", "20", "--duration", "3s", "--save-baseline")

    assert first["outcome"] == "passed"
    # On a busy machine the last ones may be due when the three seconds are over.
    sent = first["load"]["requests"]
    assert 45 <= sent <= 60 and first["load"]["codes"] == {"200": sent}
    assert 0 < first["load"]["latencies"]["p50"] <= first["load"]["latencies"]["p95"]
    assert left(shop) == []
    again = shop.json("test.load", "--env", "staging", "--rate", "20", "--duration", "3s")
    assert again["baseline"]["p95"] == first["load"]["latencies"]["p95"]


def test_a_limit_that_is_exceeded_is_exit_code_5(shop: Released, store: Registry) -> None:
    shop.profile("staging", f"{store.host}/{shop.name}", LOAD_P95_MAX="0.001ms", LOAD_P99_MAX="0.001ms")

    done = shop.json("test.load", "--env", "staging", "--rate", "5", "--duration", "2s", code=5)

    assert done["outcome"] == "failed"
    assert "is over LOAD_P95_MAX" in done["suites"][0]["reason"]
    assert left(shop) == []
    shop.profile("staging", f"{store.host}/{shop.name}")


def test_nothing_is_left_after_ctrl_c(shop: Released) -> None:
    task = subprocess.Popen(
        shop.command("test.load", "--env", "staging", "--duration", "60s"),
        env=shop.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until(lambda: any("-load-" in name for name in left(shop)), "the Pod of the generator", 90)

    os.killpg(task.pid, signal.SIGINT)
    said = "\n".join(task.communicate(timeout=120))

    assert task.returncode == 130, said
    assert "Traceback" not in said
    assert left(shop) == []


def test_a_service_that_does_not_run_is_refused(shop: Released) -> None:
    place = shop.places["staging"]
    place.kubectl("scale", "deployment/app", "--replicas=0")
    until(lambda: place.get("pods", **{"app.kubernetes.io/name": "app"}) == [], "no Pod")

    said = shop.inv("test.load", "--env", "staging", code=3).stderr

    assert f"service app of {shop.name}-staging is not running" in said
    place.kubectl("scale", "deployment/app", "--replicas=2")
    place.rolled_out("deployment/app")


def test_hardening_reads_the_pods_as_they_run(shop: Released, store: Registry) -> None:
    shop.profile("staging", f"{store.host}/{shop.name}", SCAN_FAIL_ON="medium")

    report = shop.json("scan.hardening", "--env", "staging", code=5)

    found = {finding["id"]: finding for finding in report["findings"]}
    assert report["schema"] == "slipway/scan.hardening/v1"
    # The namespace enforces `restricted`: what that does not ask for is what is found.
    assert {"CIS-5.11", "CIS-5.13"} <= set(found)
    assert not {"CIS-4.1", "CIS-5.4", "CIS-5.5", "CIS-5.22", "CIS-5.26", "CIS-5.27", "KUBE-TOKEN"} & set(found)
    assert {one["user"].partition(":")[0] for one in report["containers"]} == {"1000"}
    assert {one["service"] for one in report["containers"]} == {"app"}

    accepted = {key: "a test" for key in found}
    shop.release("1.0.1", **{"x-slipway": {"accept": accepted}})
    closed = shop.json("scan.hardening", "--env", "staging")

    assert (closed["outcome"], closed["findings"]) == ("passed", [])
    assert {one["id"] for one in closed["accepted"]} == set(found)
