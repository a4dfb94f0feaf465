"""`inv deploy.plan` on a cluster ÷ what a careful person types to see the same: `helm template` and `kubectl diff`.

Both use the kubectl and the helm beside Python. The chart that is rendered by hand has been written before.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Figure, pairs, seconds
from tests.cluster.cluster import Cluster, started
from tests.cluster.shop import Shop, made

_ROUNDS = 11
_DIFFERENT = 1  # the exit code of `kubectl diff` where something differs


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def by_hand(shop: Shop, chart: Path) -> float:
    """Render the chart and compare what comes out with what runs, and return the wall time of both commands."""
    place = shop.place
    file, rendered = place.cluster.layout.kubeconfig, chart.parent / "rendered.yaml"
    template = (_program("helm"), "template", "shop", str(chart), f"--namespace={place.name}", "--no-hooks")
    where = (f"--kubeconfig={file}", "--context=slipway-test", f"--namespace={place.name}")
    options = ("--server-side", "--force-conflicts", "--field-manager=helm", f"--filename={rendered}")
    return _seconds(template, rendered) + _seconds((_program("kubectl"), *where, "diff", *options), None)


def _seconds(argv: Sequence[str], out: Path | None) -> float:
    begun = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if out:
        out.write_text(done.stdout, encoding="utf-8")
    elapsed = time.perf_counter() - begun
    if done.returncode not in (0, _DIFFERENT if out is None else 0):
        sys.exit(f"{' '.join(argv)} failed: {done.stderr[-2000:]}")
    return elapsed


def figure(shop: Shop, chart: Path, name: str, changed: int) -> Figure:
    """Measure and return the figure of a stack that runs; ``changed`` is how many services a plan has to name."""
    plan = shop.json("deploy.plan", "--env", "prod")
    assert sum(one["action"] != "unchanged" for one in plan["changes"]) == changed, plan["changes"]
    command, env = shop.command("deploy.plan", "--env", "prod"), shop.environment()
    ours, theirs = pairs(lambda: seconds(command, env), lambda: by_hand(shop, chart), _ROUNDS)
    return Figure(f"{name} ÷ helm template + kubectl diff", ours, theirs, 1.5)


def measure(cluster: Cluster, directory: Path) -> list[Figure]:
    """Deploy a stack, and return the figures with nothing to do and with one service changed."""
    cluster.load_app("1")
    with cluster.namespace() as namespace:
        shop = made(directory / "shop", namespace)
        shop.inv("deploy.prod")
        figures = []
        for name, version, changed in (("nothing to do", "1", 0), ("one service changed", "2", 1)):
            shop.write(version)
            shop.inv("helm.package", "--env", "prod", "--out", str(directory / version))
            (chart,) = (directory / version).iterdir()
            figures.append(figure(shop, chart, f"deploy.plan on a cluster with {name}", changed))
        return figures


def run() -> list[Figure]:
    """Start a cluster, measure, and return the figures."""
    with tempfile.TemporaryDirectory() as directory, started() as cluster:
        return measure(cluster, Path(directory))


if __name__ == "__main__":
    for measured in run():
        print(measured.line())
