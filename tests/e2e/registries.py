"""Registries of our own for tests: Debian's docker-registry in a container, plain, with TLS, with a password."""

import contextlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .support import Checkout, docker, free_port, stderr_of

LABEL = f"slipway.test.registry={os.getpid()}"
IMAGE = f"slipway-test-registry:{os.getpid()}"
USER, PASSWORD = "tester", "correct-horse"
CERTIFICATES = Path("/etc/docker/certs.d")
# What `htpasswd -B` makes of the password; the registry takes bcrypt only.
_HTPASSWD = f"{USER}:$2b$04$gV4Nl622RjY91x/qc5UoQ.hvBdj46wtWjIjFChZJZK6LlqYTxglHy\n"
_DOCKERFILE = """FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends docker-registry && rm -rf /var/lib/apt/lists/*
RUN printf 'version: 0.1\\nstorage: {{filesystem: {{rootdirectory: /data}}}}\\nhttp: {{addr: ":5000"}}\\n' >/config.yml
VOLUME /data
# The certificate names the container's address, which is known only when it runs.
CMD ["sh", "-c", "until [ -e /setup/ready ]; do sleep 0.05; done; exec docker-registry serve /config.yml"]
"""


def build_image() -> None:
    """Build the registry's image from Debian's package."""
    local = "slipway-base/debian:trixie"
    base = local if docker("image", "ls", "-q", local) else "debian:trixie"
    subprocess.run(
        ["docker", "buildx", "build", "--builder", "default", "--load", "--tag", IMAGE, "--label", LABEL, "-"],
        input=_DOCKERFILE.format(base=base),
        text=True,
        capture_output=True,
        check=True,
        timeout=300,
    )


@dataclass
class Registry:
    """A running registry; image names begin with ``host``, or with ``address`` on the engine's network.

    ``relayed`` reaches it from other containers also after ``stop`` and ``start``: by then another container may
    have its address.
    """

    container: str
    host: str
    address: str
    relayed: str

    def stop(self) -> None:
        """Kill it; its data stays."""
        docker("kill", self.container)

    def start(self) -> None:
        """Start it again and wait until it answers."""
        docker("start", self.container)
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=2).close()
                return
            except urllib.error.HTTPError:
                return  # it wants a password, or TLS: it is up
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self.host} does not answer: {docker('logs', self.container)}")

    def log(self) -> str:
        """Return its log."""
        return stderr_of(self.container)

    def digest(self, name: str) -> str:
        """Return the digest of an image, "" when the registry does not have it; only without password and TLS."""
        repository, _, tag = name.partition(":")
        kinds = "application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json,"
        kinds += "application/vnd.docker.distribution.manifest.list.v2+json,application/vnd.oci.image.index.v1+json"
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", headers={"Accept": kinds}, method="HEAD"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return str(answer.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return ""

    def document(self, repository: str, reference: str) -> Any:
        """Return a manifest or an index of the registry."""
        kinds = "application/vnd.oci.image.index.v1+json,application/vnd.oci.image.manifest.v1+json"
        url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": kinds}), timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def registry(directory: Path, *options: str, tls: bool = False, password: bool = False) -> Iterator[Registry]:
    """Run a registry of its own on a port of 127.0.0.1; ``options`` are those of ``docker run``."""
    setup = directory / f"setup-{free_port()}"
    setup.mkdir()
    words = ["--volume", f"{setup}:/setup:ro", "--label", LABEL, *options]
    if tls:
        words += ["-e", "REGISTRY_HTTP_TLS_CERTIFICATE=/setup/tls.crt", "-e", "REGISTRY_HTTP_TLS_KEY=/setup/tls.key"]
    if password:
        (setup / "htpasswd").write_text(_HTPASSWD)
        words += ["-e", "REGISTRY_AUTH=htpasswd", "-e", "REGISTRY_AUTH_HTPASSWD_REALM=tests"]
        words += ["-e", "REGISTRY_AUTH_HTPASSWD_PATH=/setup/htpasswd"]
    gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    port = free_port()
    host, relayed = f"127.0.0.1:{port}", f"{gateway}:{port}"
    published = ("--publish", f"{host}:5000", "--publish", f"{relayed}:5000")
    container = docker("run", "--detach", *published, *words, IMAGE)
    try:
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", container)
        if tls:
            _certificate(setup, address)
        (setup / "ready").touch()
        made = Registry(container, host, f"{address}:5000", relayed)
        made.wait()
        yield made
    finally:
        docker("rm", "--force", "--volumes", container)


def _certificate(setup: Path, address: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"]
    command += ["-addext", f"subjectAltName=IP:{address}", "-keyout", f"{setup}/tls.key", "-out", f"{setup}/tls.crt"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def trusted(registry: Registry, directory: Path) -> Iterator[None]:
    """Have the engine trust a registry's certificate for as long as the block lasts, as its administrator would."""
    certificate = next(directory.glob("setup-*/tls.crt"))
    place = CERTIFICATES / registry.address
    existed = CERTIFICATES.exists()
    place.mkdir(parents=True)
    try:
        shutil.copy(certificate, place / "ca.crt")
        yield
    finally:
        shutil.rmtree(place)
        if not existed:
            with contextlib.suppress(OSError):  # another process has put a certificate there meanwhile
                CERTIFICATES.rmdir()


@contextlib.contextmanager
def login(directory: Path, host: str, password: str = PASSWORD) -> Iterator[str]:
    """Log in to a registry with a Docker configuration of its own; yields its directory."""
    configuration = directory / f"docker-{free_port()}"
    configuration.mkdir()
    subprocess.run(
        ["docker", "--config", str(configuration), "login", host, "--username", USER, "--password-stdin"],
        input=password,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    yield str(configuration)


_COMPOSE = """services:
  web:
    image: ${IMAGE_REPOSITORY}/web:${IMAGE_TAG}
    build: .
  worker:
    image: ${IMAGE_REPOSITORY}/worker:${IMAGE_TAG}
    build: {context: ., args: {KIND: worker}}
"""


def git(directory: Path, *words: str) -> None:
    """Run git in a checkout, with an author."""
    command = ["git", "-C", str(directory), "-c", "user.name=Test", "-c", "user.email=test@example.com", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@dataclass
class Shop(Checkout):
    """A small Compose project under git: two services, built from one file of ``content``."""

    def release(self, tag: str = "v1.4.2", content: str = "") -> None:
        """Commit other content, if any, and put a release tag on it."""
        if content:
            (self.project_dir / "content").write_text(content)
        git(self.project_dir, "add", "-A")
        git(self.project_dir, "commit", "--quiet", "--allow-empty", "-m", f"Release {tag}")
        git(self.project_dir, "tag", "--force", tag)

    def environment_file(self, name: str, host: str, tag: str = "") -> None:
        """Write a profile whose images are in a registry; without a host on the engine only."""
        repository = f"{host}/{self.projects[0]}" if host else self.projects[0]
        lines = f"IMAGE_REPOSITORY={repository}\nIMAGE_TAG={tag or name}\n"
        if name != "staging":
            lines += f"COMPOSE_PROJECT_NAME={self.projects[0]}-{name}\n"
        (self.envs_dir / f"{name}.env").write_text(lines)


def make_shop(directory: Path, name: str, host: str) -> Shop:
    """Write a project with the environments staging and prod in a registry, and dev without one; tag v1.4.2."""
    project = directory / name
    (project / "envs").mkdir(parents=True)
    (project / "compose.yaml").write_text(_COMPOSE)
    # The name makes every layer unique to this test.
    (project / "Dockerfile").write_text('FROM scratch\nARG KIND=web\nCOPY content /${KIND}\nCMD ["/none"]\n')
    (project / "content").write_text(f"{name}\n")
    (project / ".gitignore").write_text("envs/*.local.env\n")
    (project / "envs" / "base.env").write_text(f"COMPOSE_FILE=compose.yaml\nCOMPOSE_PROJECT_NAME={name}\n")
    git(directory, "init", "--quiet", str(project))
    shop = Shop(project, project / "envs", [name, *(f"{name}-{environment}" for environment in ("prod", "dev", "qa"))])
    shop.environment_file("staging", host)
    shop.environment_file("prod", host)
    shop.environment_file("dev", "")
    shop.release()
    return shop


class Held(socketserver.ThreadingTCPServer):
    """A relay to a registry, which keeps what is more than a MiB of a connection until ``go`` is set."""

    daemon_threads = True

    def __init__(self, registry_host: str) -> None:
        self.port = int(registry_host.rpartition(":")[2])
        self.holds, self.go = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", free_port()), _Relay)

    @property
    def host(self) -> str:
        """What stands before the name of an image."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Relay(socketserver.BaseRequestHandler):
    server: Held

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as target:
            back = threading.Thread(target=self._pass_on, args=(target, self.request), daemon=True)
            back.start()
            self._pass_on(self.request, target, hold=True)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, hold: bool = False) -> None:
        sent = 0
        with contextlib.suppress(OSError):  # either side may end
            while data := source.recv(65536):
                sent += len(data)
                if hold and sent > 2**20 and not self.server.go.is_set():
                    self.server.holds.set()
                    self.server.go.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def held(registry_host: str) -> Iterator[Held]:
    """Yield a relay to a registry that stops in the middle of the first large layer."""
    with Held(registry_host) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield server
        finally:
            server.go.set()
            server.shutdown()
