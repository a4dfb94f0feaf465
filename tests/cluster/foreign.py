"""A Compose project as others write it, on the cluster: adopted, committed, and asked from outside of the Pods."""

import json
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.foreign import inv

from .cluster import Namespace

ENVIRONMENT = "prod"
_TIMEOUT = 1800.0  # seconds: a deploy builds
_GIT = ("-c", "user.name=Test", "-c", "user.email=test@example.com")


@dataclass(frozen=True)
class Foreign:
    """A project in a directory of its own, and the namespace that its environment prod is in."""

    directory: Path
    namespace: Namespace

    def inv(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a task as a user does who has `inv` on the PATH; asserts its exit code."""
        done = inv(self.directory, *words, timeout=_TIMEOUT)
        assert done.returncode == code, f"inv {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a task and return its document."""
        return json.loads(self.inv(*words, "--json", code=code).stdout)

    def adopt(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Adopt the project and say where it runs: keys of the profile, and a Compose file with ``services``."""
        self._git("init", "--quiet")
        self.commit("As it came")
        self.inv("adopt", "--yes")
        layout, profile = self.namespace.cluster.layout, self.directory / "envs" / f"{ENVIRONMENT}.env"
        own = {
            "ORCHESTRATOR": "kubernetes",
            "KUBECONFIG": str(layout.kubeconfig),
            "KUBE_CONTEXT": "slipway-test",
            "KUBE_NAMESPACE": self.namespace.name,
        }
        file = self.directory / "compose.cluster.yaml"
        file.write_text(json.dumps({"services": services}, indent=1), "utf-8")
        lines = [
            f"{line}:{file.name}" if line.startswith("COMPOSE_FILE=") else line
            for line in profile.read_text("utf-8").splitlines()
        ]
        profile.write_text("\n".join([*lines, *(f"{key}={value}" for key, value in own.items()), ""]), "utf-8")
        self.commit("On a cluster")

    def commit(self, subject: str) -> None:
        """Commit everything."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", subject)

    def ask(self, service: str, path: str = "/") -> str:
        """Return what the first port of a service answers to a client that is no Pod; "" where nothing does."""
        spec = self.namespace.get("service", service)["spec"]
        url = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                return str(page.read().decode())
        except OSError:
            return ""

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *_GIT, *words], cwd=self.directory, check=True, capture_output=True)
