"""Where the memory of an agent is on a cluster: in ConfigMaps, by kubectl."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject
from fakes import World

from tasks.gitops import stored
from tasks.gitops.plan.memory import Attempt, Memory, Orders
from tasks.kube.live import cluster
from tasks.model.command import Command


class FakeCluster:
    """A namespace that holds ConfigMaps; only what is applied as kubectl applies it gets there."""

    kept: dict[str, Any]

    def __init__(self, _project: object) -> None:
        self.release = "shop"

    def read(self, *words: str, missing: str) -> Any:
        verb, kind, name = words
        assert (verb, kind, missing) == ("get", "configmap", "null")
        return self.kept.get(name)

    def kubectl(self, *words: str, stdin: str, reason: str) -> Command:
        assert words[:2] == ("apply", "--server-side") and reason
        return Command(("kubectl", *words), stdin=stdin)

    def silently(self, command: Command) -> None:
        made = json.loads(command.stdin or "")
        assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
        self.kept[made["metadata"]["name"]] = made


def test_a_cluster_keeps_memory_and_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "Cluster", FakeCluster)
    monkeypatch.setattr(FakeCluster, "kept", {}, raising=False)
    project = FakeProject(World(), tmp_path, ORCHESTRATOR="kubernetes", KUBE_CONTEXT="a", KUBE_NAMESPACE="b")
    assert (stored.memory(project), stored.orders(project)) == (Memory(), Orders())

    known, given = Memory(Attempt("a" * 40, "deployed", "2026-11-30T12:00:00Z", 3)), Orders("now", "ann@desk")
    stored.remember(project, known)
    stored.order(project, given)
    assert (stored.memory(project), stored.orders(project)) == (known, given)
    assert sorted(FakeCluster.kept) == ["shop-gitops-memory", "shop-gitops-orders"]
    assert project.world.images == {}, "nothing of it is on the engine"
