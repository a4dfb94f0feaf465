"""`inv kube.check` as a user types it, with a real API server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import Checkout

from .cluster import Namespace

WEB = """
services:
  web:
    image: slipway.test/app:1
    user: "1000:1000"
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    tmpfs: ["/tmp:mode=1777,size=1m"]
    expose: ["8080"]
    mem_limit: 32m
"""
Make = Callable[..., Checkout]


@pytest.fixture
def project(namespace: Namespace, tmp_path: Path) -> Make:
    """Make a Compose project whose environment is the namespace of the test."""

    def make(compose: str, **keys: str) -> Checkout:
        (tmp_path / "compose.yaml").write_text(compose)
        (tmp_path / "envs").mkdir(exist_ok=True)
        values = {
            "COMPOSE_PROJECT_NAME": "checked",
            "KUBECONFIG": str(namespace.cluster.layout.kubeconfig),
            "KUBE_CONTEXT": "slipway-test",
            "KUBE_NAMESPACE": namespace.name,
            **keys,
        }
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (tmp_path / "envs" / "prod.env").write_text(text)
        return Checkout(tmp_path, tmp_path / "envs", [])

    return make


def outcomes(document: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {row["check"]: row["outcome"] for row in document["checks"]}


def test_an_image_without_a_digest_is_the_only_finding_of_what_is_confined(project: Make, namespace: Namespace) -> None:
    document = project(WEB).json("kube.check", "--env", "prod", code=5)

    assert outcomes(document) == {"schema": "passed", "security": "passed", "images": "failed", "server": "passed"}
    (finding,) = document["findings"]
    assert finding["object"] == "Deployment web"
    assert finding["message"].startswith("slipway.test/app:1 is not pinned by a digest")
    assert namespace.get("deployments") == [], "it was a dry run"


def test_without_asking_anybody_it_passes(project: Make) -> None:
    done = project(WEB, KUBE_CONTEXT="").inv("kube.check", "--env", "prod", "--offline")

    assert "schema    passed" in done.stdout
    assert "server    not checked" in done.stdout


def test_what_runs_as_root_is_named_by_us_and_by_the_server(project: Make) -> None:
    root = WEB.replace('"1000:1000"', '"0:0"').replace("cap_drop: [ALL]", "cap_drop: [NET_RAW]")
    document = project(root).json("kube.check", "--env", "prod", code=5)

    fields = [row["field"] for row in document["findings"] if row["check"] == "security"]
    assert "containers[web].securityContext.capabilities.drop" in fields
    said = [row["message"] for row in document["findings"] if row["check"] == "server"]
    assert any(line.startswith('would violate PodSecurity "restricted:latest"') for line in said)


def test_what_the_server_refuses_is_a_line(project: Make, namespace: Namespace) -> None:
    quota = {"hard": {"count/deployments.apps": "0"}}
    namespace.apply([{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": quota}])
    document = project(WEB).json("kube.check", "--env", "prod", code=5)

    (finding,) = (row for row in document["findings"] if row["check"] == "server")
    assert finding["object"] == "Deployment web"
    assert "exceeded quota" in finding["message"]


def test_a_namespace_that_is_not_there_is_a_finding(project: Make) -> None:
    done = project(WEB, KUBE_NAMESPACE="nowhere").inv("kube.check", "--env", "prod", code=5)

    assert 'server: Namespace nowhere: namespaces "nowhere" not found' in done.stdout


def test_a_context_that_is_not_there_is_told_in_kubectls_words(project: Make) -> None:
    done = project(WEB, KUBE_CONTEXT="elsewhere").inv("kube.check", "--env", "prod", code=5)

    assert "the cluster of elsewhere does not say its version: " in done.stderr
    assert 'context "elsewhere" does not exist' in done.stderr


def test_without_a_context_nothing_is_asked(project: Make) -> None:
    done = project(WEB, KUBE_CONTEXT="").inv("kube.check", "--env", "prod", code=2)

    assert "KUBE_CONTEXT is not set in the profile prod" in done.stderr
