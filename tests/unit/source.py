"""The source of the tasks, as the tests of its rules read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support import ROOT

TASKS = ROOT / "tasks"


def shown(path: Path) -> str:
    """Return a path as it is shown in a test's name."""
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(node: ast.AST, path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import in a part of a module; relative ones by their full name."""
    package = [*path.relative_to(ROOT).parts[:-1]]
    for statement in ast.walk(node):
        if isinstance(statement, ast.Import):
            yield from ((alias.name, "") for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            base = package[: len(package) - statement.level + 1] if statement.level else []
            module = ".".join([*base, *([statement.module] if statement.module else [])])
            yield from ((module, alias.name) for alias in statement.names)
