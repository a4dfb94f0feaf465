"""A lean stack whose service counts its requests, and a Prometheus that reads them: by their real programs."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.life.stack import local_images

from .lean import Lean
from .support import DOCKER, docker, until

SOURCES = Path(__file__).with_name("metered_service")
HISTOGRAM = "http_server_request_duration_seconds"
USUAL = 40  # milliseconds that an answer takes
_MOST = 99  # containers of the service that Prometheus looks for
_BASES = {
    "golang:1.27": "docker-image://slipway-base/golang:1.27",
    "debian:trixie-slim": "docker-image://slipway-base/debian:trixie",
}


@dataclass
class Metered(Lean):
    """The stack; ``judged`` is `x-slipway.watch`, ``canary`` its shares, without which it is rolled out blue-green."""

    judged: Any = None
    canary: Any = None
    monitor: str = "10s"
    histogram: str = HISTOGRAM

    @property
    def monitoring(self) -> str:
        """The name of the project of its Prometheus."""
        return f"{self.project}-monitoring"

    def _build(self, target: str) -> dict[str, Any]:
        return {"context": "./metered", "target": target, **({"additional_contexts": _BASES} if local_images() else {})}

    def answer(self) -> str:
        """Return the body that a client gets now; a release that fails one request of some is asked again."""
        try:
            return super().answer()
        except subprocess.CalledProcessError:
            return super().answer()

    def release(self, text: str, fail_of: int = 0, delay: int = USUAL) -> None:
        """Write a version: what it answers, of how many requests one fails (0: none), how long it takes, in ms."""
        told = {"VERSION": text, "FAIL_OF": str(fail_of), "DELAY": str(delay), "HISTOGRAM": self.histogram}
        own: dict[str, Any] = {"metrics": {"port": 8000}, **({"watch": self.judged} if self.judged else {})}
        own |= {"canary": self.canary} if self.canary else {"rollout": "blue-green"}
        health = {"interval": "10s", "start_period": "20s", "start_interval": "200ms"}
        self.write(
            image=f"{self.project}/web:one", build=self._build("web"), entrypoint=["/web"], environment=told,
            healthcheck={"test": ["CMD", "/web", "health"], **health}, expose=["8000"],
            deploy={"update_config": {"monitor": self.monitor}}, **{"x-slipway": own},
        )  # fmt: skip
        shutil.copytree(SOURCES, self.project_dir / "metered", dirs_exist_ok=True)
        (self.project_dir / "metered" / "prometheus.yml").write_text(json.dumps(self._configuration()))

    def _configuration(self) -> dict[str, Any]:
        """Return what Prometheus is told: every second it reads all containers that the service may have."""
        names = [f"{self.project}-app-{number}" for number in range(1, _MOST)]
        targets = [
            {"targets": [f"{name}:8000"], "labels": {"project": self.project, "service": "app", "container": name}}
            for name in names
        ]
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "app", "static_configs": targets}],
        }

    def watched(self) -> None:
        """Start Prometheus, in the network of the stack, and wait until it has read something."""
        image = f"{self.project}/prometheus:one"
        contexts = [f"--build-context={name}={base}" for name, base in _BASES.items()] if local_images() else []
        build = [DOCKER, "build", "--quiet", "--target=prometheus", f"--tag={image}", *contexts]
        subprocess.run([*build, str(self.project_dir / "metered")], check=True, capture_output=True, timeout=600)
        labels = {"project": self.monitoring, "service": "prometheus", "container-number": "1", "oneoff": "False"}
        words = [f"--label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        docker(
            "run", "--detach", f"--name={self.monitoring}-prometheus-1", f"--network={self.project}_default",
            "--publish=127.0.0.1::9090", f"--label=slipway.monitors={self.project}", *words, image,
        )  # fmt: skip
        until(lambda: '"health":"up"' in self.prometheus("/api/v1/targets"), "Prometheus reads a container", 120)

    def prometheus(self, path: str) -> str:
        """Return what Prometheus answers."""
        address = docker("port", f"{self.monitoring}-prometheus-1", "9090/tcp").splitlines()[0]
        asked = ["curl", "-s", "--max-time", "5", f"http://{address}{path}"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    def away(self) -> None:
        """Remove Prometheus, and the image that it has."""
        docker("rm", "--force", "--volumes", f"{self.monitoring}-prometheus-1", check=False)
        docker("image", "rm", "--force", f"{self.project}/prometheus:one", check=False)

    def serving(self) -> list[str]:
        """Return the names of the running containers of the service."""
        mine = (f"com.docker.compose.project={self.project}", "com.docker.compose.service=app")
        return docker("ps", *(f"--filter=label={label}" for label in mine), "--format={{.Names}}").split()


def make_metered(lean: Lean, **more: Any) -> Metered:
    """Make a metered stack of a lean one that has not been deployed."""
    stack = Metered(lean.project_dir, lean.envs_dir, [*lean.projects], lean.image, lean.port, **more)
    stack.projects.append(stack.monitoring)
    (stack.envs_dir / "dev.env").write_text("HEALTH_TIMEOUT=120s\nMONITOR_INTERVAL=2s\n")
    return stack
