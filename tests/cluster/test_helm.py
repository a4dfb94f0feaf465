"""A chart in the hands of plain Helm: installed, changed, gone back, tested, without a task of ours."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.kube.clients import program
from tests.e2e.support import until

from .cluster import Cluster, Namespace
from .test_kube_check import WEB, Make, project

__all__ = ["project"]

TAKES = 100
CHECKED = """    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"]
      interval: 1s
      start_period: 5s
"""
WITH_DATA = """    volumes: [data:/data]
volumes: {data: {}}
"""


class Helm:
    """Helm in a namespace, with the chart of a project."""

    def __init__(self, namespace: Namespace, chart: Path) -> None:
        self.namespace, self.chart = namespace, chart

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run helm; assert its exit code and return what it printed."""
        where = (f"--kubeconfig={self.namespace.cluster.layout.kubeconfig}", f"--namespace={self.namespace.name}")
        done = subprocess.run([program("helm"), *words, *where], capture_output=True, text=True, timeout=300)
        told = f"{done.stdout}{done.stderr}"
        assert (done.returncode != 0) == (code != 0), f"{told}\n{self.namespace.told()}"
        return told

    def release(self, word: str, version: str, *more: str, code: int = 0) -> str:
        """Install or upgrade to a version of the image."""
        values = (f"--set-string=services.web.image.tag={version}", "--set=test.image.repository=slipway.test/app")
        words = (*values, "--set-string=test.image.tag=1", f"--values={self.chart}/values-prod.yaml", *more)
        return self(word, "web", str(self.chart), "--wait", *words, code=code)

    def serves(self) -> str:
        """Return the version that answers by the name of the service."""
        ask = ("exec", "deployment/web", "--", "wget", "-q", "-O", "-", "http://web:8080/")
        return self.namespace.kubectl(*ask, check=False).stdout.partition(" ")[0]


@pytest.fixture
def packaged(cluster: Cluster, namespace: Namespace, project: Make, tmp_path: Path) -> Callable[[str], Helm]:
    """Make the chart of a Compose file."""
    cluster.load_app("1")
    cluster.load_app("2")

    def make(compose: str) -> Helm:
        made = project(compose, ORCHESTRATOR="kubernetes")
        made.inv("helm.package", "--env", "prod", "--out", str(tmp_path / "charts"))
        (chart,) = (tmp_path / "charts").iterdir()
        return Helm(namespace, chart)

    return make


@pytest.fixture
def helm(packaged: Callable[[str], Helm]) -> Helm:
    """The chart of a small web server."""
    return packaged(WEB + CHECKED)


def test_helm_installs_upgrades_and_goes_back(helm: Helm) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", str(helm.chart))

    helm.release("install", "1", "--timeout=180s")
    until(lambda: helm.serves() == "1", "version 1 serves")
    assert "Phase:" in helm("test", "web", "--logs")

    helm.release("upgrade", "2", "--timeout=180s")
    until(lambda: helm.serves() == "2", "version 2 serves")

    told = helm.release("upgrade", "no-such-version", "--rollback-on-failure", "--timeout=60s", code=1)
    assert "rolled back" in told or "rollback" in told
    until(lambda: helm.serves() == "2", "version 2 serves")

    helm("rollback", "web", "1", "--wait", "--timeout=180s")
    until(lambda: helm.serves() == "1", "version 1 serves")
    helm("uninstall", "web", "--wait")
    assert helm.namespace.get("deployments") == []


def test_an_uninstall_keeps_claims_and_the_next_install_has_their_data(packaged: Callable[[str], Helm]) -> None:
    helm = packaged(WEB + CHECKED + WITH_DATA)
    inside = ("exec", "statefulset/web", "-c", "web", "--", "sh", "-c")
    helm.release("install", "1", "--timeout=180s")
    helm.namespace.kubectl(*inside, "echo kept > /data/file")

    helm("uninstall", "web", "--wait")
    assert helm.namespace.get("statefulsets") == []
    (claim,) = helm.namespace.get("persistentvolumeclaims")
    assert claim["status"]["phase"] == "Bound"

    helm.release("install", "2", "--timeout=180s")
    assert helm.namespace.kubectl(*inside, "cat /data/file").stdout == "kept\n"


def test_a_mistyped_value_is_refused(helm: Helm) -> None:
    told = helm("install", "web", str(helm.chart), "--set=services.web.replicaas=2", code=1)

    assert "replicaas" in told
