"""A project in a git repository with profiles of its own, and what a week of releases needs of it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.e2e.support import NOT_COPIED, ROOT, Checkout, docker, free_port, leftovers, remove

from .load import Api
from .repository import Repository

STACKS = Path(__file__).parent / "stacks"
_SERVICE = "com.docker.compose.service"


@dataclass(kw_only=True)
class Stack(Checkout):
    """A stack: its checkout, its Compose project, how clients reach it and how its rows are read.

    ``project_path`` and ``envs_path`` are where the Compose project and the profiles are in the repository.
    """

    kind: str
    project: str
    repository: Repository
    api: Api
    query: tuple[str, ...]
    database: str
    project_path: str = "."
    envs_path: str = "envs"
    local: dict[str, str] = field(default_factory=dict)
    replicas: dict[str, int] = field(default_factory=dict)  # of services that have more than one
    released: list[tuple[int, str]] = field(default_factory=list)  # releases, and the version that each reported

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with backups beside the checkout.

        Python on a busy machine may take a second until it fails.
        """
        backups = self.repository.directory.parent / "backups"
        return super().environment(**{"SETTLE": "4s", "SLIPWAY_BACKUPS_DIR": str(backups), **extra})

    def use(self, repository: Repository) -> None:
        """Work in another checkout from now on; untracked profiles are copied to it."""
        self.repository = repository
        self.project_dir = repository.directory / self.project_path
        self.envs_dir = repository.directory / self.envs_path
        for path in sorted((ROOT / "envs").glob("base.local.env")):
            shutil.copy(path, self.envs_dir)
        self.settings()

    def settings(self, **changed: str) -> None:
        """Write this machine's layer of the profile; an empty value removes a key."""
        self.local = {key: value for key, value in {**self.local, **changed}.items() if value}
        lines = [f"{key}={value}" for key, value in self.local.items()]
        (self.envs_dir / "staging.local.env").write_text("\n".join(lines) + "\n")

    def reported(self) -> str:
        """Return what the running service reports as its version; "" when it does not answer."""
        with suppress(OSError, ValueError, HTTPException):  # before the first deploy there may be no certificate either
            return self.api.get("/version", timeout=10)
        return ""

    def running(self) -> dict[str, frozenset[str]]:
        """Return the ids of the running containers of each service, without jobs."""
        oneoff = "com.docker.compose.oneoff"
        ids_by_service: dict[str, set[str]] = {}
        for container in self._containers():
            if container["State"]["Running"] and container["Config"]["Labels"].get(oneoff) != "True":
                ids_by_service.setdefault(container["Config"]["Labels"][_SERVICE], set()).add(container["Id"])
        return {service: frozenset(ids) for service, ids in ids_by_service.items()}

    def settle(self) -> None:
        """Wait until what a task has removed is gone: on an engine it is when the task ends."""

    def _containers(self) -> list[dict[str, Any]]:
        for _ in range(5):  # a container may be removed between the two commands
            ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
            with suppress(subprocess.CalledProcessError):
                return list(json.loads(docker("inspect", *ids))) if ids else []
        return []

    def missing(self, written: list[str], patience: float = 60.0) -> int:
        """Return how many rows that were answered with 201 are missing in the database after ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            left = set(written) - self._rows()
            if not left or time.monotonic() > deadline:
                return len(left)
            time.sleep(0.5)

    def _rows(self) -> set[str]:
        for container in self.running().get(self.database, ()):
            with suppress(subprocess.CalledProcessError):
                return set(docker("exec", container, *self.query).splitlines())
        return set()

    def exec(self, service: str, *words: str) -> str:
        """Run a command in the container of a service; "" when there is none."""
        for container in self.running().get(service, ()):
            return docker("exec", container, *words, check=False)
        return ""

    def cleaning(self) -> tuple[str, ...]:
        """Return the task that removes everything of a stack, without its environment."""
        return ("clean", "--images", "--volumes")

    def left(self) -> list[str]:
        """Return what the engine has of this stack."""
        return [*leftovers(self.project), *_named(self.project), *_image_names(self.project)]

    def remove(self) -> None:
        """Remove everything of the stack, without the code under test."""
        remove(self.project)
        if names := _image_names(self.project):
            docker("image", "rm", "-f", *names, check=False)


def _image_names(project: str) -> list[str]:
    """Return the image names that begin with the project's name, and its tags on images from elsewhere."""
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return [name for name in names if name.startswith(project) or name.rpartition(":")[2].startswith(project)]


def _named(project: str) -> list[str]:
    """Return the containers, networks and volumes that have the project's name, labelled or not."""
    return [
        *docker("network", "ls", "-q", "--filter", f"name=^{project}_").split(),
        *docker("volume", "ls", "-q", "--filter", f"name=^{project}_").split(),
        *docker("ps", "-aq", "--filter", f"name=^/?{project}").split(),
    ]


def new_name(kind: str) -> str:
    """Return a unique name for a Compose project, with the id of this process."""
    return f"life-{kind}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def local_images() -> dict[str, str]:
    """Return the settings for images from elsewhere on a machine without a registry."""
    layer = ROOT / "envs" / "base.local.env"
    local = layer.exists() and "BASE_IMAGES=local" in layer.read_text()
    return {"POSTGRES_IMAGE": "slipway-base/postgres:17"} if local else {}


def foreign(base: Path, kind: str, copied: dict[str, str], more: dict[str, str] | None = None) -> Stack:
    """Make a stack unlike the sample of ``stacks/KIND``; ``copied`` maps further folders to places in the checkout."""
    project, directory = new_name(kind), base / "checkout"
    shutil.copytree(STACKS / kind, directory, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in copied.items():
        shutil.copytree(STACKS / source, directory / target, ignore=shutil.ignore_patterns("__pycache__"))
    repository = Repository(directory)
    repository.write("envs/base.env", "BASE_IMAGES_OVERRIDE=bases.yaml\nCOMPOSE_FILE=compose.yaml\n")
    repository.write("envs/staging.env", f"HEALTH_TIMEOUT=120s\nMODE={kind}\n")
    repository.write(".gitignore", "envs/*.local.env\n__pycache__/\nreports/\nbackups/\n.inv.lock\n")
    port = free_port()
    stack = Stack(
        project_dir=directory, envs_dir=directory / "envs", projects=[project],
        kind=kind, project=project, repository=repository,
        api=Api(port, "/rows", "/rows"), database="db",
        query=("psql", "-U", "shop", "-d", "shop", "-Atc", "SELECT key FROM rows"),
        local={"COMPOSE_PROJECT_NAME": project, "PORT": str(port), "DB_PASSWORD": uuid.uuid4().hex,
               "SESSION_KEY": uuid.uuid4().hex, **local_images(), **(more or {})},
    )  # fmt: skip
    repository.start("The first version")
    repository.tag("v1.0.0")
    stack.use(repository)
    return stack


@contextmanager
def standing(make: Callable[[Path], Stack]) -> Iterator[Stack]:
    """Make a stack in a directory of its own and remove it at the end; raises AssertionError if something is left."""
    with tempfile.TemporaryDirectory(prefix="life-") as directory:
        prepare(Path(directory))
        stack = make(Path(directory))
        try:
            yield stack
        finally:
            stack.remove()
            if left := stack.left():
                raise AssertionError(f"left behind by {stack.project}: {' '.join(left)}")


def prepare(base: Path) -> None:
    """Run `inv setup`, which makes what deploys need on this machine, such as stand-ins for base images."""
    shutil.copytree(ROOT / "docker_project", base / "setup" / "docker_project", ignore=NOT_COPIED)
    shutil.copytree(ROOT / "envs", base / "setup" / "envs")
    Checkout(base / "setup" / "docker_project", base / "setup" / "envs").inv("setup")
