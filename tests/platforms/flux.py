"""Flux: its source-controller and its kustomize-controller as processes here, and a git server that they read.

``python -m tests.platforms.flux`` builds the controllers when they are not there.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.cluster.programs import Programs
from tests.e2e.support import until

from .processes import free_port, listens, process

MODULE = Path(__file__).with_name("flux")
_CONTROLLERS = ("source-controller", "kustomize-controller")
FLUX = Programs("Flux", MODULE, {name: f"github.com/fluxcd/{name}" for name in _CONTROLLERS})
NAMESPACE = "flux-system"
SOURCES, KUSTOMIZATIONS = "gitrepositories,ocirepositories", "kustomizations.kustomize.toolkit.fluxcd.io"


@contextmanager
def running(cluster: Cluster, directory: Path) -> Iterator[None]:
    """Let Flux work on a cluster as its administrator, in a block; its logs and its files are in a directory."""
    programs = FLUX.build()
    _install(cluster)
    (directory / "storage").mkdir()
    (directory / "tmp").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "KUBECONFIG": str(cluster.layout.kubeconfig),
        "RUNTIME_NAMESPACE": NAMESPACE,
    }
    storage = f"127.0.0.1:{free_port()}"
    more = {
        "source-controller": (
            f"--storage-path={directory / 'storage'}",
            f"--storage-addr={storage}",
            f"--storage-adv-addr={storage}",
        ),
        "kustomize-controller": (),
    }
    with ExitStack() as stack:
        for name, options in more.items():
            health = free_port()
            words = (
                *(str(programs / name), "--requeue-dependency=1s", "--log-level=debug", "--metrics-addr=127.0.0.1:0"),
                *(f"--health-addr=127.0.0.1:{health}", *options),
            )
            stack.enter_context(process(name, words, environment, directory))
            until(lambda port=health: listens(port), f"{name} listens", 60)  # type: ignore[misc]
        yield


def _install(cluster: Cluster) -> None:
    """Apply the kinds of both controllers, which come with their modules."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    for name in _CONTROLLERS:
        listed = subprocess.run(
            ["go", "list", "-m", "-f", "{{.Dir}}", f"github.com/fluxcd/{name}"],
            cwd=MODULE, capture_output=True, text=True, check=True,
        )  # fmt: skip
        crds = Path(listed.stdout.strip()) / "config" / "crd" / "bases"
        cluster.kubectl("apply", "--server-side", f"--filename={crds}")
    for kind in (*SOURCES.split(","), "kustomizations"):
        group = "kustomize" if kind == "kustomizations" else "source"
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{kind}.{group}.toolkit.fluxcd.io", "--timeout=60s")


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve the bare repositories in a directory over http, and yield the address: Flux reads no directory."""

    class Handler(_Git):
        root = directory

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Git(http.server.BaseHTTPRequestHandler):
    """Answers as `git http-backend` says, by CGI: https://git-scm.com/docs/git-http-backend"""

    root: Path

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for key, value in fields.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr."""


def ask(cluster: Cluster, kinds: str, moment: str) -> None:
    """Ask Flux to look now, as `flux reconcile` does, and not at the end of its intervals."""
    listed = cluster.kubectl(f"--namespace={NAMESPACE}", "get", kinds, "--output=json").stdout
    for one in json.loads(listed)["items"]:
        kind = f"{one['kind']}.{one['apiVersion'].partition('/')[0]}/{one['metadata']['name']}"
        note = f"reconcile.fluxcd.io/requestedAt={moment}"
        cluster.kubectl(f"--namespace={NAMESPACE}", "annotate", "--overwrite", kind, note)


if __name__ == "__main__":
    try:
        FLUX.build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Flux could not be built: {error}")
