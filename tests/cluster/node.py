"""The first process of a node, in namespaces of its own: when it ends, the kernel ends all that it has started.

``python -m tests.cluster.node DIRECTORY PROGRAMS NUMBER SIZE GRACE NODE``, run by ``supervisor``.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import settings
from .layout import Layout, Node

STARTED, LINKED = "started", "linked"  # what is said to each other by stdout and stdin
BRIDGE = "nodes"  # of the first node: what the others are plugged into
_PATIENCE = 180.0  # seconds
# Where components write whatever they are told: in here they write somewhere else.
_OVERLAID = ("/var/lib", "/usr/libexec")
_EMPTY = ("/run", "/var/log")


def main(node: Node) -> None:
    """Start all components and stay until everything is to end."""
    number = Path("/proc/self").readlink()  # outside: this /proc is still that of the process namespace there
    _mounts(node)
    socket.sethostname(node.name)
    sys.stdout.write(f"{STARTED} {number}\n")
    sys.stdout.flush()
    assert sys.stdin.readline().strip() == LINKED
    _network(node)
    if node.first:
        _control_plane(node)
    _workers(node)
    while True:  # the first process of a process namespace is the parent of all orphans
        with contextlib.suppress(ChildProcessError):
            os.wait()


def _control_plane(node: Node) -> None:
    layout = node.cluster
    _start(node, "etcd", "etcd", *_etcd(layout))
    _component(node, "kube-apiserver", *settings.api_server(layout))
    _wait("the API server", lambda: _answers(layout, "readyz"))
    _component(node, "kube-controller-manager", *settings.controllers(layout))
    _component(node, "kube-scheduler", *settings.scheduler(layout))


def _workers(node: Node) -> None:
    """Start what runs Pods."""
    layout = node.cluster
    _start(node, "containerd", "containerd", "--config", str(node.directory / "containerd.toml"))
    _wait("containerd", node.containerd.exists)
    for image in sorted(layout.images.glob("*.tar")):
        words = ("ctr", "-a", str(node.containerd), "-n", "k8s.io", "images", "import", str(image))
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    _wait("the API server", lambda: _answers(layout, "readyz"))
    _component(
        node,
        "kubelet",
        f"--config={node.directory}/kubelet.json",
        f"--kubeconfig={layout.pki}/{node.name}.conf",
        f"--node-ip={node.address}",
        f"--hostname-override={node.name}",
        f"--root-dir={node.directory}/kubelet",
        f"--cert-dir={node.directory}/kubelet-pki",
    )
    _component(node, "kube-proxy", f"--config={node.directory}/proxy.json")
    # What enforces policies ends where its node is not known yet.
    _wait("the kubelet", lambda: _answers(layout, f"api/v1/nodes/{node.name}"))
    policies = (f"--kubeconfig={layout.kubeconfig}", f"--node={node.name}", f"--services={layout.services}")
    _component(node, "policies", *policies)


def _mounts(node: Node) -> None:
    """Make what the components mount and write invisible to this machine; mounts go with the namespace."""
    run = subprocess.run
    run(["mount", "--make-rslave", "/"], check=True)
    run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    for number, path in enumerate(_OVERLAID):
        upper, work = node.directory / f"over-{number}", node.directory / f"work-{number}"
        upper.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        options = f"lowerdir={path},upperdir={upper},workdir={work}"
        run(["mount", "-t", "overlay", "overlay", "-o", options, path], check=True)
    run(["mount", "--bind", str(node.directory / "resolv.conf"), "/etc/resolv.conf"], check=True)
    for path in _EMPTY:
        run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path], check=True)
    # Volumes of Pods are mounts that containers have to see.
    run(["mount", "--make-rshared", "/"], check=True)


def _network(node: Node) -> None:
    """Give this network namespace its addresses and routes: the first node is the router of the others."""
    layout = node.cluster
    lines = ["link set lo up", "link set eth0 up"]
    if node.first:
        lines += [f"addr add {node.address}/30 dev eth0", f"route add default via {layout.host}"]
    else:
        lines += [f"addr add {node.address}/24 dev eth0", f"route add default via {layout.gateway}"]
    if node.first and len(layout.nodes) > 1:
        # A bridge stays when what is plugged into it goes, and with it the routes: nobody answers there then.
        lines += [
            f"link add {BRIDGE} type bridge",
            f"addr add {layout.gateway}/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ]
    for other in layout.nodes:
        if node != other and not other.first:
            lines.append(f"route add {other.pods} via {other.address}")
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with contextlib.suppress(OSError):  # where the kernel does not filter what bridges forward, nothing has to be said
        Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")


def _etcd(layout: Layout) -> tuple[str, ...]:
    clients, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return (
        f"--data-dir={layout.directory}/etcd",
        "--unsafe-no-fsync",  # nothing of it is to survive
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        "--log-level=warn",
    )


def _component(node: Node, name: str, *options: str) -> None:
    _start(node, name, str(node.cluster.programs / "components"), name, *options)


def _start(node: Node, name: str, *words: str) -> None:
    with (node.logs / f"{name}.log").open("ab") as log:
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _answers(layout: Layout, path: str) -> bool:
    """Whether the API server answers at a path."""
    import ssl

    trusted = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    trusted.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    with contextlib.suppress(OSError, urllib.error.URLError):
        url = f"{layout.server}/{path}"
        return bool(urllib.request.urlopen(url, timeout=2, context=trusted).status == 200)
    return False


def _wait(what: str, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            sys.exit(f"{what} was not ready within {_PATIENCE:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    directory, programs, *numbers = sys.argv[1:]
    *cluster, own = map(int, numbers)
    main(Node(Layout(Path(directory), Path(programs), *cluster), own))
