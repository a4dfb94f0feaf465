"""deploy.* on a real cluster, as a user types it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tasks.kube.live.inventory import documents
from tasks.kube.plan.live import helm_record, revisions
from tasks.kube.plan.live.revisions import RECORD_LABEL
from tests.e2e.support import until
from tests.schemas import faults

from .cluster import APP, Cluster, Namespace
from .objects import named
from .outage import kill_all
from .shop import USER, Shop, killed, made

TAKES = 400
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"}


@pytest.fixture
def shop(cluster: Cluster, namespace: Namespace, tmp_path: Path) -> Shop:
    """A stack that is not deployed yet."""
    cluster.load_app("1")
    return made(tmp_path / "shop", namespace)


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack that is deployed; tests leave it deployed."""
    cluster.load_app("1")
    with cluster.namespace() as namespace:
        shop = made(tmp_path_factory.mktemp("running") / "shop", namespace)
        shop.inv("deploy.prod")
        yield shop


def actions(shop: Shop) -> dict[str, str]:
    return {one["service"]: one["action"] for one in shop.json("deploy.plan", "--env", "prod")["changes"]}


def test_a_first_deploy_and_the_second_one_that_writes_nothing(shop: Shop) -> None:
    assert actions(shop) == {"app": "create", "migrate": "run"}

    first = shop.json("deploy.prod")

    assert (first["outcome"], first["release"]) == ("deployed", 1)
    assert shop.answers() == {"1"}
    assert actions(shop) == {"app": "unchanged", "migrate": "unchanged"}
    before = shop.place.get("secrets"), shop.place.get("deployments"), shop.place.get("configmaps")
    assert shop.json("deploy.prod")["outcome"] == "unchanged"
    assert (shop.place.get("secrets"), shop.place.get("deployments"), shop.place.get("configmaps")) == before
    assert shop.place.get("leases") == []


def test_status_ps_and_history_have_the_shapes_of_an_engine(running: Shop) -> None:
    status = running.json("deploy.status", "--env", "prod")
    rows = {row["service"]: row for row in status["services"]}
    listed = running.json("ps", "--env", "prod")["containers"]
    history = running.json("deploy.history", "--env", "prod")["releases"]

    assert (rows["app"]["state"], rows["app"]["health"], rows["app"]["replicas"]) == ("running", "healthy", "2/2")
    assert (rows["app"]["drift"], rows["app"]["ready"]) == ([], True)
    assert rows["app"]["digest"].startswith("sha256:")
    assert [row["state"] for row in listed if row["service"] == "app"] == ["running", "running"]
    assert history[0]["current"]
    assert history[0]["outcome"] == "deployed"


def test_another_version_is_rolled_out_and_back(running: Shop) -> None:
    running.write("2")
    plan = running.json("deploy.plan", "--env", "prod")
    changed = {one["service"]: one for one in plan["changes"]}
    assert (changed["app"]["action"], changed["app"]["causes"], plan["interrupts"]) == ("roll", ["command"], [])

    running.inv("deploy.prod")

    assert running.answers() == {"2"}
    running.inv("deploy.rollback", "--env", "prod")
    assert running.answers() == {"1"}
    running.write("1")
    assert actions(running)["app"] == "unchanged"


def test_an_image_that_cannot_be_pulled_leaves_what_served(running: Shop) -> None:
    running.write(image="127.0.0.1:1/gone/app")

    said = running.inv("deploy.prod", code=4).stderr

    assert "app: the nodes cannot pull 127.0.0.1:1/gone/app:1" in said
    assert "serves, 2 containers run, all ready" in said
    assert running.answers() == {"1"}
    assert running.json("deploy.history", "--env", "prod")["releases"][1]["outcome"] == "rolled-back"
    running.write()
    assert actions(running)["app"] == "unchanged"


def test_a_migration_that_fails_leaves_what_served(running: Shop) -> None:
    running.write("3", migrate="echo broken; exit 3")

    said = running.inv("deploy.prod", code=4).stderr

    assert "migrate" in said
    assert "serves, 2 containers run, all ready" in said
    assert running.answers() == {"1"}
    running.write()


def test_a_smoke_check_that_fails_goes_back(running: Shop) -> None:
    running.write("4", **{"x-slipway": {"smoke": [{"url": "http://localhost:18080/", "body": "another"}]}})

    said = running.inv("deploy.prod", code=4).stderr

    assert "smoke: app: GET http://localhost:18080/: the body does not match 'another'" in said
    assert running.answers() == {"1"}
    running.write()


def test_a_secret_that_changed_makes_new_pods_and_appears_nowhere(running: Shop) -> None:
    (running.project_dir / "password").write_text("correct horse")
    plan = running.json("deploy.plan", "--env", "prod")
    assert {one["service"]: one["causes"] for one in plan["changes"] if one["action"] != "unchanged"} == {
        "app": ["secrets changed"]
    }

    said = running.inv("deploy.prod")

    found = running.place.get("pods", **{"app.kubernetes.io/name": "app"})
    pod = next(raw["metadata"]["name"] for raw in found if not raw["metadata"].get("deletionTimestamp"))
    assert (
        running.place.kubectl("exec", pod, "-c", "app", "--", "cat", "/run/secrets/password").stdout == "correct horse"
    )
    assert "correct horse" not in said.stdout + said.stderr


def test_what_was_changed_by_hand_is_told_and_taken_back(running: Shop) -> None:
    running.place.kubectl("set", "env", "deployment/app", "LEVEL=debug", "ADDED=1")
    running.place.rolled_out("deployment/app")
    drift = running.json("deploy.status", "--env", "prod")["services"][0]["drift"]
    assert "environment LEVEL (changed with kubectl-set)" in drift
    assert "environment ADDED (added with kubectl-set)" in drift

    running.inv("deploy.prod")

    env = running.place.get("deployment", "app")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "LEVEL", "value": "info"} in env
    running.place.kubectl("set", "env", "deployment/app", "ADDED-")
    running.place.rolled_out("deployment/app")


def test_a_deploy_that_was_killed_is_taken_back_by_the_next(running: Shop) -> None:
    running.write("5", healthcheck={"test": ["CMD", "test", "-f", "/never"], "interval": "1s", "retries": 60})
    task = running.begun("deploy.prod")
    until(lambda: "pending-upgrade" in running.revisions(), "helm has begun", 120)
    killed(task)
    running.write("6")

    running.inv("deploy.prod", "--wait", "1m")

    assert running.answers() == {"6"}
    running.write("1")
    running.inv("deploy.prod")


def test_a_deploy_that_was_killed_before_helm_removed_anything_is_taken_back(shop: Shop) -> None:
    compose = shop.project_dir / "compose.yaml"
    model = json.loads(compose.read_text())
    extra = {"image": f"{APP}:1", "user": USER, "command": ["sleep", "600"], "stop_grace_period": "1s"}
    compose.write_text(json.dumps({**model, "services": {**model["services"], "extra": extra}}))
    shop.inv("deploy.prod")
    first = documents(helm_record.manifest(shop.place.get("secret", revisions.secret_name("shop", 1))))
    dropped = next(raw for raw in first if (raw["kind"], raw["metadata"]["name"]) == ("Deployment", "extra"))
    shop.write("2", healthcheck={"test": ["CMD", "test", "-f", "/never"], "interval": "1s", "retries": 60})
    task = shop.begun("deploy.prod")
    until(lambda: "pending-upgrade" in shop.revisions(), "helm has begun", 120)
    kill_all(task.pid)  # as when its machine loses power: helm cannot go back by itself
    task.communicate()
    shop.place.kubectl("create", "-f", "-", stdin=json.dumps(dropped), check=False)  # unless it is still there
    shop.write("3")

    done = shop.json("deploy.prod", "--wait", "1m")

    assert (done["outcome"], shop.answers()) == ("deployed", {"3"})
    assert [raw["metadata"]["name"] for raw in shop.place.get("deployments")] == ["app"]
    assert shop.json("deploy.prod")["outcome"] == "unchanged"


def test_a_second_deploy_is_refused_and_says_who_holds_the_lock(running: Shop) -> None:
    running.write("7", migrate="until test -e /tmp/go; do sleep 0.2; done")
    task = running.begun("deploy.prod")
    until(lambda: running.place.get("leases"), "the first one has the lock", 120)

    said = running.inv("deploy.prod", code=3).stderr

    until(lambda: _let_go(running), "the migration is let go on")
    assert "shop is locked by" in said
    _, err = task.communicate(timeout=120)
    assert task.returncode == 0, err
    assert running.place.get("leases") == []


def _let_go(shop: Shop) -> bool:
    """Let a migration go on that waits, once it runs; returns whether it was there."""
    pods = shop.place.get("pods", **{"app.kubernetes.io/name": "migrate"})
    names = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]
    return any(
        shop.place.kubectl("exec", name, "--", "sh", "-c", ": > /tmp/go", check=False).returncode == 0 for name in names
    )


def test_logs_and_a_command_in_a_pod(running: Shop) -> None:
    assert running.inv("shell", "--env", "prod", "--service", "app", "--command", "id -u").stdout.strip() == "1000"
    lines = running.json("logs", "--env", "prod", "--service", "migrate")["lines"]
    assert all(line["service"] == "migrate" for line in lines)


def test_a_namespace_of_another_project_is_refused(running: Shop, cluster: Cluster) -> None:
    with cluster.namespace() as other:
        other.cluster.kubectl("label", "namespace", other.name, "app.kubernetes.io/part-of=theirs")
        running.profile(KUBE_NAMESPACE=other.name)

        said = running.inv("deploy.plan", "--env", "prod", code=3).stderr

    running.profile()
    assert f"KUBE_NAMESPACE={other.name}: this namespace is that of theirs" in said


def test_a_written_plan_is_carried_out_or_refused_with_what_has_moved(shop: Shop, cluster: Cluster) -> None:
    file = shop.project_dir.parent / "plan.json"
    write, carry_out = ("deploy.plan", "--env", "prod", "--out", str(file)), ("deploy.prod", "--plan", str(file))
    shop.inv(*write)
    assert faults(json.loads(file.read_text())) == []
    assert shop.place.get("deployments") == []

    assert shop.json(*carry_out)["outcome"] == "deployed"

    assert shop.answers() == {"1"}
    assert "the release that serves is 1, was none" in shop.inv(*carry_out, code=3).stderr
    shop.write("2")
    shop.inv(*write)
    text = file.read_text()
    file.write_text(text.replace('"roll"', '"keep"'))
    assert "the file was changed since" in shop.inv(*carry_out, code=3).stderr
    file.write_text(text)
    shop.place.kubectl("annotate", "deployment/app", "by=hand")
    assert "Deployment app has changed" in shop.inv(*carry_out, code=3).stderr
    shop.place.kubectl("annotate", "deployment/app", "by-")
    with cluster.namespace() as other:
        shop.profile(KUBE_NAMESPACE=other.name)
        refused = shop.inv(*carry_out, code=3).stderr
        assert f"the cluster is slipway-test, namespace {other.name} (" in refused
        assert f"was slipway-test, namespace {shop.place.name} (" in refused
        assert other.get("deployments") == []
    shop.profile()
    assert shop.answers() == {"1"}
    assert shop.json(*carry_out)["outcome"] == "deployed"
    assert shop.answers() == {"2"}


def test_a_plan_that_lets_a_service_scale_keeps_its_pods(shop: Shop) -> None:
    shop.write(deploy={"replicas": 3, "update_config": {"order": "start-first", "monitor": "1s"}}, cpus=0.1)
    said = shop.inv("deploy.prod").stderr
    assert said.count("not on the engine") == 1, "though the plan is made again under the lock"
    scale = {"scale": {"min": 1, "max": 4}}
    shop.write(deploy={"update_config": {"order": "start-first", "monitor": "1s"}}, cpus=0.1, **{"x-slipway": scale})

    plan = shop.json("deploy.plan", "--env", "prod")

    (app,) = [one for one in plan["changes"] if one["service"] == "app"]
    assert not [cause for cause in app["causes"] if "containers" in cause or "replicas" in cause], app["causes"]
    shop.inv("deploy.prod")
    assert shop.place.get("deployment", "app")["spec"]["replicas"] == 3


def test_down_keeps_the_history(shop: Shop) -> None:
    shop.inv("deploy.prod")

    shop.inv("deploy.down", "--env", "prod")

    assert shop.place.get("deployments") == []
    again = shop.json("deploy.prod")
    assert (again["outcome"], again["release"]) == ("deployed", 2)


@contextmanager
def telemetry() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Yield the address of a server that takes traces and annotations, and what it got: paths and documents."""
    got: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def test_a_deploy_tells_monitoring_as_on_an_engine(running: Shop) -> None:
    directory = running.project_dir / "metrics"
    directory.mkdir()
    running.profile(DEPLOY_METRICS_DIR=str(directory))
    running.write("8")
    with telemetry() as (address, got):
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "GRAFANA_URL": address}
        done = json.loads(running.inv("deploy.prod", "--json", **told).stdout)
        running.write("9", migrate="exit 3")
        running.inv("deploy.prod", code=4, **told)

    traces = [document["resourceSpans"][0]["scopeSpans"][0]["spans"] for path, document in got if path == "/v1/traces"]
    names = [step["name"] for step in traces[0]]
    assert names[0] == "deploy shop"
    assert {step["name"] for step in done["steps"]} <= set(names)
    assert [trace[0]["status"].get("code") for trace in traces] == [traces[0][0]["status"].get("code"), 2]
    notes = [document["text"] for path, document in got if path == "/api/annotations"]
    assert notes[0].endswith(": deployed")
    assert ": rolled-back (" in notes[1]
    text = (directory / "slipway-shop.prom").read_text()
    assert 'outcome="rolled-back"} 1\n' in text
    assert f'slipway_release_info{{project="shop",environment="prod",release="{done["release"]}"' in text
    assert (directory / "slipway-shop-lock.prom").read_text().rstrip().endswith(" 0")
    running.profile()
    running.write("1")
    running.inv("deploy.prod")


def labelled(kind: str, name: str, notes: Any = None, label: str = "", **fields: Any) -> dict[str, Any]:
    """Return an object with the label of the project, and one more with the value 9999."""
    labels = {"app.kubernetes.io/part-of": "shop", **({label: "9999"} if label else {})}
    return {**named(kind, name, **fields), "metadata": {"name": name, "labels": labels, "annotations": notes or {}}}


def test_clean_removes_what_is_left_and_nothing_that_serves(running: Shop) -> None:
    place = running.place
    release = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": place.name}
    place.apply(
        [
            labelled("ConfigMap", "forgotten", release, data={"a": "b"}),
            labelled("ConfigMap", "theirs", data={"a": "b"}),
            labelled("ConfigMap", "shop-release-9999", data={"a": "b"}, label=RECORD_LABEL),
            labelled("PersistentVolumeClaim", "old", spec=CLAIM),
        ]
    )
    running.write("10")
    hook = running.project_dir / "hooks" / "pre-deploy"  # it runs under the lock, and before anything changes
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexec sleep 600\n")
    hook.chmod(0o755)
    task = running.begun("deploy.prod", SLIPWAY_HOOKS_DIR=str(hook.parent))
    until(lambda: place.get("leases") != [], "the lock of a deploy")
    kill_all(task.pid)
    task.communicate()
    running.write("1")
    until(lambda: "Lease" in running.inv("--dry", "clean", "--env", "prod").stdout, "the lock has expired")
    pods = {pod["metadata"]["uid"] for pod in place.get("pods", **{"app.kubernetes.io/name": "app"})}
    serving = running.json("deploy.history", "--env", "prod")["releases"][0]["id"]

    dry = running.inv("--dry", "clean", "--env", "prod").stdout
    said = running.inv("clean", "--env", "prod", "--volumes", "--yes").stderr

    assert "Lease shop-slipway-lock (expired" in said
    assert place.get("leases") == []
    assert "ConfigMap forgotten (of no release that serves)" in dry
    assert "ConfigMap shop-release-9999 (of a release that is forgotten)" in said
    assert "PersistentVolumeClaim old" in said
    names = {raw["metadata"]["name"] for raw in place.get("configmaps")}
    assert "theirs" in names and f"shop-release-{serving}" in names
    assert not {"forgotten", "shop-release-9999"} & names
    assert place.get("persistentvolumeclaims") == []
    assert {pod["metadata"]["uid"] for pod in place.get("pods", **{"app.kubernetes.io/name": "app"})} == pods
    assert "nothing to remove" in running.inv("clean", "--env", "prod", "--volumes").stderr
