"""A helm command of a deploy, and the looks at the Pods around it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.deploy.cluster.helm import Rollout
from tasks.host.runner import Runner
from tasks.kube.live import cluster as live
from tasks.kube.live.cluster import Cluster
from tasks.kube.plan.live.faults import ClusterAwayError
from tasks.model.command import Command


class Away:
    """A cluster whose API server does not answer the first questions."""

    name = "shop"

    def __init__(self, silent: int) -> None:
        self._silent = silent
        self.asked = 0
        self.project = SimpleNamespace(runner=Runner())

    def read(self, *_: str) -> Any:
        self.asked += 1
        if self.asked <= self._silent:
            raise ClusterAwayError("the cluster of context prod-eu does not answer: TLS handshake timeout")
        return {"items": []}


def test_an_api_server_that_is_away_for_a_moment_before_helm_begins_does_not_end_a_deploy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(live, "_AGAIN", 0.0)
    cluster = Away(2)

    Rollout(cast(Cluster, cluster), {}).run(Command(("touch", str(tmp_path / "ran"))), ["app"])

    assert (tmp_path / "ran").exists()
    assert cluster.asked >= 3
