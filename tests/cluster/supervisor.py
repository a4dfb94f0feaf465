"""Makes a cluster, keeps it while its caller lives, and removes everything that it has made.

``python -m tests.cluster.supervisor NODES GRACE`` prints ``ready DIRECTORY NUMBER`` and stays until its stdin is
closed: the kernel closes it also when the caller is killed. Meanwhile it kills and starts nodes: a line such as
``kill node-2`` is answered with ``done``. Should this process be killed itself, the kernel ends the nodes with it, and
the next one removes what is left: files, control groups.
"""

import contextlib
import ctypes
import ipaddress
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import archive, components, groups, manifests, pki, settings
from .layout import COMPONENTS, FIRST, LAST, PAUSE, Layout, Node
from .node import BRIDGE, LINKED, STARTED
from .programs import locked

READY, KILL, START, DONE = "ready", "kill", "start", "done"
_PREFIX = "slipway-cluster-"  # of directories; the rest is the id of their process, and something drawn
_PATIENCE = 300.0  # seconds
_TUNABLES = "tunables.json"


@dataclass(frozen=True)
class Machine:
    """A node that runs: the process that waits for its first one, and the id of that."""

    waiting: "subprocess.Popen[str]"
    first: int


Machines = dict[str, Machine]


def main() -> None:
    """Make a cluster and wait for the end of stdin; a signal ends it as well."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, which closes our stdin
    programs = components.KUBERNETES.build()
    machines: Machines = {}
    with contextlib.ExitStack() as made:
        with locked("supervisor"):  # until our addresses and our directory can be seen
            remove_stale()
            layout = _layout(programs, *map(int, sys.argv[1:]))
            made.callback(_remove, layout.directory)
            _prepare(layout)
            made.callback(_kill, machines)
            for node in layout.nodes:
                _start(node, machines)
        _wait("the cluster", lambda: _ready(layout), machines)
        _say(f"{READY} {layout.directory} {layout.number}")
        nodes = {node.name: node for node in layout.nodes}
        for line in sys.stdin:
            word, name = line.split()
            if word == KILL:
                _kill(machines, name)
            elif word == START:
                _start(nodes[name], machines)
            _say(DONE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _layout(programs: Path, size: int, grace: int) -> Layout:
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    addresses = json.loads(_output("ip", "-json", "-4", "addr"))
    routes = json.loads(_output("ip", "-json", "-4", "route"))
    texts = [f"{each['local']}/{each['prefixlen']}" for link in addresses for each in link["addr_info"]]
    texts += [each["dst"] for each in routes if each["dst"] != "default"]
    taken = [ipaddress.ip_network(text, strict=False) for text in texts]
    for number in range(FIRST, LAST + 1):
        if not any(ipaddress.ip_network(f"10.{number}.0.0/16").overlaps(other) for other in taken):
            return Layout(directory, programs, number, size, grace)
    directory.rmdir()
    sys.exit(f"each network from 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16 is taken on this machine")


def _prepare(layout: Layout) -> None:
    """Write all files of a cluster."""
    layout.directory.chmod(0o755)
    (layout.directory / "number").write_text(f"{layout.number} {layout.size}")
    (layout.directory / _TUNABLES).write_text(json.dumps(groups.tunables()))
    addresses = ("127.0.0.1", layout.nodes[0].address, layout.api_service)
    pki.make(layout.pki, layout.server, addresses, [node.name for node in layout.nodes])
    layout.images.mkdir()
    archive.write(layout.images / "pause.tar", PAUSE, {"/pause": layout.programs / "pause"}, entrypoint=["/pause"])
    binary = {"/components": layout.programs / "components"}
    archive.write(layout.images / "components.tar", COMPONENTS, binary, entrypoint=["/components"])
    for node in layout.nodes:
        node.logs.mkdir(parents=True)
        settings.write(node)
        manifests.make_volumes(node)


def _start(node: Node, machines: Machines) -> None:
    """Start a node in namespaces of its own, and connect it; it ends when we do, or is killed."""
    shutil.rmtree(node.run, ignore_errors=True)
    groups.remove(node.group)
    groups.make(node.group)
    layout = node.cluster
    place = (layout.directory, layout.programs, layout.number, layout.size, layout.grace, node.number)
    words = (sys.executable, "-m", "tests.cluster.node", *map(str, place))
    with (node.logs / "node.log").open("a") as log:
        waiting = subprocess.Popen(
            ["unshare", "-m", "-n", "-p", "-u", "-i", "--fork", "--kill-child=SIGKILL", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=_die_with(os.getpid()),
        )
    assert waiting.stdin and waiting.stdout
    word, *first = waiting.stdout.readline().split() or [""]
    if word != STARTED:
        waiting.wait()
        sys.exit(f"{node.name} did not start: {_told(node)}")
    _connect(node, waiting.pid, machines)
    machines[node.name] = Machine(waiting, int(first[0]))
    waiting.stdin.write(f"{LINKED}\n")
    waiting.stdin.flush()


def _connect(node: Node, pid: int, machines: Machines) -> None:
    """Connect the first node with this machine, another one with the first."""
    layout = node.cluster
    if node.first:
        for line in (
            f"link add {layout.link} type veth peer name eth0 netns {pid}",
            f"addr add {layout.host}/30 dev {layout.link}",
            f"link set {layout.link} up",
            *(f"route add {net} via {node.address}" for net in (layout.pods, layout.services, layout.between)),
        ):
            _output("ip", *line.split())
    else:
        _inside(machines, f"link add {node.name} type veth peer name eth0 netns {pid}")
        _inside(machines, f"link set {node.name} master {BRIDGE} up")


def _inside(machines: Machines, line: str) -> None:
    """Change the network of the first node."""
    pid = next(iter(machines.values())).waiting.pid
    _output("nsenter", f"--net=/proc/{pid}/ns/net", "ip", *line.split())


def _kill(machines: Machines, name: str = "") -> None:
    """Take the power from a node, or from all of them: no word comes out any more, and then nothing of it runs."""
    for each in [name] if name else list(machines)[::-1]:
        machine = machines.pop(each)
        if machines and machine.waiting.poll() is None:
            _inside(machines, f"link delete {each}")
        # The process that waits ends when the kernel has ended all processes of the node.
        with contextlib.suppress(ProcessLookupError):
            os.kill(machine.first, signal.SIGKILL)
        machine.waiting.wait()


def _die_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _ready(layout: Layout) -> bool:
    """Whether all nodes are ready and names are answered; makes what the cluster itself needs as soon as it can be."""
    made = layout.directory / "made"
    if not made.exists():
        applied = _kubectl(layout, "apply", "--server-side", "-f", "-", stdin=json.dumps(manifests.all_of(layout)))
        if applied.returncode != 0:
            return False
        made.touch()
    look = "jsonpath={.status.readyReplicas}"
    return _kubectl(layout, "get", "deployment", "coredns", "-n", "kube-system", "-o", look).stdout == str(layout.size)


def _kubectl(layout: Layout, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    program = (str(layout.programs / "components"), "kubectl", f"--kubeconfig={layout.kubeconfig}")
    return subprocess.run([*program, *words], input=stdin, capture_output=True, text=True, timeout=_PATIENCE)


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _wait(what: str, reached: Callable[[], bool], machines: Machines) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not reached():
        if select.select([sys.stdin], [], [], 0)[0]:
            sys.exit("the caller has ended")
        ended = [name for name, machine in machines.items() if machine.waiting.poll() is not None]
        if ended or time.monotonic() > deadline:
            state = f"{ended[0]} ended" if ended else f"{what} was not ready within {_PATIENCE:.0f} s"
            sys.exit(f"{state}; keep the logs with SLIPWAY_CLUSTER_LOGS=DIRECTORY")
        time.sleep(0.2)


def _told(node: Node) -> str:
    return (node.logs / "node.log").read_text("utf-8", "replace").strip()[-500:]


def remove_stale() -> None:
    """Remove what is left of clusters whose process was killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if path.is_dir() and pid.isdecimal() and not Path("/proc", pid).exists():
            _remove(path)


def _remove(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if kept := os.environ.get("SLIPWAY_CLUSTER_LOGS"):
            shutil.copytree(directory / "logs", kept, dirs_exist_ok=True)
    number = directory / "number"
    if number.exists():
        layout = Layout(directory, directory, *map(int, number.read_text().split()))
        # The kernel keeps a node's network while connections of killed processes are unacknowledged: minutes.
        subprocess.run(["ip", "link", "delete", layout.link], capture_output=True)
        for node in layout.nodes:
            groups.remove(node.group)
    with contextlib.suppress(FileNotFoundError):
        groups.restore(json.loads((directory / _TUNABLES).read_text()))
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
