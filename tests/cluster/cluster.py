"""A cluster as tests use it: objects are applied, looked at and waited for; images are brought in."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.e2e.support import until

from . import archive, components
from .layout import GRACE, Layout, Node
from .reading import Reader, known
from .relay import relayed
from .supervisor import DONE, KILL, READY, START

ROOT = Path(__file__).parents[2]
APP = "slipway.test/app"
_BUSYBOX = Path("/bin/busybox")
_APPLETS = (
    "sh",
    "cat",
    "echo",
    "httpd",
    "id",
    "ls",
    "mkdir",
    "nslookup",
    "sleep",
    "stat",
    "test",
    "timeout",
    "wget",
)
# As `helm test` calls it, since Debian's busybox has a shorter one: nc -z -w SECONDS HOST PORT. It asks again, because
# what enforces policies knows a new Pod only after a moment.
_NC = b"""#!/bin/sh
for _ in 1 2 3 4 5; do timeout "$3" wget -q -O /dev/null "http://$4:$5/" && exit 0; sleep 1; done
exit 1
"""
_NUMBERS = itertools.count(1)
Fields = Mapping[str, Any]


@contextmanager
def started(nodes: int = 1, grace: int = GRACE) -> Iterator["Cluster"]:
    """Yield a cluster that is ready; it is gone after the block, and also when this process is killed.

    A node that is silent for ``grace`` seconds is found not ready.
    """
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.supervisor", str(nodes), str(grace)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us
    )
    assert supervisor.stdin and supervisor.stdout
    with supervisor:
        try:
            word, *rest = supervisor.stdout.readline().split() or [""]
            assert word == READY, "the cluster did not start: its supervisor has said why"
            yield Cluster(
                Layout(Path(rest[0]), components.KUBERNETES.directory(), int(rest[1]), nodes, grace), supervisor
            )
        finally:
            supervisor.stdin.close()
    assert supervisor.returncode == 0


@dataclass
class Cluster:
    """A running cluster; the first of its nodes has the control plane."""

    layout: Layout
    _supervisor: "subprocess.Popen[str] | None" = None  # that of a cluster whose nodes may be killed
    _loaded: set[tuple[Node, str]] = field(default_factory=set)  # which node has which image
    _killed: set[str] = field(default_factory=set)

    @cached_property
    def reader(self) -> Reader:
        """What reads objects without kubectl."""
        return Reader(self.layout.server, self.layout.pki)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(node.name for node in self.layout.nodes)

    def kill_node(self, name: str) -> None:
        """End a node as a machine ends that loses power: the others hear nothing of it, and nothing of it runs."""
        assert name != self.nodes[0], "the cluster would be gone with the control plane"
        self._killed.add(name)
        self._tell(KILL, name)

    def start_node(self, name: str) -> None:
        """Start a node that was killed, with the disk that it had, and wait until it is ready."""
        self._tell(START, name)
        self._killed.remove(name)
        look = ("get", "--raw", f"/api/v1/nodes/{name}/proxy/healthz")
        until(lambda: self.kubectl(*look, check=False).stdout == "ok", f"the kubelet of {name} answers")
        self.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=60s")

    def _tell(self, word: str, name: str) -> None:
        supervisor = self._supervisor
        assert supervisor and supervisor.stdin and supervisor.stdout
        supervisor.stdin.write(f"{word} {name}\n")
        supervisor.stdin.flush()
        assert supervisor.stdout.readline().strip() == DONE, f"{word} {name}: the supervisor has said why not"

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as an administrator and return its output; asserts that it succeeds unless told not to."""
        program = (str(self.layout.programs / "components"), "kubectl", f"--kubeconfig={self.layout.kubeconfig}")
        result = subprocess.run([*program, *words], input=stdin, capture_output=True, text=True, timeout=300)
        assert not check or result.returncode == 0, f"kubectl {' '.join(words)}: {result.stdout}{result.stderr}"
        return result

    def load(self, *images: str) -> None:
        """Bring images of this machine's engine to the nodes; they have no registry that they could pull from."""
        for node in self._running():
            if missing := [image for image in images if (node, image) not in self._loaded]:
                with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as save:
                    subprocess.run(_import(node), stdin=save.stdout, check=True, capture_output=True, timeout=300)
                assert save.returncode == 0
                self._loaded.update((node, image) for image in missing)

    def load_archive(self, file: Path, image: str) -> None:
        """Bring the image of an archive to the nodes."""
        for node in self._running():
            with file.open("rb") as stream:
                subprocess.run(_import(node), stdin=stream, check=True, capture_output=True, timeout=60)
            self._loaded.add((node, image))

    def _running(self) -> list[Node]:
        return [node for node in self.layout.nodes if node.name not in self._killed]

    def load_app(self, version: str) -> str:
        """Bring the image of a small web server to the nodes, and return its name.

        It answers with its version and the name of its Pod at ``/``; it has a shell.
        """
        serve = "mkdir /tmp/www && echo VERSION on $HOSTNAME > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
        passwd = b"root:x:0:0::/:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n"
        return self.load_files(
            f"{APP}:{version}",
            {"/bin/busybox": _BUSYBOX, "/bin/nc": _NC, "/etc/passwd": passwd},
            links={f"/bin/{applet}": "busybox" for applet in _APPLETS},
            entrypoint=(),
            command=["sh", "-c", serve.replace("VERSION", version)],
            user="1000:1000",
        )

    def load_files(self, name: str, files: Mapping[str, Path | bytes], **config: Any) -> str:
        """Bring an image of a few files to the nodes, and return its name; ``config`` is that of `archive.write`."""
        if any((node, name) not in self._loaded for node in self._running()):
            file = self.layout.directory / f"files-{os.getpid()}.tar"
            archive.write(file, name, files, **config)
            self.load_archive(file, name)
            file.unlink()
        return name

    @contextmanager
    def pulling_from(self, port: int) -> Iterator[None]:
        """Let the nodes pull images whose names begin with ``127.0.0.1:PORT`` from the registry there, in a block."""
        host = f"http://{self.layout.host}:{port}"
        directory = self.layout.registries / f"127.0.0.1:{port}"
        directory.mkdir(parents=True)
        capabilities = 'capabilities = ["pull", "resolve"]'
        (directory / "hosts.toml").write_text(f'server = "{host}"\n[host."{host}"]\n  {capabilities}\n')
        with relayed(self.layout.host, port):
            yield
        (directory / "hosts.toml").unlink()
        directory.rmdir()

    @contextmanager
    def namespace(self, security: str = "restricted") -> Iterator["Namespace"]:
        """Yield a namespace of its own that enforces a Pod Security level; it is deleted after the block."""
        name = f"test-{os.getpid()}-{next(_NUMBERS)}"
        labels = {"pod-security.kubernetes.io/enforce": security, "pod-security.kubernetes.io/warn": security}
        self.kubectl(
            *("apply", "--server-side", "-f", "-"),
            stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
        )
        try:
            yield Namespace(self, name)
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Namespace:
    """A namespace of a test."""

    cluster: Cluster
    name: str

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run kubectl in the namespace."""
        return self.cluster.kubectl(f"--namespace={self.name}", *words, stdin=stdin, check=check)

    def apply(self, objects: Iterable[Fields], *, dry: bool = False, check: bool = True) -> str:
        """Apply objects server-side, or let the server say what it would do; return what kubectl said of them."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        words = ("apply", "--server-side", "--field-manager=slipway", "-f", "-", *(["--dry-run=server"] if dry else []))
        result = self.kubectl(*words, stdin=listed, check=check)
        return result.stdout + result.stderr

    def get(self, kind: str, name: str = "", **labels: str) -> Any:
        """Return an object, or all of a kind with labels, as the API server has them."""
        if known(kind):
            reader = self.cluster.reader
            return reader.one(self.name, kind, name) if name else reader.all(self.name, kind, labels)
        chosen = [name] if name else []
        if labels:
            chosen = ["-l", ",".join(f"{key}={value}" for key, value in labels.items())]
        found = json.loads(self.kubectl("get", kind, *chosen, "-o", "json").stdout)
        return found if name else found["items"]

    def wait(self, *words: str, seconds: float = 240) -> None:
        """Wait as ``kubectl wait`` does; what does not come true is told with the state of all Pods."""
        result = self.kubectl("wait", f"--timeout={seconds:.0f}s", *words, check=False)
        assert result.returncode == 0, f"{result.stderr}\n{self.told()}"

    def rolled_out(self, *workloads: str, seconds: float = 240) -> None:
        """Wait until workloads such as ``deployment/web`` have rolled out."""
        for workload in workloads:
            result = self.kubectl("rollout", "status", workload, f"--timeout={seconds:.0f}s", check=False)
            assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{self.told()}"

    def logs(self, *words: str) -> str:
        """Return what ``kubectl logs`` prints."""
        return self.kubectl("logs", *words).stdout

    def told(self) -> str:
        """Return the Pods, and what the cluster said of them: for the message of a test that fails."""
        pods = self.kubectl("get", "pods,pvc,jobs", "-o", "wide", check=False).stdout
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False).stdout.splitlines()
        return "\n".join([pods, *events[-25:]])


def _import(node: Node) -> list[str]:
    return ["ctr", "-a", str(node.containerd), "-n", "k8s.io", "images", "import", "-"]


def processes(directory: str) -> list[str]:
    """Return the command lines of processes that name a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if directory in line:
            found.append(line)
    return found
