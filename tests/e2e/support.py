"""Projects on a real engine: how tests and benchmarks make them, use them and remove them."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.plan.facts import FILES_LABEL

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tasks" / "host" / "program.py"
NOT_COPIED = shutil.ignore_patterns("secrets", "*.crt", "*.key")
DOCKER = shutil.which("docker") or "docker"
_NAMES = ("--format", "{{.Repository}}:{{.Tag}}")


@dataclass
class Checkout:
    """A Compose project with profiles of its own, and the command line that works on it."""

    project_dir: Path
    envs_dir: Path
    projects: list[str] = field(default_factory=list)
    nameless: set[str] = field(default_factory=set, kw_only=True)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task: no SLIPWAY_*, COMPOSE_* of the caller leaks in.

        Python keeps what it has compiled, as it does for users: there are thousands of these processes.
        """
        leave = ("SLIPWAY_", "COMPOSE_", "PYTHONDONTWRITEBYTECODE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(leave)}
        return {
            **kept,
            "SLIPWAY_PROJECT_DIR": str(self.project_dir),
            "SLIPWAY_ENVS_DIR": str(self.envs_dir),
            "SETTLE": "1s",  # as most services of tests have no health check
            **extra,
        }

    def command(self, *words: str) -> list[str]:
        """Return the argument list of a task."""
        return [sys.executable, str(PROGRAM), "--search-root", str(ROOT), *words]

    def inv(
        self, *words: str, code: int = 0, stdin: str | None = None, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a task without a terminal and hold its exit code."""
        result = subprocess.run(
            self.command(*words),
            input=stdin or "",
            capture_output=True,
            text=True,
            env=self.environment(**extra),
            timeout=900,
            check=False,
        )
        # A task that takes containers away leaves their data, as it should; the tests must not.
        for name in self.projects:
            label = f"label=com.docker.compose.project={name}"
            self.nameless.update(_nameless_volumes(docker("ps", "-aq", "--filter", label).split()))
        assert result.returncode == code, f"{words}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    def json(self, *words: str, code: int = 0, **extra: str) -> dict[str, Any]:
        """Run a task with --json and return its document."""
        document: dict[str, Any] = json.loads(self.inv(*words, "--json", code=code, **extra).stdout)
        return document


def docker(*words: str, check: bool = True) -> str:
    """Run the docker command and return what it printed."""
    return subprocess.run([DOCKER, *words], capture_output=True, text=True, check=check, timeout=300).stdout.strip()


def complaints(container: str) -> str:
    """Return what a container has written to its stderr."""
    return subprocess.run([DOCKER, "logs", container], capture_output=True, text=True, check=True, timeout=60).stderr


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def copies(project: str) -> list[str]:
    """Return everything on the engine that belongs to throw-away copies of a project."""
    label = f"label=slipway.throwaway={project}"
    return [
        *docker("ps", "-aq", "--filter", label).splitlines(),
        *docker("network", "ls", "-q", "--filter", label).splitlines(),
        *docker("volume", "ls", "-q", "--filter", label).splitlines(),
    ]


def leftovers(project: str) -> list[str]:
    """Return everything on the engine that carries a project's name, or belongs to a copy of it."""
    label = f"label=com.docker.compose.project={project}"
    return [
        *copies(project),
        *docker("ps", "-aq", "--filter", label).splitlines(),
        *docker("ps", "-aq", "--filter", f"label=slipway.lock={project}").splitlines(),
        *docker("ps", "-aq", "--filter", f"label=slipway.ticket={project}").splitlines(),
        *docker("network", "ls", "-q", "--filter", label).splitlines(),
        *docker("volume", "ls", "-q", "--filter", label).splitlines(),
        *docker("image", "ls", "-q", "--filter", label).splitlines(),
        *docker("image", "ls", "-q", "--filter", f"label=slipway.release={project}").splitlines(),
        *docker("image", "ls", "-q", "--filter", f"label=slipway.key={project}").splitlines(),
        *docker("image", "ls", "-q", "--filter", f"label=slipway.builds={project}").splitlines(),
        *docker("image", "ls", "-q", "--filter", f"label=slipway.state={project}").splitlines(),
    ]


def remove(project: str) -> None:
    """Remove everything of a project without the help of what is being tested."""
    label, copy = f"label=com.docker.compose.project={project}", f"label=slipway.throwaway={project}"
    nameless = _nameless_volumes(docker("ps", "-aq", "--filter", label).split())
    for listing, removal in (
        (("ps", "-aq", "--filter", copy), ("rm", "-f", "-v")),
        (("network", "ls", "-q", "--filter", copy), ("network", "rm")),
        (("volume", "ls", "-q", "--filter", copy), ("volume", "rm", "-f")),
        (("ps", "-aq", "--filter", label), ("rm", "-f", "-v")),
        (("ps", "-aq", "--filter", f"label=slipway.lock={project}"), ("rm", "-f")),
        (("ps", "-aq", "--filter", f"label=slipway.ticket={project}"), ("rm", "-f")),
        (("network", "ls", "-q", "--filter", label), ("network", "rm")),
        (("volume", "ls", "-q", "--filter", label), ("volume", "rm", "-f")),
        (("image", "ls", "-q", "--filter", label), ("image", "rm", "-f")),
        (("image", "ls", "-q", "--filter", f"label=slipway.release={project}"), ("image", "rm", "-f")),
        (("image", "ls", "-q", "--filter", f"label=slipway.key={project}"), ("image", "rm", "-f")),
        (("image", "ls", "-q", "--filter", f"label=slipway.builds={project}"), ("image", "rm", "-f")),
        (("image", "ls", "-q", "--filter", f"label=slipway.state={project}"), ("image", "rm", "-f")),
        # The names that keep images of others, such as a base image: only these go.
        (("image", "ls", "--filter", f"reference=*:{project}-release-*", *_NAMES), ("image", "rm")),
        (("image", "ls", "--filter", f"reference=*/*:{project}-release-*", *_NAMES), ("image", "rm")),
        (("volume", "ls", "-q", "--filter", f"label={FILES_LABEL}={project}"), ("volume", "rm", "-f")),
    ):
        if ids := sorted(set(docker(*listing).splitlines())):
            docker(*removal, *ids, check=False)
    remove_volumes(nameless)


def go_project(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a project of one Go service without sources, with the sample's Dockerfile; returns it and its profiles."""
    project, envs = directory / "project", directory / "envs"
    shutil.copytree(ROOT / "docker_project" / "app", project / "app", ignore=NOT_COPIED)
    for kind in ("src", "tests"):
        shutil.rmtree(project / "app" / kind)
    envs.mkdir()
    (project / "compose.yaml").write_text(
        "services:\n  app:\n    image: ${IMAGE:?}/app:test\n    build: {context: ./app, target: production}\n"
    )
    (project / "bases.yaml").write_text(
        "services:\n  app:\n    build:\n      additional_contexts:\n"
        '        "golang:1.27-alpine": docker-image://slipway-base/golang:1.27\n'
    )
    machine = ROOT / "envs" / "base.local.env"
    if machine.exists():
        shutil.copy(machine, envs)
    (envs / "base.env").write_text("BASE_IMAGES_OVERRIDE=bases.yaml\n")
    (envs / "test.env").write_text(f"COMPOSE_PROJECT_NAME={name}\nCOMPOSE_FILE=compose.yaml\nIMAGE={name}\n")
    return project, envs


@contextlib.contextmanager
def nameless_volumes(mark: str) -> Iterator[set[str]]:
    """Note the anonymous volumes of all containers of projects with a mark in their name, those that are gone too.

    The set is filled at the end of the block. A task that a test starts may remove a container before anybody looks.
    """
    found: set[str] = set()
    wanted = ("type=container", "event=create", "type=volume", "event=mount")
    filters = [word for one in wanted for word in ("--filter", one)]
    command = [DOCKER, "events", *filters, "--format", "{{json .}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(events.stdout or ()), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            events.terminate()
            thread.join()
            told = [json.loads(line) for line in lines if line.endswith("}\n")]
            projects = {
                one["Actor"]["ID"]: one["Actor"]["Attributes"].get("com.docker.compose.project", "")
                for one in told
                if one["Type"] == "container"
            }
            for one in told:
                container = one["Actor"]["Attributes"].get("container", "")
                if one["Type"] == "volume" and mark in projects.get(container, ""):
                    found.update(re.findall(r"^[0-9a-f]{64}$", one["Actor"]["ID"]))


def remove_volumes(names: Iterable[str]) -> None:
    """Remove volumes, those that are there."""
    if found := sorted(names):
        docker("volume", "rm", "-f", *found, check=False)


def _nameless_volumes(containers: list[str]) -> list[str]:
    """Return the anonymous volumes of containers: one that Compose recreated holds its predecessor's by name."""
    if not containers:
        return []
    shown = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
    mounted = docker("inspect", "--format", shown, *containers, check=False).split()
    return sorted({name for name in mounted if re.fullmatch(r"[0-9a-f]{64}", name)})


@dataclass
class Sample(Checkout):
    """The sample stack with ports of its own."""

    project: str = ""
    https_port: int = 0
    http_port: int = 0
    certificate: Path = Path()

    def get(self, path: str, data: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Ask nginx over HTTPS, trusting only the certificate that setup made; return status and JSON."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(
            f"https://localhost:{self.https_port}{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, json.load(answer)


def make_sample(base: Path, name: str, project_dir: Path) -> Sample:
    """Write profiles that give a copy of the sample stack its own project name, images, ports and secrets."""
    envs = base / "envs"
    shutil.copytree(ROOT / "envs", envs)
    sample = Sample(project_dir, envs, [name], name, free_port(), free_port(), base / "tls" / "tls.crt")
    database_port = free_port()
    _local_layer(envs, "dev", name, base, sample.http_port, sample.https_port, f"DATABASE_PORT={database_port}")
    for environment in ("staging", "prod"):
        own = f"{name}-{environment}"
        _local_layer(envs, environment, own, base, free_port(), free_port(), "GENERATE_SECRETS=true")
        sample.projects.append(own)
    _local_layer(envs, "test", f"{name}-test", base, 0, 0, "")
    sample.projects.append(f"{name}-test")
    return sample


def _local_layer(envs: Path, environment: str, name: str, base: Path, http: int, https: int, more: str) -> None:
    # What nothing publishes needs no port.
    ports = [f"HTTP_PORT={http}", f"HTTPS_PORT={https}"] if https else []
    lines = [
        f"COMPOSE_PROJECT_NAME={name}",
        f"IMAGE_REPOSITORY={name}",
        *ports,
        f"SECRETS_DIR={base / 'secrets'}",
        f"TLS_DIR={base / 'tls'}",
        f"SMOKE_CA={base / 'tls' / 'tls.crt'}",
        more,
    ]
    (envs / f"{environment}.local.env").write_text("\n".join(lines) + "\n")
