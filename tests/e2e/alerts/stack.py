"""The sample as staging runs it, with services for faults beside it, deployed and watched at short intervals."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import support
from tests.e2e.support import DOCKER, NOT_COPIED, ROOT, Sample, docker, free_port, leftovers, make_sample, remove

from . import quick
from .receiver import Receiver, receiving

_HERE = Path(__file__).parent
_OVERLAY = "alerts.yaml"
_PORTS = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "JAEGER_PORT", "FRONT_PORT", "HTTPS_PORT")
_BEGINS = 3  # how often a command is tried again
_SEEN = 60.0  # seconds until every target is seen


@dataclass
class Stack:
    """A stack that is watched; ``monitoring`` is the Compose project that watches it, ``ports`` are by profile key."""

    sample: Sample
    project: str
    monitoring: str
    receiver: Receiver
    ports: dict[str, int]
    told: list[str] = field(default_factory=list)

    def of(self, service: str) -> str:
        """Return the container of a service of the stack, running or not."""
        labels = (f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}")
        return docker("ps", "-aq", "--filter", labels[0], "--filter", labels[1]).split()[0]

    def watcher(self, service: str) -> str:
        """Return the name of the container of a service of the monitoring."""
        return f"{self.monitoring}-{service}-1"

    def sh(self, service: str, script: str) -> None:
        """Run a script in a service's container; raises CalledProcessError."""
        _run("exec", self.of(service), "sh", "-ec", script)

    def background(self, service: str, script: str) -> None:
        """Begin a script in a service's container; raises CalledProcessError."""
        _run("exec", "-d", self.of(service), "sh", "-ec", script)

    def asked(self, path: str) -> Any:
        """Return the data that Prometheus answers with."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def has(self, expression: str) -> bool:
        """Whether an expression of Prometheus returns something now."""
        return bool(self.asked(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")["result"])

    def wait_until_seen(self, *jobs: str) -> None:
        """Wait until Prometheus has seen every target twice, those of the jobs among them."""
        deadline = time.monotonic() + _SEEN
        while True:
            targets = self.asked("/api/v1/targets?state=active")["activeTargets"]
            down = {one["labels"]["job"]: one["lastError"] for one in targets if one["health"] != "up"}
            if not down and {one["labels"]["job"] for one in targets} >= set(jobs):
                break
            assert time.monotonic() < deadline, f"not seen: {down or jobs}"
            time.sleep(0.5)
        time.sleep(2 * quick.INTERVAL)

    @property
    def image(self) -> str:
        """An image with a shell."""
        return f"{self.project}/database:staging"

    def watch_sh(self, service: str, script: str, stdin: str = "") -> None:
        """Run a script in the container of a service of the monitoring; raises CalledProcessError."""
        _run("exec", "-i", self.watcher(service), "sh", "-ec", script, stdin=stdin)

    def volume(self, service: str, place: str) -> str:
        """Return the volume that a service's container has at a place."""
        text = '{{range .Mounts}}{{if eq .Destination "PLACE"}}{{.Name}}{{end}}{{end}}'.replace("PLACE", place)
        return docker("inspect", "--format", text, self.of(service))

    def in_volume(self, volume: str, script: str, stdin: str = "") -> None:
        """Run a script in a container of its own, which has a volume at ``/volume``."""
        self._apart([f"--volume={volume}:/volume"], script, stdin)

    def planter(self, script: str, stdin: str = "") -> None:
        """Run a script with the file systems that node-exporter sees: ``/textfile`` and ``/planted/…``."""
        mounts = [f"--volume={self.monitoring}_{name}:{place}" for name, place in quick.FILE_SYSTEMS.items()]
        self._apart(mounts, script, stdin)

    def _apart(self, mounts: list[str], script: str, stdin: str) -> None:
        # The image has labels of Compose: without others the container would be one of the database.
        others = [f"--label=com.docker.compose.{name}=" for name in ("project", "service")]
        known = ("--network=none", f"--label=slipway.throwaway={self.project}", *others)
        words = ("run", "--rm", "-i", *known, "--user=root", *mounts, "--entrypoint=sh", self.image, "-ec", script)
        _run(*words, stdin=stdin)


def _run(*words: str, stdin: str = "") -> None:
    """Run the docker command; again where a busy engine could not begin it, in which case nothing has happened."""
    for left in range(_BEGINS, -1, -1):
        done = subprocess.run([DOCKER, *words], input=stdin, capture_output=True, text=True, check=False, timeout=60)
        if left and "OCI runtime exec failed" in done.stderr:
            time.sleep(1)
            continue
        done.check_returncode()
        return


@contextmanager
def watched(base: Path, name: str, interval: float = quick.INTERVAL, faults: bool = True) -> Iterator[Stack]:
    """Deploy the stack, bring its monitoring up, and remove everything in the end, without the code under test.

    ``interval`` is in seconds. Without ``faults`` it is the sample alone, watched with the times that are shipped.
    """
    directory = base / "docker_project"
    shutil.copytree(ROOT / "docker_project", directory, ignore=NOT_COPIED)
    if faults:
        quick.change(directory / "monitoring")
        _write_overlay(directory)
    sample = make_sample(base, name, directory)
    project, ports = f"{name}-staging", {key: free_port() for key in _PORTS}
    anonymous: set[str] = set()
    try:
        with receiving() as receiver, support.anonymous_volumes(name) as anonymous:
            own = {key: str(port) for key, port in ports.items()}
            own |= {"MONITOR_INTERVAL": f"{interval:.0f}s", "MONITOR_RETENTION": "1d", "ALERT_WEBHOOK": receiver.url}
            if faults:
                own |= {"COMPOSE_FILE": f"docker-compose.yml:docker-compose.prod.yml:{_OVERLAY}"}
                own |= {"PLANTED_PASSWORD": uuid.uuid4().hex}
            else:
                del own["FRONT_PORT"]  # a profile has no key that no Compose file reads
            layer = sample.envs_dir / "staging.local.env"
            layer.write_text(_replaced(layer.read_text(), own))
            sample.inv("setup", SLIPWAY_ENV="staging")
            sample.inv("deploy.staging")
            sample.inv("monitor.up", "--env", "staging")
            yield Stack(sample, project, f"{project}-monitoring", receiver, ports)
    finally:
        _remove(sample, project)
        support.remove_volumes(sample.anonymous | anonymous)
    assert [left for one in (*sample.projects, f"{project}-monitoring") for left in leftovers(one)] == []


def _write_overlay(directory: Path) -> None:
    model = yaml.safe_load((_HERE / "services.yaml").read_text())
    shutil.copytree(_HERE.parent / "servers", directory / "servers")
    shutil.copy(_HERE / "front.conf", directory)
    machine = ROOT / "envs" / "base.local.env"
    if machine.exists() and "BASE_IMAGES=local" in machine.read_text():
        contexts = {"debian:trixie-slim": "docker-image://slipway-base/debian:trixie"}
        model["services"]["mysql"]["build"]["additional_contexts"] = contexts
    (directory / _OVERLAY).write_text(yaml.safe_dump(model, sort_keys=False))


def _replaced(layer: str, own: dict[str, str]) -> str:
    kept = [line for line in layer.splitlines() if line.partition("=")[0] not in own]
    return "".join(f"{line}\n" for line in (*kept, *(f"{key}={value}" for key, value in own.items())))


def _remove(sample: Sample, project: str) -> None:
    label = f"label=slipway.monitors={project}"
    if containers := docker("ps", "-aq", "--filter", label).split():
        docker("rm", "-f", "-v", *containers)
    for name in (*sample.projects, f"{project}-monitoring"):
        remove(name)
    if volumes := docker("volume", "ls", "-q", "--filter", label).split():
        docker("volume", "rm", *volumes)


def new_name(kind: str) -> str:
    """Return a unique name for a sample, with the id of this process."""
    return f"slipway-alerts-{kind}-{os.getpid()}"
