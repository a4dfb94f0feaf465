"""A small stack for faults: a proxy, a service behind it that is read-only and not root, and a third one."""

import json
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.chaos.plan.injection import PROJECT

from .starting import Started
from .support import ROOT, Checkout, docker, free_port, until

NAMES = "DNS:back, DNS:back.test"
_CONF = """
events {}
pid /tmp/nginx.pid;
error_log /dev/stderr;
http {
    access_log off;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server { listen 8080; location / { proxy_connect_timeout 3s; proxy_read_timeout 3s; proxy_pass http://back:8081; } }
    server { listen 8081; location / { return 200 served; } }
    server { listen 8443 ssl; ssl_certificate /run/secrets/cert; ssl_certificate_key /run/secrets/key; }
}
"""  # noqa: E501


@dataclass
class Chaotic(Checkout):
    """The stack, which runs."""

    project: str = ""
    port: int = 0

    @property
    def reports(self) -> Path:
        """The directory of the reports."""
        return self.project_dir / "reports"

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with reports of its own."""
        return super().environment(SLIPWAY_REPORTS_DIR=str(self.reports), **extra)

    def ask(self) -> int:
        """Return the status that a client gets from ``back`` through ``front``, 0 without an answer."""
        words = (
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "20",
            f"http://127.0.0.1:{self.port}/",
        )
        return int(subprocess.run(words, capture_output=True, text=True, check=False).stdout or 0)

    def inject(self, fault: str, *words: str, code: int = 0) -> str:
        """Make a fault in ``back`` and return what people are told."""
        return self.inv("chaos.inject", fault, "--service", "back", "--env", "test", *words, code=code).stderr

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a task that is to be killed."""
        return Started(
            self.command(*words), env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    def inspected(self, name: str = "back") -> dict[str, Any]:
        """Return what the engine knows of a container; of a helper by the name of its fault."""
        container = f"{self.project}-{name}-1" if name in ("front", "back") else f"{self.project}-back-1-chaos-{name}"
        found: dict[str, Any] = json.loads(docker("inspect", container))[0]
        return found

    def certificate(self) -> str:
        """Return what clients of ``back`` get over TLS, as openssl describes it: its names and its last day."""
        addresses = self.inspected()["NetworkSettings"]["Networks"].values()
        text = ssl.get_server_certificate((next(iter(addresses))["IPAddress"], 8443), timeout=20)
        words = ("openssl", "x509", "-noout", "-enddate", "-ext", "subjectAltName")
        return subprocess.run(words, input=text, capture_output=True, check=True, text=True).stdout

    def state(self, name: str = "back") -> str:
        """Return the state of a container."""
        return str(self.inspected(name)["State"]["Status"])

    def helpers(self) -> list[str]:
        """Return the names of the helper containers."""
        return docker("ps", "-a", "--filter", f"label={PROJECT}={self.project}", "--format", "{{.Names}}").split()

    def active(self) -> dict[str, str]:
        """Return the state of each fault that is told of."""
        return {one["fault"]: one["state"] for one in self.json("chaos.list", "--env", "test")["active"]}

    def served(self, seconds: float = 30) -> float:
        """Wait until a client is served; return how many seconds it took."""
        started = time.monotonic()
        until(lambda: self.ask() == 200, "back is served again", seconds)
        return time.monotonic() - started

    def remove_helpers(self) -> None:
        """Remove what a test has left, without the code under test."""
        if names := self.helpers():
            docker("rm", "-f", *names, check=False)
            docker("restart", "--time=1", f"{self.project}-back-1", check=False)  # its network is a new one then


def make_chaotic(directory: Path, project: str) -> Chaotic:
    """Write the stack and start it."""
    local = docker("image", "ls", "-q", "slipway-base/nginx:1.30")
    image = "slipway-base/nginx:1.30" if local else "nginx:1.30-alpine"
    nginx = {
        "image": image, "entrypoint": ["nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;"],
        "volumes": ["./conf:/conf:ro"], "networks": ["inside"], "stop_grace_period": "1s", "user": "101:101",
        "read_only": True, "cap_drop": ["ALL"], "tmpfs": ["/tmp:mode=1777,size=4m"], "secrets": ["cert", "key"],
        "x-slipway": {"reload": {"check": ["nginx", "-t", "-q", "-c", "/conf/nginx.conf"], "secrets": True}},
    }  # fmt: skip
    port = free_port()
    model = {
        "services": {
            "front": {**nginx, "ports": [f"127.0.0.1:{port}:8080"], "depends_on": ["back"]},
            "back": {
                **nginx,
                "restart": "always",
                "volumes": ["./conf:/conf:ro", "small:/small", "data:/data"],
                "mem_limit": "64m",
            },
            "other": {**nginx, "depends_on": ["back"]},
            "alone": {**nginx, "networks": ["apart"], "extra_hosts": ["back:127.0.0.1"]},
        },
        "networks": {"inside": {}, "apart": {}},
        "secrets": {"cert": {"file": "./cert.pem"}, "key": {"file": "./key.pem"}},
        "volumes": {
            "data": {},
            "small": {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=4m,mode=1777"}},
        },
    }
    (directory / "conf").mkdir(parents=True)
    (directory / "envs").mkdir()
    (directory / "conf" / "nginx.conf").write_text(_CONF)
    key, certificate = directory / "key.pem", directory / "cert.pem"
    words = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=back",
        "-addext",
        f"subjectAltName={NAMES}",
    ]
    subprocess.run(
        ["openssl", *words, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60
    )
    key.chmod(0o644)  # nginx is not root here
    (directory / "compose.yaml").write_text(json.dumps(model))
    (directory / "envs" / "base.env").write_text("COMPOSE_FILE=compose.yaml\n")
    (directory / "envs" / "test.env").write_text(f"COMPOSE_PROJECT_NAME={project}\n")
    (directory / "envs" / "prod.env").write_text(f"COMPOSE_PROJECT_NAME={project}-prod\n")
    machine = ROOT / "envs" / "base.local.env"
    if machine.exists():
        shutil.copy(machine, directory / "envs")
    stack = Chaotic(directory, directory / "envs", [project], project=project, port=port)
    docker("compose", "--project-directory", str(directory), "-p", project, "up", "--detach")
    stack.served()
    return stack
