"""A stack that is deployed to the test cluster: a web server of two Pods, a job before it, and a secret."""

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.support import Checkout

from .cluster import APP, Namespace

USER = "1000:1000"
SERVE = "mkdir -p /tmp/www && echo VERSION on $$HOSTNAME > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
HEALTH = {"test": ["CMD", "test", "-f", "/tmp/www/index.html"], "interval": "1s", "retries": 2, "start_period": "5s"}


@dataclass
class Shop(Checkout):
    """The stack, in the namespace of a test."""

    namespace: Namespace | None = None

    @property
    def place(self) -> Namespace:
        """The namespace."""
        assert self.namespace is not None
        return self.namespace

    @property
    def address(self) -> str:
        """The address of the Service of the web server."""
        return str(self.place.get("service", "app")["spec"]["clusterIP"])

    def write(self, version: str = "1", image: str = APP, migrate: str = "echo migrated", **app: Any) -> None:
        """Write the Compose file: the version that is served, what the migration does, and more keys of the service."""
        name = f"{image}:1"
        own = {
            "image": name,
            "user": USER,
            "command": ["sh", "-c", SERVE.replace("VERSION", version)],
            "ports": ["18080:8080"],
            "environment": {"LEVEL": "info"},
            "secrets": ["password"],
            "healthcheck": HEALTH,
            "stop_grace_period": "1s",
            "deploy": {"replicas": 2, "update_config": {"order": "start-first", "monitor": "1s"}},
            "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
            "x-slipway": {"smoke": [{"url": "http://localhost:18080/", "body": version}]},
            **app,
        }
        job = {"image": f"{APP}:1", "user": USER, "command": ["sh", "-c", migrate], "x-slipway": {"job": "migrate"}}
        model = {"services": {"app": own, "migrate": job}, "secrets": {"password": {"file": "./password"}}}
        (self.project_dir / "compose.yaml").write_text(json.dumps(model))

    def profile(self, **keys: str) -> None:
        """Write the profile of the environment."""
        values = {
            "COMPOSE_PROJECT_NAME": "shop",
            "ORCHESTRATOR": "kubernetes",
            "KUBECONFIG": str(self.place.cluster.layout.kubeconfig),
            "KUBE_CONTEXT": "slipway-test",
            "KUBE_NAMESPACE": self.place.name,
            "HEALTH_TIMEOUT": "2m",
            "LOCK_TTL": "12s",
            **keys,
        }
        (self.envs_dir / "prod.env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def answers(self) -> set[str]:
        """Return the versions that the ready Pods serve."""
        found = set()
        for pod in self.place.get("pods", **{"app.kubernetes.io/name": "app"}):
            if pod["metadata"].get("deletionTimestamp") is None:
                words = ("exec", pod["metadata"]["name"], "-c", "app", "--", "cat", "/tmp/www/index.html")
                found.add(self.place.kubectl(*words, check=False).stdout.partition(" ")[0])
        return found

    def revisions(self) -> list[str]:
        """Return the status of each revision of helm, oldest first."""
        raws = self.place.get("secrets", owner="helm")
        ordered = sorted(raws, key=lambda raw: int(raw["metadata"]["labels"]["version"]))
        return [raw["metadata"]["labels"]["status"] for raw in ordered]

    def begun(self, *words: str, **extra: str) -> "subprocess.Popen[str]":
        """Start a task in the background."""
        return subprocess.Popen(
            self.command(*words), env=self.environment(**extra), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


def killed(task: "subprocess.Popen[str]") -> None:
    """Kill a task as nobody can prepare for."""
    task.send_signal(signal.SIGKILL)
    task.communicate()


def made(directory: Path, namespace: Namespace) -> Shop:
    """Return the stack in a directory, written in its first version."""
    (directory / "envs").mkdir(parents=True)
    (directory / "password").write_text("hunter2")
    shop = Shop(directory, directory / "envs", [], namespace=namespace)
    shop.profile()
    shop.write()
    return shop
