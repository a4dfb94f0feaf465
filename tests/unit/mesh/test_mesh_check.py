"""How far services are in the mesh, as their cluster says it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from kube_data import kube_source
from support import ROOT

from tasks.kube.plan.source import KubeSettings
from tasks.kube.plan.translate import translate
from tasks.mesh.plan.istio import memberships
from tasks.mesh.plan.membership import Membership
from tests import schemas

Raw = dict[str, Any]
FRONT, BACK = {"front": None}, {"back": None}
SERVICES = {"web": {"image": "web", "networks": FRONT}, "db": {"image": "db", "networks": BACK}}
TOP = {"networks": {"front": {"name": "front"}, "back": {"name": "back"}}}
WANTED: list[Raw] = json.loads(
    json.dumps(translate(kube_source(SERVICES, settings=KubeSettings(mesh="istio"), **TOP)).objects, default=dict)
)
POLICIES = [each for each in WANTED if each["kind"] in ("PeerAuthentication", "AuthorizationPolicy")]
NAMES = {"web": "web", "db": "db"}


def pod(service: str, ready: bool = True, proxy: str = "istio-proxy", **about: Any) -> Raw:
    """Return a Pod as the API server has it."""
    labels = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": service}
    statuses = [{"name": "istio-init", "ready": True}, {"name": proxy, "ready": ready}]
    metadata = {"name": f"{service}-1", "labels": labels, **about}
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": "Running", "initContainerStatuses": statuses}}


def policy(kind: str, name: str, selector: Mapping[str, str] | None = None, **spec: Any) -> Raw:
    """Return a policy that somebody made by hand."""
    chosen = {"selector": {"matchLabels": selector}} if selector else {}
    return {"kind": kind, "metadata": {"name": name}, "spec": {**chosen, **spec}}


def web(*live: Raw) -> Membership:
    found = {one.service: one for one in memberships(WANTED, live, NAMES)}
    return found["web"]


def test_a_service_is_in_the_mesh_when_its_pods_have_sidecars_and_its_policies_are_there() -> None:
    assert web(*POLICIES, pod("web"), pod("db")) == Membership("web", 1, 1, "STRICT")


def test_pods_without_a_sidecar_that_is_ready_are_told() -> None:
    found = web(*POLICIES, pod("web"), pod("web", ready=False), pod("web", proxy="other"))
    assert (found.pods, found.sidecars) == (3, 1)
    assert found.faults == ("2 of 3 Pods have no sidecar that is ready",)


def test_pods_that_go_and_jobs_that_have_ended_count_no_more() -> None:
    ended = {**pod("web", ready=False), "status": {"phase": "Succeeded"}}
    leaving = pod("web", ready=False, deletionTimestamp="2026-11-30T08:00:00Z")
    assert web(*POLICIES, ended, leaving, pod("web")) == Membership("web", 1, 1, "STRICT")


def test_policies_that_are_missing_or_others_are_told() -> None:
    assert web(pod("web")).faults == ("PeerAuthentication web is missing", "AuthorizationPolicy web is missing")
    open_ = [
        {**each, "spec": {**each["spec"], "mtls": {"mode": "PERMISSIVE"}}}
        if each["kind"] == "PeerAuthentication"
        else each
        for each in POLICIES
    ]
    found = web(*open_, pod("web"))
    assert (found.mtls, found.faults) == ("PERMISSIVE", ("PeerAuthentication web says something else",))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (policy("AuthorizationPolicy", "all", rules=[{}]), "AuthorizationPolicy all lets others in as well"),
        (policy("AuthorizationPolicy", "none", action="DENY", rules=[{}]), ""),
        (policy("AuthorizationPolicy", "db", {"app.kubernetes.io/name": "db"}, rules=[{}]), ""),
        (policy("PeerAuthentication", "default", mtls={"mode": "PERMISSIVE"}), ""),
        (
            policy("PeerAuthentication", "mine", {"app.kubernetes.io/name": "web"}, mtls={"mode": "DISABLE"}),
            "PeerAuthentication mine is about it, too",
        ),
    ],
)
def test_policies_of_others_count_where_they_open_what_ours_close(other: Raw, told: str) -> None:
    assert web(*POLICIES, pod("web"), other).faults == ((told,) if told else ())


Task = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Return what runs ``inv mesh.check`` on a project whose cluster has certain objects."""
    model = {"services": {name: {"image": name, "networks": list(one["networks"])} for name, one in SERVICES.items()}}
    (tmp_path / "compose.yaml").write_text(json.dumps({**model, "networks": {"front": {}, "back": {}}}))
    where = "KUBE_CONTEXT=prod-eu\nKUBE_NAMESPACE=shop\nORCHESTRATOR=kubernetes\n"
    (tmp_path / "prod.env").write_text(f"COMPOSE_PROJECT_NAME=shop\nMESH=istio\n{where}")
    (tmp_path / "dev.env").write_text(f"COMPOSE_PROJECT_NAME=shop-dev\n{where}")
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        """version*) echo '{"clientVersion": {"gitVersion": "v1.35.4"}}' ;;\n"""
        f'*" get pods,"*) cat {tmp_path}/answer ;;\n'
        "*) exit 9 ;;\nesac\n"
    )
    program.chmod(0o755)

    def run(objects: Any, *words: str, env: str = "prod") -> "subprocess.CompletedProcess[str]":
        (tmp_path / "answer").write_text(json.dumps({"kind": "List", "items": objects}))
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG")}
        place = {"SLIPWAY_PROJECT_DIR": str(tmp_path), "SLIPWAY_ENVS_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, str(ROOT / "tasks/cli/program.py"), "mesh.check", "--env", env, *words],
            env={**kept, **place, "PATH": f"{program.parent}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///nowhere.sock"},
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def test_the_task_prints_what_its_schema_says(task: Task) -> None:
    done = task([*POLICIES, pod("web"), pod("db")], "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert schemas.faults(document) == []
    assert [(one["service"], one["mtls"], one["faults"]) for one in document["services"]] == [
        ("db", "STRICT", []),
        ("web", "STRICT", []),
    ]


def test_the_task_ends_with_5_where_a_service_is_not_as_it_should_be(task: Task) -> None:
    done = task([*POLICIES, pod("web", ready=False), pod("db")])
    assert done.returncode == 5
    assert "web" in done.stdout and "0 of 1" in done.stdout
    assert "not in the mesh as it should be: web (1 of 1 Pods have no sidecar that is ready)" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_mesh_in_the_profile_there_is_nothing_to_check(task: Task) -> None:
    done = task([], env="dev")
    assert (done.returncode, done.stdout) == (2, "")
    assert "dev: its profile names no mesh" in done.stderr
