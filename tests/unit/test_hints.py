"""No hint names a command that takes more down than the user asked about."""

import ast
import re

import pytest
from support import ROOT

# What these words take: all containers of an environment, everything of a kind on the engine, data.
_TOO_MUCH = re.compile(
    r"inv clean|inv deploy\.down|up --remove-orphans|(system|volume|image|container|network|buildx) prune"
    r"|compose (?!-p )[^`]*\bdown\b|rm -rf?\b|volume rm"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hint: `inv clean` removes them", True),
        ("docker compose down --volumes", True),
        ("`docker system prune`", True),
        ("docker compose -p shop-it-1 down --volumes", False),
        ("docker builder prune --filter until=168h", False),
    ],
)
def test_the_rule_knows_what_is_too_much(text: str, found: bool) -> None:
    assert bool(_TOO_MUCH.search(text)) is found


def test_no_text_of_a_task_names_such_a_command() -> None:
    faults = []
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _TOO_MUCH.search(node.value):
                faults.append(f"{name}:{node.lineno}: {node.value}")
    assert faults == []
