"""A second engine for tests: Debian's, in a container, reached over TLS and over SSH as a remote engine is."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .registries import Registry
from .support import docker

LABEL = f"slipway.test.engine={os.getpid()}"
IMAGE = f"slipway-test-engine:{os.getpid()}"
SHELL = f"slipway-test-shell:{os.getpid()}"  # an image of two megabytes that has a shell
_DOCKERFILE = """FROM {base} AS engine
RUN apt-get update \
 && apt-get install -y --no-install-recommends docker.io docker-cli openssh-server socat busybox-static \
 && rm -rf /var/lib/apt/lists/*
VOLUME /var/lib/docker
CMD ["sh", "-c", "mkdir -p /run/sshd; /usr/sbin/sshd; while :; do [ -e /run/left-alone ] || \
dockerd --iptables=false --host unix:///var/run/docker.sock --host tcp://0.0.0.0:2376 --tlsverify \
--tlscacert /tls/ca.pem --tlscert /tls/server.pem --tlskey /tls/server-key.pem; sleep 1; done"]
FROM scratch AS shell
COPY --from=engine /bin/busybox /bin/busybox
COPY --from=engine /bin/busybox /bin/sh
COPY --from=engine /bin/busybox /bin/sleep
COPY --from=engine /bin/busybox /bin/cat
"""


def build_images() -> None:
    """Build the engine's image, and a small one with a shell."""
    local = "slipway-base/debian:trixie"
    base = local if docker("image", "ls", "-q", local) else "debian:trixie"
    for name, target in ((IMAGE, "engine"), (SHELL, "shell")):
        words = ["--load", "--tag", name, "--label", LABEL, "--target", target, "-"]
        subprocess.run(
            ["docker", "buildx", "build", "--builder", "default", *words],
            input=_DOCKERFILE.format(base=base), text=True, capture_output=True, check=True, timeout=300,
        )  # fmt: skip


def remove_images() -> None:
    """Remove the containers and images that carry the label of these tests."""
    for listing, removal in ((("ps", "-aq"), ("rm", "-f", "-v")), (("image", "ls", "-q"), ("rmi", "-f"))):
        if ids := sorted(set(docker(*listing, "--filter", f"label={LABEL}").split())):
            docker(*removal, *ids, check=False)


@dataclass
class RemoteEngine:
    """An engine that runs in a container; ``tls`` and ``ssh`` are what a profile sets to reach it."""

    container: str
    tls: dict[str, str] = field(default_factory=dict)
    ssh: dict[str, str] = field(default_factory=dict)

    def docker(self, *words: str) -> str:
        """Run the docker command on this engine and return what it printed."""
        return docker("exec", self.container, "docker", *words)

    def load(self, image: str) -> None:
        """Copy an image of the first engine to this one."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            command = ["docker", "exec", "-i", self.container, "docker", "load"]
            subprocess.run(command, stdin=saved.stdout, capture_output=True, check=True, timeout=240)

    def restart(self) -> None:
        """End the daemon, with every container; it starts again a second later."""
        docker("exec", self.container, "sh", "-c", "kill $(cat /var/run/docker.pid)")

    @contextlib.contextmanager
    def configured(self, settings: str) -> Iterator[None]:
        """Run the engine with other settings (its daemon.json) for as long as the block lasts."""
        self._again(f"mkdir -p /etc/docker; echo '{settings}' >/etc/docker/daemon.json")
        try:
            yield
        finally:
            self._again("rm /etc/docker/daemon.json")

    @contextlib.contextmanager
    def left_alone(self) -> Iterator[None]:
        """Let nobody start the daemon again in a block, as on a host without a service manager."""
        docker("exec", self.container, "touch", "/run/left-alone")
        try:
            yield
        finally:
            docker("exec", self.container, "rm", "/run/left-alone")
            self.again()

    def process(self) -> str:
        """Return the number of the daemon's process, "" when none runs."""
        return docker("exec", self.container, "sh", "-c", "cat /var/run/docker.pid || true")

    def again(self) -> None:
        """Restart the daemon, and wait until it answers."""
        before = self.process()
        if before:
            self.restart()
        deadline = time.monotonic() + 120
        while self.process() in ("", before):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        _wait(self)

    def _again(self, script: str) -> None:
        docker("exec", self.container, "sh", "-c", script)
        self.again()

    def reach(self, registry: Registry) -> None:
        """Make a registry reachable under the name that the first engine has for it."""
        _, _, port = registry.host.partition(":")
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"
        docker("exec", "-d", self.container, "socat", listen, f"TCP:{registry.relayed}")


@contextlib.contextmanager
def engine(directory: Path) -> Iterator[RemoteEngine]:
    """Run an engine for as long as the block lasts."""
    tls, keys = directory / "tls", directory / "ssh"
    for place in (tls, keys):
        place.mkdir(mode=0o700)
    _certificates(tls)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{keys}/key"], check=True, timeout=60)
    shutil.copy(keys / "key.pub", keys / "authorized_keys")
    made = RemoteEngine(
        docker(
            *("run", "--detach", "--privileged", "--label", LABEL, "-p", "127.0.0.1::2376", "-p", "127.0.0.1::22"),
            *("-v", f"{tls}:/tls:ro", IMAGE),
        )
    )
    try:
        docker("exec", made.container, "mkdir", "-p", "/root/.ssh")
        docker("cp", f"{keys}/authorized_keys", f"{made.container}:/root/.ssh/authorized_keys")
        docker("exec", made.container, "chown", "-R", "root:root", "/root/.ssh")
        made.tls = {
            "DOCKER_HOST": f"tcp://{docker('port', made.container, '2376')}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(tls),
        }
        made.ssh = _ssh(keys, docker("port", made.container, "22"))
        _wait(made)
        yield made
    finally:
        docker("rm", "--force", "--volumes", made.container)


def _wait(made: RemoteEngine) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = subprocess.run(["docker", "version"], env={**os.environ, **made.tls}, capture_output=True, timeout=30)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"the engine does not answer: {docker('logs', made.container)}")


def _certificates(tls: Path) -> None:
    """Make a certificate authority, and certificates for the engine and for its clients."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=tls, timeout=60)

    request = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*request, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem")
    for name, key, out, use in (
        ("server", "server-key.pem", "server.pem", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "key.pem", "cert.pem", "extendedKeyUsage=clientAuth\n"),
    ):
        (tls / "use.cnf").write_text(use)
        openssl(*request, "-subj", f"/CN={name}", "-keyout", key, "-out", "request.pem")
        openssl(
            *("x509", "-req", "-days", "2", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem"),
            *("-CAcreateserial", "-extfile", "use.cnf", "-out", out),
        )


def _ssh(keys: Path, address: str) -> dict[str, str]:
    """Return an environment in which `ssh` uses the key and configuration of the test, not those of the user."""
    host, _, port = address.partition(":")
    (keys / "config").write_text(
        f"IdentityFile {keys}/key\nIdentitiesOnly yes\nUserKnownHostsFile {keys}/known_hosts\n"
        "StrictHostKeyChecking accept-new\nBatchMode yes\n"
    )
    command = keys / "bin" / "ssh"
    command.parent.mkdir()
    # ssh looks for its files by the user database, not by HOME.
    command.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {keys}/config "$@"\n')
    command.chmod(0o755)
    return {"DOCKER_HOST": f"ssh://root@{host}:{port}", "PATH": f"{command.parent}:{os.environ['PATH']}"}
