"""The program that `inv` starts: Invoke without what no task uses, and what Python compiled is kept."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

PROGRAM = ROOT / "tasks" / "cli" / "program.py"


def as_module(code: str) -> str:
    """Return what some code prints that has the program loaded as ``program``."""
    start = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import program, invoke\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True).stdout


def kept(directory: Path, **environment: str) -> set[str]:
    """Return the modules of Slipway that a listing leaves compiled in a directory."""
    others = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    argv = [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "--list"]
    env = {**others, "PYTHONPYCACHEPREFIX": str(directory), **environment}
    subprocess.run(argv, env=env, capture_output=True, check=True)
    tasks = Path(str(directory) + str(ROOT / "tasks"))
    return {path.name.partition(".")[0] for path in tasks.rglob("*.pyc")}


def test_what_python_compiled_is_kept_for_the_next_start(tmp_path: Path) -> None:
    assert {"settings", "per_environment", "errors"} <= kept(tmp_path)


def test_nothing_is_kept_when_python_is_told_so(tmp_path: Path) -> None:
    assert kept(tmp_path, PYTHONDONTWRITEBYTECODE="1") == set()


def test_the_version_is_the_one_that_is_installed() -> None:
    assert as_module("print(invoke.__version__)").strip() == importlib.metadata.version("invoke")


def test_what_invoke_was_loaded_without_is_loaded_on_use() -> None:
    said = as_module(
        "mocked = invoke.MockContext(run=invoke.Result('said'))\n"
        "print(mocked.run('anything').stdout, mocked.run.called)\n"
        "import importlib.metadata, unittest.mock, email\n"
        "print(importlib.metadata.version('invoke') == invoke.__version__, unittest.mock.Mock()() is not None)\n"
        "print(sorted(name for name, module in sys.modules.items() if type(module).__name__ == '_Later'))"
    )

    assert said.splitlines() == ["said True", "True True", "[]"]


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["deploy.status", "--json"], ["deploy.status"]),
        (["scan", "deploy.plan", "--env", "env.show"], ["deploy.plan", "env.show", "scan.all"]),
        ([], []),
    ],
)
def test_only_the_tasks_that_are_named_are_parsed(words: list[str], known: list[str]) -> None:
    said = as_module(
        "p = program.Program(name='inv', binary='inv')\np.create_config()\n"
        f"p.parse_core(['inv', '--search-root', {str(ROOT)!r}, *{words!r}])\np.parse_collection()\np.parse_tasks()\n"
        "print(sorted(p.parser.contexts))"
    )

    assert said.strip() == repr(known)


def test_pyyaml_is_loaded_without_compiling_what_is_not_used() -> None:
    said = as_module(
        "import re, yaml\nreader = yaml.reader.Reader.NON_PRINTABLE\n"
        "def used(): return sorted(vars(reader).keys() - {'_words'})\n"
        "print(used(), re.compile)\n"
        "print(yaml.load('{on: 1.5}', yaml.CSafeLoader), used())\n"
        "print(yaml.safe_load('on: 2027-01-31'), used())"
    )

    first, second, third = said.splitlines()
    assert first.startswith("[] <function compile")
    assert second == "{True: 1.5} []"
    assert third == "{True: datetime.date(2027, 1, 31)} ['search']"


def test_the_yaml_reader_is_loaded_once() -> None:
    said = as_module("from invoke.util import yaml\nimport yaml as installed\nprint(yaml.reader is installed.reader)")

    assert said.strip() == "True"


@pytest.mark.parametrize("words", [["--log-format", "json", "env.list"], ["env.list", "--log-format=json"]])
def test_how_tasks_speak_is_said_before_or_after_the_task(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--search-root", str(ROOT), *words, "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["schema"] == "slipway/env.list/v1"


def test_an_unknown_way_to_speak_is_refused_in_two_lines() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "env.list", "--log-format", "xml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--log-format: expected text or json, got 'xml'\n  hint: --log-format json\n"


def test_an_error_told_as_json_is_an_event() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "--log-format", "json", "env.show", "no-such"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(event["event"], event["level"]) for event in events] == [("noted", "error")] * 2
    assert "no-such" in events[0]["text"]
