"""A node goes: what a stack of two Pods loses, drained and without power, and what the tasks say meanwhile.

`python -m tests.bench.node [NODE_TIMEOUT [SYN_SENT]]`: the value of KUBE_NODE_TIMEOUT, 30s by default; `-` for none,
with which the cluster waits its own 300 s. SYN_SENT is how many seconds the nodes remember a connection that was not
answered, 10 by default: by itself a kernel does so for 120 s, and sends a client that uses the same port once more to
the same Pod. Needs what `tests/cluster` needs. Exit 1 when the drain loses a request, or when one is lost later than
that after the Service does not lead to the node any more.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Figure
from tests.cluster.clients import Requests, asking
from tests.cluster.cluster import Cluster, started, until
from tests.cluster.shop import Shop, made

_RATE = 100.0  # requests a second
_NODE = "node-2"
_LONGEST = 600.0  # seconds for which is looked
_AFTER = 10.0  # seconds of requests after the last change
_MOMENTS = ("not ready", "out of the Service", "Pod given up", "two Pods ready elsewhere")
_TOLD = _MOMENTS[1::2]  # when the tasks are asked: that takes a moment in which nothing is seen


@dataclass
class Outage:
    """What was seen after a node lost its power, in seconds since then."""

    shop: Shop
    began: float
    seconds: dict[str, float] = field(default_factory=dict)

    def look(self) -> bool:
        """Note what is so for the first time; whether all of it was."""
        place = self.shop.place
        node = place.get("node", _NODE)
        pods = place.get("pods", **{"app.kubernetes.io/name": "app"})
        there = [pod for pod in pods if pod["spec"].get("nodeName") == _NODE]
        ready = {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"]
        elsewhere = [pod for pod in pods if pod not in there and _ready(pod)]
        now = {
            "not ready": ready != "True",
            "out of the Service": _NODE not in _leads_to(self.shop),
            "Pod given up": all(pod["metadata"].get("deletionTimestamp") for pod in there),
            "two Pods ready elsewhere": len(elsewhere) == 2,
        }
        for moment, reached in now.items():
            if reached and moment not in self.seconds:
                self.seconds[moment] = time.monotonic() - self.began
                print(f"{self.seconds[moment]:6.1f} s  {moment}", flush=True)
                if moment in _TOLD:
                    self.tell()
        return len(self.seconds) == len(_MOMENTS)

    def tell(self) -> None:
        """Print what the tasks say now."""
        for words in (("deploy.status", "--env", "prod"), ("ps", "--env", "prod")):
            done = self.shop.inv(*words)
            print(f"        inv {' '.join(words)}")
            for line in (done.stdout + done.stderr).splitlines():
                print(f"        {line}")


def _ready(pod: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def _leads_to(shop: Shop) -> set[str]:
    """Return the nodes that the Service leads to."""
    slices = shop.place.get("endpointslices", **{"kubernetes.io/service-name": "app"})
    ends = [end for one in slices for end in one.get("endpoints") or () if end["conditions"].get("ready")]
    return {str(end["nodeName"]) for end in ends}


def _summary(name: str, requests: Requests, since: float) -> str:
    lost, whole = requests.lost, len(requests.all)
    if not lost:
        return f"{name}: 0 of {whole} requests lost"
    first, last = (one.at - since for one in (lost[0], lost[-1]))
    reasons = ", ".join(f"{count} {reason}" for reason, count in requests.reasons().most_common())
    return f"{name}: {len(lost)} of {whole} requests lost, from {first:.1f} s to {last:.1f} s ({reasons})"


def _drained(cluster: Cluster, shop: Shop, name: str) -> Requests:
    """Drain the node under load; the Pods are on both nodes before."""
    assert _leads_to(shop) == set(cluster.nodes), _leads_to(shop)
    with asking(shop.address, 8080, _RATE) as requests:
        time.sleep(1.0)
        began = time.monotonic()
        cluster.kubectl("drain", _NODE, "--ignore-daemonsets", "--timeout=120s")
        shop.place.rolled_out("deployment/app")
        print(f"drained after {time.monotonic() - began:.1f} s")
        time.sleep(2.0)
    cluster.kubectl("uncordon", _NODE)
    print(_summary(name, requests, began), flush=True)
    return requests


def _killed(cluster: Cluster, shop: Shop) -> tuple[Requests, Outage]:
    with asking(shop.address, 8080, _RATE) as requests:
        time.sleep(1.0)
        outage = Outage(shop, time.monotonic())
        cluster.kill_node(_NODE)
        outage.tell()
        until(outage.look, "the other node serves alone", _LONGEST)
        time.sleep(_AFTER)
    print(_summary("without power", requests, outage.began))
    return requests, outage


def _deploy(shop: Shop, version: str) -> None:
    """Deploy while a node does not answer, and print what is said."""
    shop.write(version)
    began = time.monotonic()
    task = shop.begun("deploy.prod")
    out, err = task.communicate(timeout=_LONGEST)
    print(f"inv deploy.prod meanwhile: exit {task.returncode} after {time.monotonic() - began:.1f} s")
    print(out + err)


def _forget(cluster: Cluster, seconds: int) -> None:
    """Let the nodes forget connections that nobody answers after so many seconds."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            words = path.read_text("utf-8", "replace").split("\0")
            if words[1:2] == ["kube-proxy"] and any(str(cluster.layout.directory) in word for word in words):
                setting = f"net.netfilter.nf_conntrack_tcp_timeout_syn_sent={seconds}"
                inside = ("nsenter", f"--net={path.parent}/ns/net")
                subprocess.run([*inside, "sysctl", "--quiet", "--write", setting], check=True, timeout=60)


def run(timeout: str, syn_sent: int) -> list[Figure]:
    """Measure and return the figures."""
    with started(nodes=2) as cluster, cluster.namespace() as namespace, tempfile.TemporaryDirectory() as directory:
        _forget(cluster, syn_sent)
        cluster.load_app("1")
        shop = made(Path(directory, "shop"), namespace)
        shop.profile(HEALTH_TIMEOUT="2m", **({} if timeout == "-" else {"KUBE_NODE_TIMEOUT": timeout}))
        shop.inv("deploy.prod")
        drains = [_drained(cluster, shop, "drain, new Pods first")]
        shop.write("2")
        shop.inv("deploy.prod")
        assert _leads_to(shop) == set(cluster.nodes), _leads_to(shop)
        power, outage = _killed(cluster, shop)
        _deploy(shop, "3")
        cluster.start_node(_NODE)
        _forget(cluster, syn_sent)
        began = time.monotonic()
        until(lambda: len(shop.place.get("pods", **{"app.kubernetes.io/name": "app"})) == 2, "old Pods are gone", 120)
        print(f"{time.monotonic() - began:.1f} s after the node is back, its old Pods are gone; {shop.answers()} serve")
        shop.write("4", deploy={"replicas": 2})
        shop.inv("deploy.prod")
        drains.append(_drained(cluster, shop, "drain, one Pod after another"))
    last = power.lost[-1].at - outage.began if power.lost else 0.0
    return [
        Figure("requests lost by two drains", sum(len(one.lost) for one in drains), 1, 0.0, "requests"),
        Figure(
            f"requests lost {syn_sent} s after the node was out of the Service",
            _after(power, outage, syn_sent),
            1,
            0.0,
            "requests",
        ),
        Figure("last request lost ÷ out of the Service", last, outage.seconds["out of the Service"], 1.3),
    ]


def _after(requests: Requests, outage: Outage, seconds: float) -> int:
    end = outage.began + outage.seconds["out of the Service"] + seconds
    return sum(one.at > end for one in requests.lost)


if __name__ == "__main__":
    given = [*sys.argv[1:], *("30s", "10")[len(sys.argv) - 1 :]]
    figures = run(given[0], int(given[1]))
    for figure in figures:
        print(figure.line())
    sys.exit(any(figure.ratio > figure.bar for figure in figures))
