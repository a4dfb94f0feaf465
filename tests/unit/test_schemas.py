"""Every document that a task prints with --json has a schema in the repository, which real output is checked with."""

import ast
import json
import os
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

import tasks
from tests import schemas

PROGRAM = ROOT / "tasks" / "cli" / "program.py"
REPORTING = sorted(
    # By the signature: Task.get_arguments() takes the help of its options away from later tests.
    name
    for name in tasks.ns.task_names
    if "json" in signature(tasks.ns[name].body).parameters
)
NAMES = sorted(path.name.removesuffix("-v1.json") for path in schemas.DIRECTORY.glob("*-v1.json"))


def test_every_task_with_json_has_a_schema() -> None:
    assert len(REPORTING) > 40
    assert {schemas.of_task(name) for name in REPORTING} - set(NAMES) == set()


@pytest.mark.parametrize("name", sorted({schemas.of_task(name) for name in REPORTING} & set(NAMES)))
def test_a_schema_is_one_and_names_itself(name: str) -> None:
    schema: Any = schemas.validator(name).schema
    assert schema["$id"] == schema["properties"]["schema"]["const"] == f"slipway/{name}/v1"
    assert schema["required"][0] == "schema"
    assert "--json" in schema["title"] and "inv " in schema["title"]


def asked_for(path: Path) -> set[str]:
    """Return the tasks whose document an end-to-end test reads: ``Checkout.json`` checks it against its schema."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    words = [node.args[0] for node in calls if getattr(node.func, "attr", "") == "json" and node.args]
    return {ast.literal_eval(word) if isinstance(word, ast.Constant) else ast.unparse(word)[2:-1] for word in words}


def test_real_output_of_every_task_is_checked() -> None:
    paths = [path for folder in ("e2e", "cluster") for path in (ROOT / "tests" / folder).glob("*.py")]
    asked = {name for path in paths for name in asked_for(path)}
    aliases = {"build.all": "build", "test.all": "test", "scan.secrets": "scan.{kind}"}
    # These print what `scan.code` and its like print, by the same function.
    same = {"security-scan", "test.security", "scan.all"}
    environments = {f"{kind}.{name}" for kind in ("build", "deploy") for name in ("dev", "prod", "staging", "test")}
    wanted = {aliases.get(name, name) for name in REPORTING} - same - environments
    assert wanted - asked - set(HERE) - set(ON_A_CLUSTER) == set()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of tasks on a small project."""
    root = tmp_path_factory.mktemp("shop")
    (root / "compose.yaml").write_text("services: {web: {image: 'web:${TAG:-1}', build: .}}\n")
    (root / "Dockerfile").write_text("FROM scratch\n")
    for name, text in (("dev", "TAG=1\nSECRET_KEYS=TAG\n"), ("prod", "TAG=2\n"), ("broken", "TAG\n")):
        (root / f"{name}.env").write_text(f"COMPOSE_PROJECT_NAME=shop-{name}\n{text}")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "SLIPWAY_PROJECT_DIR": str(root), "SLIPWAY_ENVS_DIR": str(root)}


# Tasks that ask a cluster, or write to a repository, with the test that reads their document.
ON_A_CLUSTER = {
    "kube.autoscale": "tests/unit/kube/test_kube_autoscale.py",
    "gitops.export": "tests/unit/gitops/test_export.py",
    "mesh.check": "tests/unit/mesh/test_mesh_check.py",
}


def test_what_tasks_on_a_cluster_print_is_checked_too() -> None:
    for name, file in ON_A_CLUSTER.items():
        text = (ROOT / file).read_text("utf-8")
        assert f'"{name}"' in text and "schemas.faults(document) == []" in text


# Tasks that need no engine, with their exit code.
HERE = {
    "adopt": ((), 3),
    "env.list": ((), 0),
    "env.show": (("dev",), 0),
    "env.diff": (("dev", "prod"), 0),
    "env.check": ((), 2),
    "image.tags": ((), 0),
    "doctor": ((), 3),
    "scan.db": ((), 0),
    "kube.report": ((), 2),
}


@pytest.mark.parametrize("task", HERE)
def test_what_a_task_prints_is_as_its_schema_says(task: str, shop: dict[str, str], tmp_path: Path) -> None:
    words, code = HERE[task]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), task, *words, "--json"],
        env={**shop, "DOCKER_HOST": "unix:///nowhere.sock", "SCAN_DB_DIR": str(tmp_path)},
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    document = json.loads(done.stdout)
    assert schemas.faults(document) == []
    assert document["schema"] == f"slipway/{task}/v1"


def test_a_document_with_another_member_or_type_is_a_fault() -> None:
    good = {"schema": "slipway/env.list/v1", "environments": [{"name": "dev", "file": "dev.env", "valid": True}]}
    assert schemas.faults(good) == []
    assert "'more' was unexpected" in schemas.faults({**good, "more": 1})[0]
    assert schemas.faults({**good, "environments": [{"name": "dev", "file": "dev.env", "valid": "yes"}]})
    assert schemas.faults({"schema": "slipway/nothing/v1"}) == ["no schema 'nothing'"]
