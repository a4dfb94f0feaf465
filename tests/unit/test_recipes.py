"""The pipelines of docs/recipes.md: valid for the services that run them, with commands that exist."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import validators
from support import ROOT
from test_readme import accepted

TEXT = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SCHEMAS = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}


def pipeline(kind: str) -> str:
    """Return the YAML of a pipeline."""
    found = re.search(rf"<!-- {kind} -->\n```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found[1]


def faults(kind: str, text: str) -> list[str]:
    """Return what the schema of a service says about a pipeline. YAML 1.1 reads the key `on` as true."""
    document: Any = yaml.safe_load(re.sub(r"^on:", '"on":', text, flags=re.MULTILINE))
    schema = json.loads(Path(ROOT, "tests", "data", SCHEMAS[kind]).read_text(encoding="utf-8"))
    return [error.message for error in validators.validator_for(schema)(schema).iter_errors(document)]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_pipeline_is_valid_for_its_service(kind: str) -> None:
    assert faults(kind, pipeline(kind)) == []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("github", "runs-on:", "runs_on:"), ("gitlab", "interruptible: false", "interruptible: perhaps")],
)
def test_a_mistake_in_a_pipeline_is_noticed(kind: str, good: str, bad: str) -> None:
    assert faults(kind, pipeline(kind).replace(good, bad, 1))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_commands_of_a_pipeline_exist(kind: str) -> None:
    lines = re.findall(r"(?:- run: |^ +- )(\./inv .*)$", pipeline(kind), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line)
        accepted(words[: next((at for at, word in enumerate(words) if word.startswith(">")), len(words))])
