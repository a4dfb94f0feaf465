"""The sample stack on a cluster under Pod Security `restricted`: migrated, with TLS, its rows out of the database."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.kube.plan.secrets import secret_key, secret_name
from tests.e2e.registries import Registry
from tests.e2e.support import NOT_COPIED, ROOT, Sample, make_sample, remove, until

from .cluster import Cluster, Namespace

TAKES = 60
_SECRETS = {"database_password": "secrets", "tls.crt": "tls", "tls.key": "tls"}


@dataclass
class Released:
    """The sample in a namespace: ``rendered`` is the directory of its objects."""

    sample: Sample
    namespace: Namespace
    rendered: Path

    def environment(self) -> dict[str, str]:
        """Return the keys of the profile that name the cluster."""
        file = str(self.namespace.cluster.layout.kubeconfig)
        return {"KUBECONFIG": file, "KUBE_CONTEXT": "slipway-test", "KUBE_NAMESPACE": self.namespace.name}

    def curl(self, path: str, *words: str) -> Any:
        """Ask as the README does, with the certificate that `inv setup` made; ``localhost`` is the Service."""
        address = self.namespace.get("service", "nginx")["spec"]["clusterIP"]
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10", *words]
        command += ["--cacert", str(self.sample.certificate), "--connect-to", f"localhost:8443:{address}:8443"]
        done = subprocess.run([*command, f"https://localhost:8443{path}"], capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.namespace.told()}"
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def released(cluster: Cluster, store: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """The staging environment: built, pushed to a registry of our own, rendered, applied, up."""
    base = tmp_path_factory.mktemp("sample")
    project = base / "docker_project"
    shutil.copytree(ROOT / "docker_project", project, ignore=NOT_COPIED)
    name = f"slipway-kube-{os.getpid()}"
    sample = make_sample(base, name, project)
    try:
        sample.inv("setup")
        with cluster.namespace() as namespace:
            layer = sample.envs_dir / "staging.local.env"
            layer.write_text(layer.read_text().replace("IMAGE_REPOSITORY=", f"IMAGE_REPOSITORY={store.host}/"))
            made = Released(sample, namespace, base / "kubernetes")
            _release(made, f"{name}-staging", base)
            yield made
    finally:
        for each in sample.projects:
            remove(each)


def _release(made: Released, project: str, base: Path) -> None:
    made.sample.inv("build.staging", "--push")
    made.sample.inv("kube.render", "--env", "staging", "--out", str(made.rendered), **made.environment())
    named = {"database_password": "database_password", "tls.crt": "tls_certificate", "tls.key": "tls_key"}
    files = [f"--from-file={secret_key(named[file])}={base / directory / file}" for file, directory in _SECRETS.items()]
    made.namespace.kubectl("create", "secret", "generic", secret_name(project), *files)
    overlay = str(made.rendered / "overlays" / "staging")
    made.namespace.kubectl("apply", "--server-side", "--field-manager=helm", "-k", overlay)
    for job in made.namespace.get("jobs"):
        made.namespace.wait("--for=condition=complete", f"job/{job['metadata']['name']}", seconds=300)
    for kind in ("deployment", "statefulset"):
        names = [thing["metadata"]["name"] for thing in made.namespace.get(kind)]
        made.namespace.rolled_out(*(f"{kind}/{each}" for each in names), seconds=300)


def test_the_readmes_curl_answers_rows_of_the_database(released: Released) -> None:
    rows = released.sample.project_dir / "database" / "seeds" / "sample_data.sql"
    (database,) = released.namespace.get("pods", **{"app.kubernetes.io/name": "database"})
    words = ("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--username=slipway", "slipway")
    pod = database["metadata"]["name"]
    released.namespace.kubectl("exec", "-i", pod, "-c", "database", "--", *words, stdin=rows.read_text())

    answer = released.curl("/api/users?limit=1")
    assert answer["users"][0]["name"] == "Ada Lovelace"
    assert (answer["total"], answer["limit"], answer["offset"]) == (20, 1, 0)


def test_a_row_that_was_written_is_still_there_after_the_database_was_made_anew(released: Released) -> None:
    row = json.dumps({"name": "Mary Kenneth Keller", "email": "keller@example.com"})
    written = released.curl("/api/users", "--json", row)
    (before,) = released.namespace.get("pods", **{"app.kubernetes.io/name": "database"})
    released.namespace.kubectl("delete", "pod", before["metadata"]["name"])
    until(lambda: _ready(released, before["metadata"]["uid"]), "another database", 240)

    until(lambda: _answers(released, f"/api/users/{written['id']}", "Mary Kenneth Keller"), "the row", 120)


def _ready(released: Released, former: str) -> bool:
    pods = released.namespace.get("pods", **{"app.kubernetes.io/name": "database"})
    return [
        all(status["ready"] for status in pod["status"].get("containerStatuses", ({"ready": False},)))
        for pod in pods
        if pod["metadata"]["uid"] != former
    ] == [True]


def _answers(released: Released, path: str, name: str) -> bool:
    try:
        return bool(released.curl(path)["name"] == name)
    except AssertionError:  # the application connects again
        return False


def test_every_check_passes(released: Released) -> None:
    document = released.sample.json("kube.check", "--env", "staging", **released.environment())

    assert document["findings"] == []
    assert {row["check"]: row["outcome"] for row in document["checks"]} == dict.fromkeys(
        ("schema", "security", "images", "server"), "passed"
    )


def test_what_serves_was_never_restarted(released: Released) -> None:
    pods = {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod for pod in released.namespace.get("pods")}
    assert set(pods) == {"app", "database", "migrate", "nginx"}
    for name in ("app", "database", "nginx"):
        assert [status["restartCount"] for status in pods[name]["status"]["containerStatuses"]] == [0], name


def test_the_proxy_reaches_the_application_and_not_the_database(released: Released) -> None:
    def connected(address: str) -> bool:
        ask = ("curl", "--silent", "--verbose", "--max-time", "3", f"telnet://{address}")
        done = released.namespace.kubectl("exec", "deployment/nginx", "-c", "nginx", "--", *ask, check=False)
        return "Connected to" in done.stderr

    until(lambda: connected("app:8000"), "the proxy is connected to the application")
    assert not connected("database:5432")


def test_an_apply_with_nothing_changed_changes_nothing(released: Released) -> None:
    overlay = str(released.rendered / "overlays" / "staging")
    before = _versions(released)
    released.namespace.kubectl("apply", "--server-side", "--field-manager=helm", "-k", overlay)

    assert _versions(released) == before


def _versions(released: Released) -> dict[str, str]:
    kinds = (
        "deployments",
        "statefulsets",
        "services",
        "configmaps",
        "networkpolicies",
        "jobs",
        "persistentvolumeclaims",
    )
    found = {}
    for kind in kinds:
        for thing in released.namespace.get(kind):
            found[f"{kind}/{thing['metadata']['name']}"] = str(thing["metadata"].get("generation"))
    return found
