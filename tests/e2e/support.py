"""Projects on a real engine: how tests and benchmarks make them, use them and remove them."""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import DockerException

from tasks.model.engine.facts import FILES_LABEL
from tasks.reconcile.plan.placed import PLACE_LABEL
from tests.schemas import faults

from .starting import run

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tasks" / "cli" / "program.py"
NOT_COPIED = shutil.ignore_patterns("secrets", "*.crt", "*.key")
DOCKER = shutil.which("docker") or "docker"
# Ports of tests: below those that the kernel gives to connections (32768 and above), in a block for each process.
_FIRST_PORT, _LAST_PORT, _BLOCK = 20000, 32000, 200
_ASKED_PORTS = itertools.count()


@dataclass
class Checkout:
    """A Compose project with profiles of its own, and the command line that works on it."""

    project_dir: Path
    envs_dir: Path
    projects: list[str] = field(default_factory=list)
    anonymous: set[str] = field(default_factory=set, kw_only=True)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, without the SLIPWAY_* and COMPOSE_* of the caller.

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
        """Run a task without a terminal, assert its exit code, and return its output."""
        result = run(self.command(*words), text=stdin or "", env=self.environment(**extra))
        # A task that removes containers keeps their volumes, as it should; tests have to remove them.
        self.anonymous.update(anonymous_volumes_of(*self.projects))
        assert result.returncode == code, f"{words}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    def json(self, *words: str, code: int = 0, **extra: str) -> dict[str, Any]:
        """Run a task with --json and return its document, which has to be as its schema says."""
        document: dict[str, Any] = json.loads(self.inv(*words, "--json", code=code, **extra).stdout)
        wrong = faults(document)
        assert wrong == [], wrong
        return document


def logged(checkout: Checkout, number: int, *words: str) -> list[dict[str, Any]]:
    """Return the lines that `inv logs` has as soon as there are so many: a service may write them after it answered."""
    lines: list[dict[str, Any]] = []

    def reached() -> bool:
        lines[:] = checkout.json("logs", *words)["lines"]
        return len(lines) >= number

    until(reached, f"{number} lines of {' '.join(words)}")
    return lines


def docker(*words: str, check: bool = True) -> str:
    """Run the docker command and return what it printed; lists of container ids come from the engine itself.

    Tests ask for these again and again until a container is there, and a start of the command costs ten times as much.
    """
    if words[:2] in (("ps", "-q"), ("ps", "-aq")) and set(words[2::2]) <= {"--filter"}:
        filters: dict[str, list[str]] = {}
        for key, _, value in (word.partition("=") for word in words[3::2]):
            filters.setdefault(key, []).append(value)
        return "\n".join(one["Id"][:12] for one in _engine().containers(all=words[1] == "-aq", filters=filters))
    return subprocess.run([DOCKER, *words], capture_output=True, text=True, check=check, timeout=300).stdout.strip()


def stderr_of(container: str) -> str:
    """Return what a container has written to its stderr."""
    return subprocess.run([DOCKER, "logs", container], capture_output=True, text=True, check=True, timeout=60).stderr


@cache
def _block() -> int:
    """Return the first port of a block that no other process of tests has: it is bound until this process ends."""
    for first in range(_FIRST_PORT, _LAST_PORT, _BLOCK):
        kept = socket.socket()
        with contextlib.suppress(OSError):
            kept.bind(("127.0.0.1", first))
            kept.detach()  # never closed, and no warning about it
            return first
        kept.close()
    raise RuntimeError(f"all ports from {_FIRST_PORT} to {_LAST_PORT} are taken")


def free_port() -> int:
    """Return a port that nothing listens on now, and that stays free until it is used, or used again after a stop.

    A port that the kernel chooses may be that of a connection, or of another worker, a moment later.
    """
    first = _block()
    for number in itertools.islice(_ASKED_PORTS, _BLOCK):
        port = first + 1 + number % (_BLOCK - 1)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return port
    raise RuntimeError(f"all ports from {first} to {first + _BLOCK} are taken")


def until(reached: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something is so; asserts that it becomes so within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


# The labels by which what belongs to a project on the engine is known, or to a throw-away copy of it; in the order in
# which it can be removed.
_OWN = {
    "container": ("com.docker.compose.project", "slipway.lock", "slipway.ticket"),
    "network": ("com.docker.compose.project",),
    "volume": ("com.docker.compose.project",),
    "image": (
        *("com.docker.compose.project", "slipway.release", "slipway.key", "slipway.builds", "slipway.state"),
        "slipway.gitops",
    ),
}
_COPIES = {kind: ("slipway.throwaway",) for kind in ("container", "network", "volume")}
_KEPT = {"volume": (FILES_LABEL, PLACE_LABEL)}
_WITHOUT_PROJECT = (
    "slipway.test.engine",
    "slipway.test.registry",
    "slipway.test.advisories",
    "slipway.test.prometheus",
)
_REMOVAL = {
    "container": ("rm", "-f", "-v"),
    "network": ("network", "rm"),
    "volume": ("volume", "rm", "-f"),
    "image": ("image", "rm", "-f"),
}


@cache
def _engine() -> APIClient:
    """Return a connection to the engine: a question costs a tenth of what a start of the docker command does."""
    return APIClient(timeout=300)


def _listed(kind: str) -> list[dict[str, Any]]:
    """Return all containers, networks, volumes or images as the engine lists them: once for all labels."""
    if kind == "container":
        return list(_engine().containers(all=True))
    if kind == "network":
        return list(_engine().networks())
    if kind == "volume":
        return list(_engine().volumes()["Volumes"] or ())
    return list(_engine().images())


def _of(project: str, kind: str, listed: list[dict[str, Any]], keys: Iterable[str]) -> list[str]:
    """Return the ids (of volumes the names) of those that have a label with a project's name."""
    found = (one for one in listed if any((one["Labels"] or {}).get(key) == project for key in keys))
    return list(dict.fromkeys(one["Name" if kind == "volume" else "Id"] for one in found))


def copies(project: str) -> list[str]:
    """Return everything on the engine that belongs to throw-away copies of a project."""
    return [resource for kind, keys in _COPIES.items() for resource in _of(project, kind, _listed(kind), keys)]


def leftovers(project: str) -> list[str]:
    """Return everything on the engine that belongs to a project, or to a throw-away copy of it."""
    labels = {kind: (*_COPIES.get(kind, ()), *keys) for kind, keys in _OWN.items()}
    return [resource for kind, keys in labels.items() for resource in _of(project, kind, _listed(kind), keys)]


def remove(project: str) -> None:
    """Remove everything of a project, without the code under test."""
    anonymous = anonymous_volumes_of(project)
    for kind, own in _OWN.items():
        listed = _listed(kind)
        ids = _of(project, kind, listed, (*_COPIES.get(kind, ()), *own, *_KEPT.get(kind, ())))
        # Tags that releases gave to images from elsewhere, such as a base image: the tags go, the images stay.
        tags = [tag for one in listed if kind == "image" and one["Id"] not in ids for tag in one["RepoTags"] or ()]
        ids += [tag for tag in tags if tag.rpartition(":")[2].startswith(f"{project}-release-")]
        if ids:
            docker(*_REMOVAL[kind], *ids, check=False)
    remove_volumes(anonymous)


def remove_of(pids: Iterable[int]) -> list[str]:
    """Remove what processes of tests have left on the engine, without the code under test; returns its names.

    The names of projects have the id of the process that made them, the labels of what belongs to none are it.
    """
    mine = re.compile(rf"(?:^|-)(?:{'|'.join(map(str, pids))})(?:-|$)")
    try:
        listed = {kind: _listed(kind) for kind in _REMOVAL}
    except DockerException:  # these tests need no engine
        return []
    keys = {key for keys in (_OWN, _COPIES, _KEPT) for kind in keys.values() for key in kind}
    labels = [one["Labels"] or {} for kind in listed.values() for one in kind]
    projects = sorted({text for of in labels for key, text in of.items() if key in keys and mine.search(text)})
    for project in projects:
        remove(project)
    left = []
    for kind, words in _REMOVAL.items():
        for label in _WITHOUT_PROJECT:
            ids = [id_ for pid in pids for id_ in _of(str(pid), kind, _listed(kind), [label])]
            if ids:
                docker(*words, *ids, check=False)
                left.append(f"{label} {kind}")
    return [*projects, *left]


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
def anonymous_volumes(name_part: str) -> Iterator[set[str]]:
    """Yield a set that gets the anonymous volumes of all containers of projects whose name contains a text.

    It is filled when the block ends, from the engine's events: a task may remove a container before a test looks at it.
    """
    volumes: set[str] = set()
    wanted = ("type=container", "event=create", "type=volume", "event=mount")
    filters = [word for condition in wanted for word in ("--filter", condition)]
    command = [DOCKER, "events", *filters, "--format", "{{json .}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(events.stdout or ()), daemon=True)
        thread.start()
        try:
            yield volumes
        finally:
            events.terminate()
            thread.join()
            messages = [json.loads(line) for line in lines if line.endswith("}\n")]
            projects = {
                message["Actor"]["ID"]: message["Actor"]["Attributes"].get("com.docker.compose.project", "")
                for message in messages
                if message["Type"] == "container"
            }
            for message in messages:
                container = message["Actor"]["Attributes"].get("container", "")
                if message["Type"] == "volume" and name_part in projects.get(container, ""):
                    volumes.update(re.findall(r"^[0-9a-f]{64}$", message["Actor"]["ID"]))


def remove_volumes(names: Iterable[str]) -> None:
    """Remove those of the volumes that exist."""
    if existing := sorted(names):
        docker("volume", "rm", "-f", *existing, check=False)


def anonymous_volumes_of(*projects: str) -> set[str]:
    """Return the anonymous volumes of the containers of projects; a recreated container has its predecessor's by name.

    One list for all of them.
    """
    label = "com.docker.compose.project" + (f"={projects[0]}" if len(projects) == 1 else "")
    listed = _engine().containers(all=True, filters={"label": label})
    mounted = [
        mount.get("Name", "")
        for container in listed
        if container["Labels"].get("com.docker.compose.project") in projects
        for mount in container["Mounts"]
        if mount["Type"] == "volume"
    ]
    return {name for name in mounted if re.fullmatch(r"[0-9a-f]{64}", name)}


@dataclass
class Sample(Checkout):
    """The sample stack with ports of its own."""

    project: str = ""
    https_port: int = 0
    http_port: int = 0
    certificate: Path = Path()

    def get(
        self, path: str, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask nginx over HTTPS, trusting only the certificate that setup made; return status and JSON."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(
            f"https://localhost:{self.https_port}{path}", body, {"Content-Type": "application/json", **(headers or {})}
        )
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
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
    # An environment that publishes nothing needs no port.
    ports = [f"HTTP_PORT={http}", f"HTTPS_PORT={https}"] if https else []
    lines = [
        f"COMPOSE_PROJECT_NAME={name}",
        f"IMAGE_REPOSITORY={name}",
        *ports,
        f"SECRETS_DIR={base / 'secrets'}",
        f"TLS_DIR={base / 'tls'}",
        f"SMOKE_CA={base / 'tls' / 'tls.crt'}",
        "HEALTH_TIMEOUT=180s",
        more,
    ]
    (envs / f"{environment}.local.env").write_text("\n".join(lines) + "\n")
