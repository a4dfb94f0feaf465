"""A proxy, a service and a migration, all from the image of the sample's proxy: a deploy takes seconds."""

import itertools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .support import Checkout, complaints, docker, free_port

_CONF = """
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
%(worker)s
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d;
    scgi_temp_path /tmp/e;
    keepalive_timeout 75s;
    %(http)s
}
"""
_FRONT = """
    keepalive_min_timeout 3s;
    resolver 127.0.0.11 valid=1s ipv6=off;
    include /etc/nginx/upstreams/app.conf;
    server {
        listen 8080;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 2s;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 2;
        }
    }
"""
_APP = """
    server {
        listen 8000;
        location / {
            if ($request_method = POST) { return 201 "VERSION\\n"; }
            return 200 "VERSION\\n";
        }
    }
"""
GOOD = "exec nginx -c /app.conf -g 'daemon off;'"
CRASHES = "exit 7"
NEVER_READY = "exec sleep infinity"
CRASHES_LATER = "nginx -c /app.conf; sleep 1.5; exit 7"
SICK_LATER = "nginx -c /app.conf -g 'daemon off;' & sleep 1.5; touch /tmp/sick; wait"  # it serves, and says it is sick
_VERSIONS = itertools.count()
_DOCKERFILE = "FROM IMAGE\nCOPY app.conf run.sh migrate.sh /\n"


@dataclass
class Lean(Checkout):
    """The stack, and what can be changed of it between two deploys."""

    image: str = ""
    port: int = 0

    @property
    def project(self) -> str:
        """What the Compose project is called."""
        return self.projects[0]

    def version(self, text: str, run: str = GOOD, migrate: str = "true") -> None:
        """Make sources of another version: what it answers, how it starts, and what its migration does."""
        conf = _CONF % {"worker": "worker_processes 1;", "http": _APP.replace("VERSION", text)}
        for name, content in (("app.conf", conf), ("run.sh", run), ("migrate.sh", migrate)):
            (self.project_dir / name).write_text(content + "\n")

    def write(self, front: str = "", more: dict[str, Any] | None = None, **app: Any) -> None:
        """Write the Compose file; ``app`` are further fields of the service, ``more`` further services."""
        built = {"image": f"{self.project}/app:one", "build": "."}
        probe = "test ! -e /tmp/sick && curl -sf --max-time 1 -o /dev/null http://127.0.0.1:8000/"
        # Seldom: each probe is a process in a container, and stacks stand beside other tests.
        health = {"interval": "1s", "retries": 2, "start_period": "20s", "start_interval": "150ms"}
        model: dict[str, Any] = {
            "services": {
                "front": {
                    "image": self.image,
                    "entrypoint": ["nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;"],
                    "volumes": ["./conf:/conf:ro", "upstreams:/etc/nginx/upstreams"],
                    "ports": [f"127.0.0.1:{self.port}:8080"],
                    "depends_on": {"app": {"condition": "service_healthy"}},
                    "stop_grace_period": "2s",
                    "x-slipway": {
                        "reload": {"check": ["nginx", "-t", "-q", "-c", "/conf/nginx.conf"]},
                        "proxy": {
                            "upstreams": "/etc/nginx/upstreams",
                            "check": ["nginx", "-t", "-q", "-c", "/conf/nginx.conf"],
                            "workers": "nginx: worker",
                        },
                    },
                },
                "app": {
                    **built,
                    "entrypoint": ["sh", "/run.sh"],
                    "restart": "always",
                    "stop_grace_period": "2s",
                    "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
                    "healthcheck": {"test": ["CMD-SHELL", probe], **health},
                    "x-slipway": {"rollout": "blue-green"},
                    "deploy": {"update_config": {"monitor": "500ms"}},
                    **app,
                },
                "migrate": {**built, "entrypoint": ["sh", "/migrate.sh"], "x-slipway": {"job": "migrate"}},
                **(more or {}),
            },
            "volumes": {"upstreams": {}},
        }
        (self.project_dir / "compose.yaml").write_text(json.dumps(model))
        (self.project_dir / "conf").mkdir(exist_ok=True)
        conf = _CONF % {"worker": "worker_processes 2; worker_shutdown_timeout 20s;", "http": front or _FRONT}
        (self.project_dir / "conf" / "nginx.conf").write_text(conf)

    def answer(self) -> str:
        """Return what a client gets now."""
        done = subprocess.run(
            ["curl", "-sf", "--max-time", "5", f"http://127.0.0.1:{self.port}/"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def running(self) -> dict[str, list[str]]:
        """Return the image ids of the running containers of each service that serves."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = docker("ps", "-q", "--filter", label).splitlines()
        found: dict[str, list[str]] = {}
        for one in json.loads(docker("inspect", *ids)) if ids else []:
            service = one["Config"]["Labels"]["com.docker.compose.service"]
            found.setdefault(service, []).append(one["Image"])
        return {name: sorted(images) for name, images in found.items()}

    def orphans(self) -> list[str]:
        """Return the containers that are neither a service's nor gone: of locks, of records, half-way ones."""
        labels = ("slipway.lock", "slipway.release")
        found = [docker("ps", "-aq", "--filter", f"label={label}={self.project}") for label in labels]
        label = f"label=com.docker.compose.project={self.project}"
        stopped = docker("ps", "-a", "--filter", label, "--format", "{{.Names}} {{.State}}").splitlines()
        return [*"\n".join(found).split(), *(one for one in stopped if "running" not in one and "-migrate-" not in one)]

    def complaints(self) -> str:
        """Return what the proxy has said of requests that failed."""
        return complaints(f"{self.project}-front-1")

    def hidden(self) -> list[str]:
        """Return what the upstream file leads to."""
        text = docker("exec", f"{self.project}-front-1", "cat", "/etc/nginx/upstreams/app.conf")
        return [line.split()[1].split(":")[0] for line in text.splitlines() if line.strip().startswith("server ")]


def make_lean(directory: Path, name: str, image: str) -> Lean:
    """Write the stack's first version."""
    (directory / "envs").mkdir(parents=True)
    (directory / "Dockerfile").write_text(_DOCKERFILE.replace("IMAGE", image))
    (directory / "envs" / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    (directory / "envs" / "dev.env").write_text("HEALTH_TIMEOUT=20s\n")
    made = Lean(directory, directory / "envs", [name], image, free_port())
    made.version("one")
    made.write()
    return made


@contextmanager
def struck(
    lean: Lean,
    words: tuple[str, ...],
    moment: Callable[[str, str], bool],
    number: signal.Signals,
    skip: int = 0,
    kind: str = "container",
) -> Iterator["subprocess.Popen[str]"]:
    """Run a task and send its process group a signal when the engine tells of a moment: ``(action, container)``.

    ``skip`` moments are let pass; with ``kind`` image the moment is one of an image.
    """
    mine = ["--filter", f"label=com.docker.compose.project={lean.project}"] if kind == "container" else []
    events = subprocess.Popen(
        ["docker", "events", "--filter", f"type={kind}", *mine, "--format",
         "{{.Action}}\t{{index .Actor.Attributes \"name\"}}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    task = subprocess.Popen(
        lean.command(*words), env=lean.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip

    def watch() -> None:
        left = skip
        for line in events.stdout or ():
            action, _, name = line.rstrip("\n").partition("\t")
            if moment(action, name):
                if not left:
                    os.killpg(task.pid, number)
                    return
                left -= 1

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield task
    finally:
        if task.poll() is None:
            os.killpg(task.pid, signal.SIGKILL)
        task.communicate()
        events.kill()
        events.communicate()
        thread.join()


def version(lean: Lean) -> str:
    """Make another version and return what it answers."""
    text = f"v{next(_VERSIONS)}"
    lean.version(text)
    return text


def created(action: str, name: str) -> bool:
    return action == "create" and "-app-" in name


def started(action: str, name: str) -> bool:
    return action == "start" and "-app-" in name


def written(action: str, name: str) -> bool:
    return action.startswith("exec_start: mv") and "-front-" in name


def reloaded(action: str, name: str) -> bool:
    return action == "kill" and "-front-" in name


def ready(action: str, name: str) -> bool:
    return action == "health_status: healthy" and "-app-" in name


def stopping(action: str, name: str) -> bool:
    return action == "kill" and "-app-" in name


def stopped(action: str, name: str) -> bool:
    return action == "die" and "-app-" in name


def removed(action: str, name: str) -> bool:
    return action == "destroy" and "-app-" in name
