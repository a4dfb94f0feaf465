"""The smoke checks of a deploy to a cluster: for which Pods they wait."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cluster_objects import NAMES, deployment, pod
from support import profile, stack

from tasks.kube.live.cluster import Cluster
from tasks.model.errors import DeployError
from tasks.test import cluster_smoke

STARTING = {"ready": False, "started": False}


class Getting:
    """A cluster of which two Pods are ready once it was asked so often."""

    name = "shop"

    def __init__(self, second: Mapping[str, Any], ready_after: int) -> None:
        self._second, self._ready_after = second, ready_after
        self.asked = 0
        self.project = SimpleNamespace(profile=profile("dev", HEALTH_TIMEOUT="30s"))

    def read(self, *_: str) -> Any:
        self.asked += 1
        ready = self.asked > self._ready_after
        workload = deployment()
        workload["status"]["readyReplicas"] = 2 if ready else 1
        return {"items": [workload, pod("app-1"), pod("app-2", **({} if ready else self._second))]}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_smoke, "_PATIENCE", -1.0)
    monkeypatch.setattr(cluster_smoke, "_AGAIN", 0.0)
    monkeypatch.setattr(cluster_smoke, "trusted_files", lambda _: ())


def check(cluster: Getting) -> None:
    cluster_smoke.assert_smoke(cast(Cluster, cluster), stack({"app": {"image": "shop/app:1"}}), NAMES)


def test_a_pod_that_starts_elsewhere_since_its_node_is_drained_is_waited_for() -> None:
    cluster = Getting(STARTING, ready_after=3)
    check(cluster)
    assert cluster.asked == 4


@pytest.mark.parametrize("second", [{"ready": False}, {**STARTING, "restartCount": 1}])
def test_a_pod_that_got_sick_is_not_waited_for(second: Mapping[str, Any]) -> None:
    with pytest.raises(DeployError, match="app: health: 1 of 2 containers are ready"):
        check(Getting(second, ready_after=3))
