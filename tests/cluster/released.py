"""A stack that is built, pushed to a registry of our own and deployed to the test cluster: to staging, then to prod."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.registries import git
from tests.e2e.support import ROOT, Checkout, docker, remove

from .cluster import Cluster, Namespace

_DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY index.html /www/index.html
USER 1000:1000
HEALTHCHECK --interval=1s --retries=2 --start-period=5s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""
_REVISION = "deployment.kubernetes.io/revision"  # noted by the controller of Deployments
_STAND_IN = "slipway-base/golang:1.27"
IMAGE = "${IMAGE_REPOSITORY:?}/app:${IMAGE_TAG}"


@dataclass
class Released(Checkout):
    """The stack under git; ``places`` are the namespaces of its environments."""

    name: str = ""
    places: dict[str, Namespace] = field(default_factory=dict)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with reports beside the stack."""
        return super().environment(SLIPWAY_REPORTS_DIR=str(self.project_dir / "reports"), **extra)

    def release(self, version: str, **app: Any) -> None:
        """Commit what is served under a version, with more keys of the service, and tag it."""
        (self.project_dir / "index.html").write_text(f"{self.name} {version}\n")
        own = {
            "image": IMAGE,
            "build": ".",
            "ports": ["18080:8080"],
            "stop_grace_period": "1s",
            "deploy": {"replicas": 2, "update_config": {"order": "start-first", "monitor": "1s"}},
            "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
            "x-slipway": {"smoke": [{"url": "http://localhost:18080/", "body": self.name}]},
            **app,
        }
        own["x-slipway"] = {"load": {"targets": ["GET http://app:8080/"]}, **own["x-slipway"]}
        job = {
            "image": IMAGE,
            "command": ["echo", "migrated"],
            "healthcheck": {"disable": True},
            "x-slipway": {"job": "migrate"},
        }
        model = {"services": {"app": own, "migrate": job, "load": _generator()}}
        (self.project_dir / "compose.yaml").write_text(json.dumps(model))
        git(self.project_dir, "add", "-A")
        git(self.project_dir, "commit", "--quiet", "--allow-empty", "-m", f"Release {version}")
        git(self.project_dir, "tag", "--force", f"v{version}")

    def profile(self, environment: str, repository: str, **keys: str) -> None:
        """Write the profile of an environment: on the cluster where it has a namespace, else on this engine."""
        values = {
            "COMPOSE_PROJECT_NAME": f"{self.name}-{environment}",
            "IMAGE_REPOSITORY": repository,
            "IMAGE_TAG": environment,
            "HEALTH_TIMEOUT": "40s",
            "LOCK_TTL": "6s",
        }
        if place := self.places.get(environment):
            values |= {
                "ORCHESTRATOR": "kubernetes",
                "KUBECONFIG": str(place.cluster.layout.kubeconfig),
                "KUBE_CONTEXT": "slipway-test",
                "KUBE_NAMESPACE": place.name,
            }
        lines = (f"{key}={value}\n" for key, value in {**values, **keys}.items())
        (self.envs_dir / f"{environment}.env").write_text("".join(lines))

    def images(self, environment: str) -> set[str]:
        """Return what the Pods that run, and stay, in an environment name as their images."""
        pods = (
            pod
            for pod in self.places[environment].get("pods")
            if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        )
        return {container["image"] for pod in pods for container in pod["spec"]["containers"]}

    def answers(self, environment: str) -> set[str]:
        """Return what the ready Pods of an environment serve."""
        place, found = self.places[environment], set()
        for pod in place.get("pods", **{"app.kubernetes.io/name": "app"}):
            if pod["metadata"].get("deletionTimestamp") is None:
                words = ("exec", pod["metadata"]["name"], "-c", "app", "--", "cat", "/www/index.html")
                found.add(place.kubectl(*words, check=False).stdout.strip())
        return found

    def versions(self, environment: str) -> dict[str, str]:
        """Return the versions of all that a deploy writes: they stay the same where nothing was written."""
        kinds = "deployments,jobs,secrets,configmaps,services,leases,networkpolicies"
        raws = json.loads(self.places[environment].kubectl("get", kinds, "-o", "json").stdout)["items"]
        return {f"{raw['kind']} {raw['metadata']['name']}": version(raw) for raw in raws}


def version(raw: dict[str, Any]) -> str:
    """Return what changes when somebody writes an object, and not when a controller notes its status."""
    metadata = raw["metadata"]
    if "status" not in raw:
        return str(metadata["resourceVersion"])
    noted = ("resourceVersion", "managedFields")
    annotations = {key: text for key, text in metadata.get("annotations", {}).items() if key != _REVISION}
    kept = {key: value for key, value in metadata.items() if key not in noted} | {"annotations": annotations}
    return json.dumps([kept, raw.get("spec")], sort_keys=True)


def _generator() -> dict[str, Any]:
    """Return the load generator of the sample, built where no registry is reached, too."""
    build: dict[str, Any] = {"context": "./load", "target": "production"}
    if docker("image", "ls", "-q", _STAND_IN):
        build["additional_contexts"] = {"golang:1.27-alpine": f"docker-image://{_STAND_IN}"}
    image = IMAGE.replace("/app:", "/load:")
    return {"image": image, "build": build, "profiles": ["load"], "x-slipway": {"role": "load-generator"}}


@contextmanager
def made(directory: Path, name: str, cluster: Cluster, *environments: str) -> Iterator[Released]:
    """Yield the stack in a directory, as version 1.0.0, with a namespace for each of its environments and no profiles.

    Its images are gone after the block.
    """
    (directory / "envs").mkdir(parents=True)
    shutil.copy("/bin/busybox", directory / "busybox")
    shutil.copytree(ROOT / "docker_project" / "load", directory / "load")
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    (directory / ".gitignore").write_text("envs/\nreports/\nkeys/\n")
    (directory / ".dockerignore").write_text("*\n!busybox\n!index.html\n")
    git(directory.parent, "init", "--quiet", str(directory))
    stack = Released(directory, directory / "envs", [f"{name}-{one}" for one in environments], name=name)
    stack.release("1.0.0")
    with ExitStack() as left:
        for project in stack.projects:
            left.callback(remove, project)
        stack.places = {one: left.enter_context(cluster.namespace()) for one in environments}
        yield stack
