"""`kubectl apply -k` of what `kube.render` writes, with no task of ours after it: up, unchanged, rolled."""

import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tasks.kube.clients import program
from tests.e2e.support import until

from .cluster import Cluster, Namespace
from .released import version
from .shop import Shop, made

OUT = "kubernetes"


@pytest.fixture
def shop(cluster: Cluster, namespace: Namespace, tmp_path: Path) -> Shop:
    """A stack that is not deployed."""
    cluster.load_app("1")
    return made(tmp_path / "shop", namespace)


def render(shop: Shop) -> list[str]:
    """Render the stack, and return the commands of its note: that of the Secret, and that of the objects."""
    said = shop.inv("kube.render", "--env", "prod", "--out", str(shop.project_dir / OUT)).stderr
    return [line.strip().removeprefix("apply them: ") for line in said.splitlines() if "kubectl" in line]


def typed(shop: Shop, command: str) -> None:
    """Run a line in a shell in which ``kubectl`` is one, with the cluster's kubeconfig."""
    path = f"{Path(program('kubectl')).parent}:{os.environ['PATH']}"
    kubeconfig = str(shop.place.cluster.layout.kubeconfig)
    environment = {"PATH": path, "KUBECONFIG": kubeconfig, "HOME": str(shop.project_dir)}  # where kubectl keeps notes
    words = ("bash", "-euo", "pipefail", "-c", command)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def up(shop: Shop) -> None:
    """Wait until what was applied is up."""
    for job in shop.place.get("jobs"):
        shop.place.wait("--for=condition=complete", f"job/{job['metadata']['name']}")
    shop.place.rolled_out("deployment/app")


def answer(shop: Shop) -> str:
    """Return the version that the Service answers, asked from outside of the Pods."""
    service = shop.place.get("service", "app")["spec"]
    url = f"http://{service['clusterIP']}:{service['ports'][0]['port']}/"
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return str(page.read().decode()).partition(" ")[0]
    except OSError:  # the nodes have not heard yet where the Pods are
        return ""


def versions(shop: Shop) -> dict[str, str]:
    """Return what changes of each object that was applied when somebody writes it."""
    return {
        f"{raw['kind']}/{raw['metadata']['name']}": version(raw)
        for kind in ("configmaps", "services", "deployments", "jobs", "networkpolicies", "poddisruptionbudgets")
        for raw in shop.place.get(kind, **{"app.kubernetes.io/part-of": "shop"})
    }


def test_the_printed_commands_bring_it_up_change_nothing_and_roll(shop: Shop) -> None:
    secret, apply = render(shop)
    assert "hunter2" not in secret
    typed(shop, secret)
    typed(shop, apply)
    up(shop)
    until(lambda: answer(shop) == "1", "it serves")
    (pod, *_) = shop.place.get("pods", **{"app.kubernetes.io/name": "app"})
    read = ("exec", pod["metadata"]["name"], "-c", "app", "--", "cat", "/run/secrets/password")
    assert shop.place.kubectl(*read).stdout == "hunter2"

    before = versions(shop)
    assert len({name.partition("/")[0] for name in before}) >= 4
    typed(shop, secret)
    typed(shop, apply)
    assert versions(shop) == before

    shop.write("2")
    _, again = render(shop)
    assert again == apply
    typed(shop, again)
    up(shop)
    until(lambda: answer(shop) == "2", "it serves the next version")
    ran = [job["metadata"]["name"] for job in shop.place.get("jobs")]
    assert len(ran) == 1, "the migration is the same, and is not run again"
