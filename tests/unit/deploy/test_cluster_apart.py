"""What is for Kubernetes is loaded only where a profile says ORCHESTRATOR=kubernetes."""

import ast
from collections.abc import Iterator
from pathlib import Path

from source import TASKS, shown, tree
from support import ROOT

from tests.loads import LISTING, NOTHING_TO_DO, STATUS

# The files that only an environment on a cluster loads, and the rooms of Kubernetes themselves.
FOR_CLUSTERS = (
    "tasks/chaos/on_cluster.py",
    "tasks/chaos/plan/on_cluster.py",
    "tasks/deploy/cluster/",
    "tasks/deploy/plan/cluster.py",
    "tasks/deploy/plan/cluster_facts.py",
    "tasks/gitops/artifact.py",
    "tasks/gitops/export.py",
    "tasks/gitops/plan/argocd.py",
    "tasks/gitops/plan/exported.py",
    "tasks/gitops/plan/flux.py",
    "tasks/helm/",
    "tasks/kube/",
    "tasks/mesh/",
    "tasks/operate/cluster.py",
    "tasks/operate/cluster_clean.py",
    "tasks/operate/pod_logs.py",
    "tasks/setup/",
    "tasks/test/cluster_load.py",
    "tasks/test/cluster_smoke.py",
)
MODULES = tuple(name.removesuffix(".py").replace("/", ".").rstrip(".") for name in FOR_CLUSTERS if "setup" not in name)


def at_the_top(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports when it is loaded: what stands in functions is not."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join((*package[: len(package) - node.level + 1], *((node.module,) if node.module else ())))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_what_compose_loads_imports_nothing_for_clusters() -> None:
    others = [path for path in sorted(TASKS.rglob("*.py")) if not shown(path).startswith(FOR_CLUSTERS)]

    found = {
        shown(path): names
        for path in others
        if path != TASKS / "__init__.py"
        and (names := [name for name in at_the_top(path) if f"{name}.".startswith(tuple(f"{one}." for one in MODULES))])
    }

    assert len(others) > 100
    assert found == {}


def test_the_lists_of_what_may_be_loaded_have_nothing_for_clusters() -> None:
    allowed = LISTING | NOTHING_TO_DO | STATUS

    assert [
        name
        for name in sorted(allowed)
        if name.startswith(MODULES) and name not in ("tasks.kube", "tasks.helm", "tasks.mesh")
    ] == []
