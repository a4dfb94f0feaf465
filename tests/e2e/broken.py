"""A web server with an address for each wrong answer that a test looks for."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .support import Checkout, docker, free_port, until

_SERVER = """
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
    access_log off;
    default_type application/json;
    server {{
        listen 8081;
        location = /ok {{ return 200 '{{"status":"healthy","version":"9.9.9"}}'; }}
        location = /right {{ return 200 '{{"version":"1.2.3"}}'; }}
        location = /broken {{ return 503 '{{}}'; }}
        location = /moved {{ return 308 http://127.0.0.1:1/never; }}
        # A byte at a time: no single read is ever late.
        location = /slow {{ limit_rate 10; return 200 '{padding}'; }}
    }}
    server {{ listen 8443 ssl; ssl_certificate /tls/good.crt; ssl_certificate_key /tls/good.key;
        location = /slow {{ limit_rate 10; return 200 '{padding}'; }}
        location / {{ return 200 ok; }} }}
    server {{ listen 8444 ssl; ssl_certificate /tls/expired.crt; ssl_certificate_key /tls/expired.key;
        location / {{ return 200 ok; }} }}
    server {{ listen 8445 ssl; ssl_certificate /tls/other.crt; ssl_certificate_key /tls/other.key;
        location / {{ return 200 ok; }} }}
}}
"""
_PORTS = (8081, 8443, 8444, 8445)


@dataclass
class Broken(Checkout):
    """The server's project; ``ports`` are the published ones by those of the container."""

    ports: dict[int, int] | None = None
    image: str = ""
    generator: str = ""
    reports: Path = Path()

    def port(self, inside: int) -> int:
        """Return the published port of this machine that leads to a port of the container."""
        assert self.ports
        return self.ports[inside]

    def write(self, smoke: list[dict[str, Any]] | None = None, targets: list[str] | None = None) -> None:
        """Write the Compose file; what ``x-slipway`` says changes no container."""
        certificates = {name: {"file": f"./tls/{name}.crt"} for name in ("good", "expired", "other")}
        web: dict[str, Any] = {
            "image": self.image,
            "entrypoint": ["nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;"],
            "volumes": ["./conf:/conf:ro", "./tls:/tls:ro"],
            # Compose leaves secrets that no service uses out of its model.
            "secrets": list(certificates),
            "ports": [f"127.0.0.1:{self.port(inside)}:{inside}" for inside in _PORTS],
            # Often only until it is healthy: each check starts a process in a container.
            "healthcheck": {
                "test": ["CMD", "curl", "-sf", "http://127.0.0.1:8081/ok"],
                "interval": "30s",
                "start_period": "30s",
                "start_interval": "300ms",
            },
            "stop_grace_period": "1s",
        }
        sick = {**web, "ports": [], "healthcheck": {"test": ["CMD", "false"], "interval": "300ms", "retries": 1}}
        generator: dict[str, Any] = {"image": self.generator, "profiles": ["load"]}
        generator["x-slipway"] = {"role": "load-generator", "load": {"targets": targets or ["GET http://web:8081/ok"]}}
        web["x-slipway"] = {"smoke": smoke or []}
        model = {
            "services": {
                "web": web,
                "sick": {**sick, "profiles": ["sick"]},
                "crash": {**sick, "entrypoint": ["false"], "restart": "always", "profiles": ["crash"]},
                "loadgen": generator,
            },
            "secrets": certificates,
            "x-slipway": {"secrets": {name: {"generate": "self-signed-certificate"} for name in certificates}},
        }
        (self.project_dir / "compose.yaml").write_text(json.dumps(model))

    def up(self, *services: str) -> None:
        """Start services with plain docker compose."""
        subprocess.run(
            ["docker", "compose", "-p", self.projects[0], "up", "--detach", *services],
            cwd=self.project_dir,
            check=True,
            capture_output=True,
        )

    def wait(self, service: str, health: str) -> None:
        """Wait until the engine reports this health of a service."""
        name = f"{self.projects[0]}-{service}-1"
        until(
            lambda: docker("inspect", "--format", "{{.State.Health.Status}}", name) == health, f"{name} is {health}", 90
        )


_AUTHORITY = """
[ca]
default_ca = own
[own]
database = {directory}/{name}.index
new_certs_dir = {directory}
serial = {directory}/{name}.serial
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
subjectAltName = DNS:{host}
"""


def certificate(directory: Path, name: str, host: str, begins: str, ends: str) -> None:
    """Make a self-signed certificate for a host; `openssl req` of OpenSSL 3.0 cannot make one that has expired."""
    settings, request, key = (directory / f"{name}.{ending}" for ending in ("cnf", "csr", "key"))
    settings.write_text(_AUTHORITY.format(directory=directory, name=name, host=host))
    (directory / f"{name}.index").touch()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}")
    _openssl("req", *curve, "-keyout", str(key), "-out", str(request))
    signed = ("-batch", "-selfsign", "-notext", "-create_serial", "-config", str(settings), "-keyfile", str(key))
    dates = ("-startdate", begins, "-enddate", ends)
    _openssl("ca", *signed, *dates, "-in", str(request), "-out", str(directory / f"{name}.crt"))
    key.chmod(0o644)


def _openssl(*words: str) -> None:
    subprocess.run([shutil.which("openssl") or "openssl", *words], check=True, capture_output=True)


def make_broken(directory: Path, name: str, image: str, generator: str = "") -> Broken:
    """Write the project of a broken server."""
    for part in ("envs", "conf", "tls"):
        (directory / part).mkdir(parents=True)
    (directory / "conf" / "nginx.conf").write_text(_SERVER.format(padding="x" * 3500))
    certificate(directory / "tls", "good", "localhost", "20200101000000Z", "20991231000000Z")
    certificate(directory / "tls", "expired", "localhost", "20200101000000Z", "20200201000000Z")
    certificate(directory / "tls", "other", "elsewhere.example", "20200101000000Z", "20991231000000Z")
    (directory / "envs" / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    limits = "LOAD_P95_MAX=9s\nLOAD_P99_MAX=9s\n"  # of a busy machine; a request is lost after 10 s
    (directory / "envs" / "dev.env").write_text(f"LOAD_RATE=40\nLOAD_DURATION=5s\n{limits}")
    ports = {inside: free_port() for inside in _PORTS}
    made = Broken(directory, directory / "envs", [name], ports, image, generator, directory / "reports")
    made.write()
    return made
