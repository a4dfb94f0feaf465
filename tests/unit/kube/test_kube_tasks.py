"""kube.render, kube.report and helm.package as they are typed: on a project of two environments, without an engine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT

PROGRAM = ROOT / "tasks" / "cli" / "program.py"
BINARIES = Path.home() / ".cache" / "slipway" / "bin"
PATHS = f"{os.environ['PATH']}:{BINARIES}"
HELM, KUBECTL = shutil.which("helm", path=PATHS), shutil.which("kubectl", path=PATHS)
IMAGE = f"registry.example.com/shop/app@sha256:{'a' * 64}"
PASSWORD = "correct-horse-battery-7"
COMPOSE = f"""
services:
  db:
    image: registry.example.com/postgres@sha256:{"b" * 64}
    user: "70:70"
    environment: {{POSTGRES_PASSWORD: "${{DB_PASSWORD}}"}}
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: {{test: [CMD, pg_isready], interval: 10s}}
    networks: [back]
    x-slipway: {{database: postgres}}
  migrate:
    image: {IMAGE}
    user: "1000:1000"
    command: [migrate]
    restart: "no"
    depends_on: {{db: {{condition: service_healthy}}}}
    networks: [back]
    x-slipway: {{job: migrate}}
  app:
    image: {IMAGE}
    user: "1000:1000"
    environment: {{LEVEL: "${{LEVEL}}", TEMPLATE: "{{{{ .Values }}}} $$(date)"}}
    volumes: ["./app.conf:/etc/app.conf:ro"]
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    deploy: {{replicas: 2}}
    ports: ["8080:8000"]
    networks: [front, back]
    healthcheck: {{test: [CMD, /app, health], interval: 10s}}
    x-slipway: {{ingress: {{host: "${{HOST}}", tls: shop-tls}}}}
networks: {{front: {{}}, back: {{internal: true}}}}
volumes: {{data: {{x-slipway: {{size: 10Gi}}}}}}
"""
CONF = "{{ range }}\n  a: {{- b -}}\n\n{{ end }}\n"
PROFILE = """COMPOSE_FILE=compose.yaml
COMPOSE_PROJECT_NAME=shop-{name}
ORCHESTRATOR=kubernetes
KUBE_CONTEXT=none
KUBE_NAMESPACE=shop
DB_PASSWORD={password}
LEVEL={level}
HOST={name}.example.com
"""


@dataclass
class Typed:
    """A project, and the command line that works on it."""

    directory: Path

    def inv(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a task, assert its exit code, and return its output."""
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG")}
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "--search-root", str(ROOT), *words],
            env={
                **kept,
                "PATH": PATHS,
                "SLIPWAY_PROJECT_DIR": str(self.directory),
                "SLIPWAY_ENVS_DIR": str(self.directory),
                "DOCKER_HOST": "unix:///nowhere.sock",
            },
            cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        return done


def made(directory: Path, compose: str = COMPOSE) -> Typed:
    """Write a project with the environments prod and qa."""
    (directory / "compose.yaml").write_text(compose)
    (directory / "app.conf").write_text(CONF)
    for name, level in (("prod", "warn"), ("qa", "debug")):
        (directory / f"{name}.env").write_text(PROFILE.format(name=name, level=level, password=PASSWORD))
    return Typed(directory)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """A project whose objects and chart are written for both environments."""
    typed = made(tmp_path_factory.mktemp("shop"))
    typed.inv("kube.render", "--env", "prod", "--out", "kubernetes")
    typed.inv("kube.render", "--env", "qa", "--out", "kubernetes")
    typed.inv("helm.package", "--env", "qa", "--out", "charts")
    yield typed


def line_of(text: str, line: str) -> int:
    """Return the number of a line, from 1."""
    return text.splitlines().index(line) + 1


def objects(text: str) -> dict[str, Any]:
    """Return objects by kind and name, without the notes by which Helm knows its hooks."""
    found = {}
    for one in yaml.safe_load_all(text):
        if one:
            notes = one["metadata"].get("annotations") or {}
            for name in [name for name in notes if name.startswith("helm.sh/")]:
                del notes[name]
            found[f"{one['kind']}/{one['metadata']['name']}"] = one
    return found


@pytest.mark.skipif(not (HELM and KUBECTL), reason="no helm and kubectl here")
@pytest.mark.parametrize("environment", ["prod", "qa"])
def test_the_chart_makes_the_objects_that_are_rendered(shop: Typed, environment: str) -> None:
    def run(*words: str) -> str:
        return subprocess.run(words, cwd=shop.directory, capture_output=True, text=True, check=True).stdout

    rendered = objects(run(str(KUBECTL), "kustomize", f"kubernetes/overlays/{environment}"))
    values = f"charts/shop/values-{environment}.yaml"
    charted = objects(run(str(HELM), "template", "shop", "charts/shop", "--values", values, "--skip-tests"))
    assert {"Deployment/app", "StatefulSet/db", "Ingress/app", "Service/db"} <= set(rendered)
    assert charted == rendered
    assert rendered["Ingress/app"]["spec"]["rules"][0]["host"] == f"{environment}.example.com"
    files = [one for name, one in rendered.items() if name.startswith("ConfigMap/")]
    assert CONF in [text for one in files for text in one["data"].values()]


def test_no_file_has_the_value_of_a_secret(shop: Typed) -> None:
    written = [path for name in ("kubernetes", "charts") for path in (shop.directory / name).rglob("*.*")]
    texts = [path.read_text() for path in written if path.is_file()]
    assert len(texts) > 20
    assert not [text for text in texts if PASSWORD in text]
    assert [text for text in texts if "key: DB_PASSWORD" in text]


def test_what_is_rendered_again_changes_no_file(shop: Typed) -> None:
    before = {path: path.stat().st_ino for path in (shop.directory / "kubernetes").rglob("*.yaml")}
    said = shop.inv("kube.render", "--env", "prod", "--out", "kubernetes").stderr
    assert "0 files written, 0 removed" in said
    assert {path: path.stat().st_ino for path in (shop.directory / "kubernetes").rglob("*.yaml")} == before


def test_what_is_rendered_is_told_with_the_commands_that_apply_it(shop: Typed) -> None:
    said = shop.inv("kube.render", "--env", "prod", "--out", "kubernetes").stderr.splitlines()
    kubectl = "kubectl --context=none --namespace=shop"
    value = '--from-file=DB_PASSWORD=<(printf %s "$DB_PASSWORD")'
    assert [line.strip() for line in said if "shop-prod-secrets" in line] == [
        "they read the Secret shop-prod-secrets; made and renewed, in bash:",
        f"{kubectl} create secret generic shop-prod-secrets {value} --dry-run=client --output=yaml"
        f" | {kubectl} apply --server-side --filename=-",
    ]
    assert said[-1] == f"apply them: {kubectl} apply --server-side -k kubernetes/overlays/prod"


def test_a_note_says_what_is_not_known_without_an_engine(shop: Typed) -> None:
    assert "what images say by themselves" in shop.inv("kube.report", "--env", "prod").stderr


def test_the_report_has_a_place_and_a_reason(shop: Typed) -> None:
    document = json.loads(shop.inv("kube.report", "--env", "prod", "--json").stdout)
    rows = {row["key"]: row for row in document["keys"]}
    assert document["counts"]["refused"] == 0
    assert rows["services.app.image"]["outcome"] == "translated"
    assert rows["services.app.image"]["file"] == str(shop.directory / "compose.yaml")
    assert rows["services.app.image"]["line"] == line_of(COMPOSE, "  app:") + 1
    kinds = [row["outcome"] for row in document["keys"]]
    assert kinds == sorted(kinds, key=["refused", "ignored", "inferred", "translated"].index)


def test_a_refused_key_writes_nothing_until_it_is_accepted(tmp_path: Path) -> None:
    refused = COMPOSE.replace("    deploy: {replicas: 2}\n", "    deploy: {replicas: 2}\n    privileged: true\n")
    typed = made(tmp_path, refused)
    said = typed.inv("kube.render", "--env", "prod", "--out", "out", code=2).stderr
    assert f"{tmp_path / 'compose.yaml'}:{line_of(refused, '    privileged: true')}: services.app.privileged:" in said
    assert not (tmp_path / "out").exists()
    assert "services.app.privileged" in typed.inv("kube.report", "--env", "prod", code=2).stdout

    word = said.partition("x-slipway: {accept: {")[2].partition(":")[0]
    made(tmp_path, refused.replace("x-slipway: {ingress:", f"x-slipway: {{accept: {{{word}: a test bed}}, ingress:"))
    typed.inv("kube.render", "--env", "prod", "--out", "out")
    keys = json.loads(typed.inv("kube.report", "--env", "prod", "--json").stdout)["keys"]
    reasons = [row["reason"] for row in keys if row["key"] == "services.app.privileged"]
    assert len(reasons) == 1
    assert reasons[0].endswith("accepted: a test bed")


def test_a_secret_in_a_command_is_a_reference(tmp_path: Path) -> None:
    typed = made(tmp_path, COMPOSE.replace("command: [migrate]", "command: [migrate, '--password=${DB_PASSWORD}']"))
    typed.inv("kube.render", "--env", "prod", "--out", "out")
    texts = [path.read_text() for path in (tmp_path / "out").rglob("*.yaml")]
    assert not [text for text in texts if PASSWORD in text]
    assert [text for text in texts if "--password=$(" in text]


def test_a_secret_in_a_label_is_refused(tmp_path: Path) -> None:
    typed = made(tmp_path, COMPOSE.replace("    command: [migrate]", "    labels: {token: 'a/${DB_PASSWORD}'}"))
    said = typed.inv("kube.render", "--env", "prod", "--out", "out", code=2).stderr
    assert "would show the secret DB_PASSWORD" in said
    assert PASSWORD not in said
    assert not (tmp_path / "out").exists()


def test_an_environment_that_can_not_be_translated_is_left_out_of_the_chart(tmp_path: Path) -> None:
    typed = made(tmp_path)
    (tmp_path / "qa.env").write_text((tmp_path / "qa.env").read_text() + "COMPOSE_PROFILES=\nNO_SUCH_KEY=1\n")
    said = typed.inv("helm.package", "--env", "prod", "--out", "charts").stderr
    assert "qa is left out of the chart" in said
    assert sorted(path.name for path in (tmp_path / "charts" / "shop").glob("values*")) == [
        "values-prod.yaml",
        "values.schema.json",
        "values.yaml",
    ]


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    typed = made(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README").write_text("mine\n")
    for task in ("kube.render", "helm.package"):
        place = "out" if task == "kube.render" else "."
        if task == "helm.package":
            (tmp_path / "out").rename(tmp_path / "shop")
        assert "did not write README" in typed.inv(task, "--env", "prod", "--out", place, code=3).stderr
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["README"]


def test_a_dry_run_shows_files_and_writes_none(tmp_path: Path) -> None:
    typed = made(tmp_path)
    said = typed.inv("--dry", "kube.render", "--env", "prod", "--out", "out").stdout
    assert "# write out/base/deployment-app.yaml" in said.splitlines()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", ["kube.render", "helm.package"])
def test_a_task_needs_a_directory_to_write_to(shop: Typed, task: str) -> None:
    assert "--out" in shop.inv(task, "--env", "prod", code=2).stderr


def test_a_chart_is_pushed_nowhere_without_a_repository(shop: Typed) -> None:
    assert "HELM_REPOSITORY is not set" in shop.inv("helm.push", "--env", "prod", code=2).stderr
