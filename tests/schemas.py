"""The JSON schemas of the documents that tasks print, and whether a document is as its schema says."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DIRECTORY = Path(__file__).parents[1] / "docs" / "schemas"
# Several tasks print the same document.
_SHARED = {
    "deploy.rollback": "deploy",
    "security-scan": "scan",
    "test.security": "scan",
    **{f"scan.{kind}": "scan" for kind in ("all", "code", "dockerfiles", "images", "secrets")},
    **{f"test.{suite}": "test" for suite in ("all", "chaos", "integration", "smoke", "unit")},
    "build.all": "build",
}
_OWN = {"build.size", "deploy.history", "deploy.plan", "deploy.status"}


def of_task(task: str) -> str:
    """Return the name of the schema of a task: ``build`` for ``build.dev``."""
    kind = task.partition(".")[0]
    return _SHARED.get(task) or (kind if kind in ("build", "deploy") and task not in _OWN else task)


@cache
def validator(name: str) -> Draft202012Validator:
    """Return what validates the documents of a schema; raises FileNotFoundError when there is no such schema."""
    schema = json.loads((DIRECTORY / f"{name}-v1.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(document: Any) -> list[str]:
    """Return what a document has that its schema does not allow; empty when it is as the schema says."""
    name = str(document.get("schema", "")).removeprefix("slipway/").removesuffix("/v1")
    if not (DIRECTORY / f"{name}-v1.json").exists():
        return [f"no schema {name!r}"]
    return [f"{error.json_path}: {error.message[:300]}" for error in validator(name).iter_errors(document)]
