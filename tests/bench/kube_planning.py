"""`inv deploy.plan` on a cluster ÷ what a careful person types to see the same: a dry run of helm, and a diff.

`helm upgrade --dry-run=server` renders the chart as the cluster's version has it and lets the API server look at it,
`kubectl diff --server-side` compares that with what runs, also where somebody has changed it by hand. (The helm-diff
plugin renders in the same way, but compares with what helm has noted.) `helm template`, which asks no server, is
measured as well. All use the kubectl and the helm beside Python; the chart has been written before.
"""

import json
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
_DRY_RUN = ("upgrade", "--install", "--dry-run=server", "--server-side=true", "--hide-notes", "--output=json")
_DIFFERENT = 1  # the exit code of `kubectl diff` where something differs


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def by_hand(shop: Shop, chart: Path, dry_run: bool) -> float:
    """Render the chart and compare what comes out with what runs, and return the wall time of both commands."""
    place = shop.place
    file, rendered = place.cluster.layout.kubeconfig, chart.parent / "rendered.yaml"
    helm = (_program("helm"), *(_DRY_RUN if dry_run else ("template",)), "shop", str(chart), "--no-hooks")
    reach = (f"--kubeconfig={file}", "--kube-context=slipway-test", f"--namespace={place.name}")
    where = (f"--kubeconfig={file}", "--context=slipway-test", f"--namespace={place.name}")
    options = ("--server-side", "--force-conflicts", "--field-manager=helm", f"--filename={rendered}")
    begun = time.perf_counter()
    told = _told((*helm, *reach), (0,))
    rendered.write_text(json.loads(told)["manifest"] if dry_run else told, encoding="utf-8")
    _told((_program("kubectl"), *where, "diff", *options), (0, _DIFFERENT))
    return time.perf_counter() - begun


def _told(argv: Sequence[str], codes: Sequence[int]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(argv)} failed: {done.stderr[-2000:]}")
    return done.stdout


def figure(shop: Shop, chart: Path, name: str, changed: int) -> Figure:
    """Measure and return the figure of a stack that runs; ``changed`` is how many services a plan has to name."""
    plan = shop.json("deploy.plan", "--env", "prod")
    assert sum(one["action"] != "unchanged" for one in plan["changes"]) == changed, plan["changes"]
    command, env = shop.command("deploy.plan", "--env", "prod"), shop.environment()
    ours, template = pairs(lambda: seconds(command, env), lambda: by_hand(shop, chart, False), _ROUNDS)
    print(f"{name} ÷ helm template, which asks no server, and kubectl diff: {ours / template:.2f}")
    ours, theirs = pairs(lambda: seconds(command, env), lambda: by_hand(shop, chart, True), _ROUNDS)
    return Figure(f"{name} ÷ helm upgrade --dry-run=server + kubectl diff", ours, theirs, 1.5)


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
