"""Compose works while Python loads: it is asked before Invoke is loaded, once, and for the first project only."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import ROOT

from tasks.host.profile.head_start import planned

PROGRAM = ROOT / "tasks" / "cli" / "program.py"
_TRACED = """
import atexit, json, runpy, sys

events, target = [], sys.argv[1]

def note(event, words):
    if event == "subprocess.Popen" and "compose" in str(words[1][0]) + str(words[1][1:2]):
        events.append(("hashes" if "--hash" in words[1] else "model" if "config" in words[1] else "other"))
    elif event == "import" and words[0] in ("invoke", "tasks.host.project", "tasks.reconcile.plan.reconcile"):
        events.append(words[0])

sys.addaudithook(note)
atexit.register(lambda: open(target, "w").write(json.dumps(events)))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a directory with a Compose project and its profiles."""
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    image: shop:${TAG:-dev}\n", encoding="utf-8")
    (tmp_path / "envs").mkdir()
    for name in ("dev", "qa"):
        (tmp_path / "envs" / f"{name}.env").write_text(f"COMPOSE_PROJECT_NAME=shop-{name}\n", encoding="utf-8")
    return tmp_path


def traced(shop: Path, code: str, words: Sequence[str]) -> tuple[list[str], str]:
    """Return in which order a program loads modules and asks Compose, and what it tells; no engine answers it."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    where = {"SLIPWAY_PROJECT_DIR": str(shop), "SLIPWAY_ENVS_DIR": str(shop / "envs")}
    env = {**kept, **where, "DOCKER_HOST": "unix:///nowhere.sock"}
    target = shop / "events.json"
    argv = [sys.executable, "-c", _TRACED + code, str(target), *words]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return json.loads(target.read_text(encoding="utf-8")), done.stdout + done.stderr


def inv(shop: Path, *words: str) -> tuple[list[str], str]:
    return traced(shop, "sys.argv[:2] = []\nrunpy.run_path(sys.argv[0], run_name='__main__')", [str(PROGRAM), *words])


@pytest.mark.parametrize("words", [("deploy.status",), ("--search-root", str(ROOT), "deploy.plan", "--env", "qa")])
def test_compose_is_asked_once_and_before_what_it_does_not_need(shop: Path, words: tuple[str, ...]) -> None:
    events, said = inv(shop, *words)

    assert events == ["model", "invoke", "tasks.host.project", "hashes", "tasks.reconcile.plan.reconcile"], said
    assert "no Docker engine answers at unix:///nowhere.sock" in said


def test_a_deploy_is_planned_with_what_was_asked_early(shop: Path) -> None:
    events, said = inv(shop, "deploy.dev")

    assert (events[:2], events.count("model"), events.count("hashes")) == (["model", "invoke"], 1, 1), said


@pytest.mark.parametrize("words", [("deploy.history",), ("deploy.status", "--help"), ("env.list", "deploy.status")])
def test_nothing_is_asked_early_for_another_task(shop: Path, words: tuple[str, ...]) -> None:
    events, _ = inv(shop, *words)

    assert events[0] == "invoke"


def test_the_tasks_of_another_checkout_ask_by_themselves(shop: Path) -> None:
    (shop / "tasks.py").write_text(
        "from invoke import Collection, task\n\n\n@task\ndef status(c):\n    print('another')\n\n\n"
        "ns = Collection(Collection('deploy', status))\n",
        encoding="utf-8",
    )

    assert inv(shop, "--search-root", str(shop), "deploy.status") == (["invoke"], "another\n")


def test_a_fault_of_the_profile_is_told_by_the_task(shop: Path) -> None:
    (shop / "envs" / "dev.env").write_text("HEALTH_TIMEOUT=soon\n", encoding="utf-8")
    events, said = inv(shop, "deploy.status")

    assert "model" not in events
    assert said.count("HEALTH_TIMEOUT: expected a duration") == 1


def test_compose_does_not_outlive_a_command_line_that_does_not_fit(shop: Path) -> None:
    (shop / "docker").write_text(f"#!/bin/sh\necho $$ >{shop}/number\nexec sleep 60\n", encoding="utf-8")
    (shop / "docker").chmod(0o755)
    code = f"import os; os.environ['PATH'] = '{shop}:' + os.environ['PATH']\nsys.argv[:2] = []\n"
    wait = f"from pathlib import Path\nimport time\nwhile not Path('{shop}/number').exists(): time.sleep(0.01)\n"
    load = "import importlib.util as u\nspec = u.spec_from_file_location('program', sys.argv[0])\n"
    run = f"program = u.module_from_spec(spec); spec.loader.exec_module(program)\n{wait}sys.exit(program.main())"
    events, said = traced(shop, code + load + run, [str(PROGRAM), "deploy.status", "--enf"])

    assert "No idea what '--enf' is!" in said
    assert events[0] == "model"
    assert not Path("/proc", (shop / "number").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ("Project(c); Project(c)", ["model", "model"]),
        ("Project(c, 'dev'); Project(c)", ["model", "model", "model"]),
        ("Project(c, '', {'TAG': 'a'}); Project(c)", ["model", "model", "model"]),
        ("Project(c).other(TAG='a')", ["model", "model"]),
        ("project_for_plan(c, ''); project_for_plan(c, '')", ["model", "hashes", "model", "hashes"]),
    ],
    ids=["again", "another environment", "other values", "derived", "two plans"],
)
def test_what_was_asked_is_for_the_first_project_only(shop: Path, made: str, asked: list[str]) -> None:
    code = "from invoke import Context\nfrom tasks.host.project import Project, project_for_plan\n"
    start = "sys.argv[:2] = []\nfrom tasks.host.profile.head_start import begin\nbegin()\n"
    events, said = traced(shop, f"{start}{code}c = Context()\n{made}", ["inv", "deploy.status"])

    assert [event for event in events if event in ("model", "hashes")] == asked, said


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        ("deploy.status", ""),
        ("deploy.status --json", ""),
        ("deploy.plan --env qa --exit-code", "qa"),
        ("deploy.plan --exit-code --env=qa", "qa"),
        ("deploy.plan --env", ""),
        ("kube.render --env qa --out objects", "qa"),
        ("kube.autoscale --env qa", None),
        ("deploy.dev --yes", "dev"),
        ("-q deploy.dev deploy.status --env qa", "dev"),
        ("--dry --log-format json deploy.qa", "qa"),
        ("--search-root=/somewhere deploy.qa", "qa"),
        ("--log-format deploy.qa", None),
        ("--collection other deploy.qa", None),
        ("--no-such-option deploy.qa", None),
        ("--list deploy", None),
        ("--help deploy.status", None),
        ("deploy.status -h", None),
        ("deploy.qa --rehearse", None),
        ("deploy.down", None),
        ("deploy.rollback --to 3", None),
        ("deploy.", None),
        ("deploy", None),
        ("build.dev deploy.dev", None),
        ("env.show deploy.dev", None),
        ("", None),
    ],
)
def test_the_environment_is_read_off_the_words(line: str, environment: str | None) -> None:
    assert planned(line.split()) == environment
