"""The sample stack in a git repository, released to a namespace of the test cluster, and what a week needs of it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tasks.kube.plan import labels
from tests.e2e.registries import IMAGE, build_image, registry
from tests.e2e.support import docker, remove
from tests.life.stack import Stack
from tests.life.stacks import sample

from .cluster import Cluster, Namespace

_HTTPS = 8443  # the port of nginx's Service: that of its container
_KEPT_BY_HELM = ("deployments", "statefulsets", "services", "persistentvolumeclaims", "ingresses", "configmaps")


@dataclass(kw_only=True)
class ClusterStack(Stack):
    """A stack whose containers are Pods of a namespace; clients reach it by the address of nginx's Service."""

    namespace: Namespace

    def pods(self) -> list[dict[str, Any]]:
        """Return the Pods of the project that are not being removed, jobs left out."""
        found = self.namespace.get("pods", **{labels.PROJECT: self.project})
        return [
            pod
            for pod in found
            if not pod["metadata"].get("deletionTimestamp")
            and not any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or ())
        ]

    def settle(self) -> None:
        """Wait, for a minute at most, until the cluster has removed the Pods of Deployments that are gone."""
        deadline = time.monotonic() + 60.0
        while any(len(ids) > self.replicas.get(name, 1) for name, ids in self.running().items()):
            if time.monotonic() > deadline:
                return  # the step tells of it
            time.sleep(0.5)

    def running(self) -> dict[str, frozenset[str]]:
        """Return the ids of the running Pods of each service, without jobs; "" are those of one that is away."""
        ids: dict[str, set[str]] = {}
        for pod in self.pods():
            if pod["status"].get("phase") == "Running":
                ids.setdefault(pod["metadata"]["labels"][labels.SERVICE], set()).add(pod["metadata"]["uid"])
        return {service: frozenset(found) for service, found in ids.items()}

    def reported(self) -> str:
        """Return what the running service reports as its version; "" when it does not answer."""
        with suppress(AssertionError):  # before the first deploy there is no Service
            address = self.namespace.get("service", "nginx")["spec"]["clusterIP"]
            self.api = replace(self.api, host=address, port=_HTTPS)
        return super().reported()

    def exec(self, service: str, *words: str) -> str:
        """Run a command in a Pod of a service; "" when there is none."""
        names = [pod["metadata"]["name"] for pod in self.pods() if pod["metadata"]["labels"][labels.SERVICE] == service]
        for name in names:
            return self.namespace.kubectl("exec", name, "-c", service, "--", *words, check=False).stdout.strip()
        return ""

    def _rows(self) -> set[str]:
        return set(self.exec(self.database, *self.query).splitlines())

    def cleaning(self) -> tuple[str, ...]:
        """Return the task that removes everything of a stack from a cluster."""
        return ("deploy.down", "--volumes")

    def left(self) -> list[str]:
        """Return what the namespace has of this stack; the history stays."""
        listed = self.namespace.get(",".join(_KEPT_BY_HELM), **{labels.PROJECT: self.project})
        names = [f"{raw['kind']}/{raw['metadata']['name']}" for raw in listed]
        return [name for name in names if not name.startswith(f"ConfigMap/{self.project}-release-")]


@contextmanager
def standing(cluster: Cluster, **settings: str) -> Iterator[ClusterStack]:
    """Yield the sample in a repository, with a registry and a namespace of its own; all of it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="life-") as directory:
        base = Path(directory)
        build_image()
        with _removed(sample.make(base)) as made, registry(base) as store, cluster.namespace() as namespace:
            given = {each.name: getattr(made, each.name) for each in fields(Stack)}
            stack = ClusterStack(**given, namespace=namespace)
            stack.settings(**_place(namespace, f"{store.host}/{made.project}"), **settings)
            with cluster.pulling_from(int(store.host.rpartition(":")[2])):
                yield stack


@contextmanager
def _removed(made: Stack) -> Iterator[Stack]:
    """Remove after a block what a stack, and its registry, have on the engine; a namespace goes with its own block."""
    try:
        yield made
    finally:
        for project in (made.project, f"{made.project}-dev"):
            remove(project)
        names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        own = [name for name in names if f"{made.project}/" in name]
        docker("image", "rm", "--force", IMAGE, *own, check=False)


def _place(namespace: Namespace, repository: str) -> dict[str, str]:
    return {
        "ORCHESTRATOR": "kubernetes",
        "KUBECONFIG": str(namespace.cluster.layout.kubeconfig),
        "KUBE_CONTEXT": "slipway-test",
        "KUBE_NAMESPACE": namespace.name,
        "IMAGE_REPOSITORY": repository,
    }
