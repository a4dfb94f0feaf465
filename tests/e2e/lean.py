"""A stack whose deploy takes seconds: a proxy, a service and a migration, all from the image of the sample's proxy."""

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.life.load import Api

from .starting import Started
from .support import Checkout, docker, free_port, stderr_of

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
FRONT = """
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
# What clients ask is noted: a version that is to fail while it serves waits for that, however long a machine takes.
_APP = """
    map $remote_addr $client { 127.0.0.1 ""; default $remote_addr; }
    server {
        listen 8000;
        access_log /tmp/asked combined if=$client;
        location / {
            if ($request_method = POST) { return 201 "VERSION\\n"; }
            return 200 "VERSION\\n";
        }
    }
"""
GOOD = "exec nginx -c /app.conf -g 'daemon off;'"
CRASHES = "exit 7"
NEVER_READY = "exec sleep infinity"
_ASKED = "until test -s /tmp/asked; do sleep 0.1; done; sleep 1"
CRASHES_LATER = f"nginx -c /app.conf; {_ASKED}; exit 7"
SICK_LATER = f"nginx -c /app.conf -g 'daemon off;' & {_ASKED}; touch /tmp/sick; wait"  # the health check fails
SICK = "1s"  # the interval of a health check that is to tell that
_VERSIONS = itertools.count()
_DOCKERFILE = "FROM IMAGE\nCOPY app.conf run.sh migrate.sh /\n"


@dataclass
class Lean(Checkout):
    """The stack, and what can be changed of it between two deploys."""

    image: str = ""
    port: int = 0
    now: str = field(default="one", kw_only=True)  # what the release that a test begins with answers
    _settled: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def project(self) -> str:
        """The name of the Compose project."""
        return self.projects[0]

    @property
    def api(self) -> Api:
        """How clients ask the stack: every path answers with 200, a POST with 201."""
        return Api(self.port, "/", "/")

    def version(self, text: str, run: str = GOOD, migrate: str = "true") -> None:
        """Write the sources of another version: what it answers, how it starts, and what its migration does."""
        conf = _CONF % {"worker": "worker_processes 1;", "http": _APP.replace("VERSION", text)}
        for name, content in (("app.conf", conf), ("run.sh", run), ("migrate.sh", migrate)):
            (self.project_dir / name).write_text(content + "\n")

    def begin(self) -> None:
        """Write what is deployed already, and deploy it if a test has left anything else.

        What an earlier test has brought serves as well as the first version: bringing that back would be a rollout.
        """
        answered = subprocess.run(self._ask(), capture_output=True, text=True, check=False)
        self.now = answered.stdout.strip() or "one"
        self.write()
        self.version(self.now)
        if self._settled != self._state():
            self.inv("deploy.dev")
            self.settled()

    def settled(self) -> None:
        """Note that a deploy of what is written has nothing to do."""
        self._settled = self._state()

    def _state(self) -> tuple[str, ...]:
        """Return what a deploy looks at: the files, and the containers that run."""
        files = [path for path in sorted(self.project_dir.rglob("*")) if path.is_file()]
        label = f"label=com.docker.compose.project={self.project}"
        return (*(f"{path} {path.read_text()}" for path in files), docker("ps", "-q", "--filter", label))

    def write(self, front: str = "", more: dict[str, Any] | None = None, interval: str = "10s", **app: Any) -> None:
        """Write the Compose file; ``app`` are further fields of the service, ``more`` further services.

        ``interval`` is that of the health check of what is ready. Long: each check starts a process in a container, and
        other tests run at the same time.
        """
        built = {"image": f"{self.project}/app:one", "build": "."}
        probe = "test ! -e /tmp/sick && curl -sf --max-time 20 -o /dev/null http://127.0.0.1:8000/"
        health = {"interval": interval, "retries": 2, "start_period": "20s", "start_interval": "150ms"}
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
        conf = _CONF % {"worker": "worker_processes 2; worker_shutdown_timeout 20s;", "http": front or FRONT}
        (self.project_dir / "conf" / "nginx.conf").write_text(conf)

    def answer(self) -> str:
        """Return the body that a client gets now."""
        return subprocess.run(self._ask(), capture_output=True, text=True, check=True).stdout.strip()

    def _ask(self) -> list[str]:
        return ["curl", "-sf", "--max-time", "30", f"http://127.0.0.1:{self.port}/"]

    def running(self) -> dict[str, list[str]]:
        """Return the image ids of the running containers of each service that serves."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = docker("ps", "-q", "--filter", label).splitlines()
        images: dict[str, list[str]] = {}
        for container in json.loads(docker("inspect", *ids)) if ids else []:
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            images.setdefault(service, []).append(container["Image"])
        return {name: sorted(image_ids) for name, image_ids in images.items()}

    def orphans(self) -> list[str]:
        """Return the containers that should be gone: those of locks and records, and stopped containers of services."""
        labels = ("slipway.lock", "slipway.release")
        own = [docker("ps", "-aq", "--filter", f"label={label}={self.project}") for label in labels]
        label = f"label=com.docker.compose.project={self.project}"
        stopped = docker("ps", "-a", "--filter", label, "--format", "{{.Names}} {{.State}}").splitlines()
        return [
            *"\n".join(own).split(),
            *(line for line in stopped if "running" not in line and "-migrate-" not in line),
        ]

    def proxy_errors(self) -> str:
        """Return what the proxy has logged about requests that failed."""
        return stderr_of(f"{self.project}-front-1")

    def upstreams(self) -> list[str]:
        """Return the host names in the proxy's upstream file."""
        text = docker("exec", f"{self.project}-front-1", "cat", "/etc/nginx/upstreams/app.conf")
        return [line.split()[1].split(":")[0] for line in text.splitlines() if line.strip().startswith("server ")]


def make_lean(directory: Path, name: str, image: str) -> Lean:
    """Write the stack's first version."""
    (directory / "envs").mkdir(parents=True)
    (directory / "Dockerfile").write_text(_DOCKERFILE.replace("IMAGE", image))
    (directory / "envs" / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    (directory / "envs" / "dev.env").write_text("HEALTH_TIMEOUT=60s\n")
    stack = Lean(directory, directory / "envs", [name], image, free_port())
    stack.version("one")
    stack.write()
    return stack


@contextmanager
def signalled(
    lean: Lean,
    words: tuple[str, ...],
    moment: Callable[[str, str], bool],
    number: signal.Signals,
    skip: int = 0,
    kind: str = "container",
) -> Iterator["subprocess.Popen[str]"]:
    """Run a task and send its process group a signal at a moment: when an event ``(action, container)`` matches.

    The first ``skip`` matching events are passed over; with ``kind`` image the events are those of images. A task that
    is to be killed does not end before that, however late the event is told: a hook goes on after its last operation.
    """
    hooks = {}
    if number == signal.SIGKILL:
        hook = lean.project_dir.parent / "hooks" / "post-deploy"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexec sleep 600\n")
        hook.chmod(0o755)
        hooks = {"SLIPWAY_HOOKS_DIR": str(hook.parent), "HOOK_TIMEOUT": "10m"}
    mine = ["--filter", f"label=com.docker.compose.project={lean.project}"] if kind == "container" else []
    events = subprocess.Popen(
        ["docker", "events", "--since", f"{time.time():.6f}", "--filter", f"type={kind}", *mine, "--format",
         "{{.Action}}\t{{index .Actor.Attributes \"name\"}}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    task = Started(
        lean.command(*words), env=lean.environment(**hooks), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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
    """Write the sources of a new version and return what it answers."""
    text = f"v{next(_VERSIONS)}"
    lean.version(text)
    return text


def started(action: str, name: str) -> bool:
    return action == "start" and "-app-" in name


def written(action: str, name: str) -> bool:
    return action.startswith("exec_start: mv") and "-front-" in name


def reloaded(action: str, name: str) -> bool:
    return action == "kill" and "-front-" in name


def ready(action: str, name: str) -> bool:
    return action == "health_status: healthy" and "-app-" in name


def stopped(action: str, name: str) -> bool:
    return action == "die" and "-app-" in name


def removed(action: str, name: str) -> bool:
    return action == "destroy" and "-app-" in name
