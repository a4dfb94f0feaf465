"""The commands that hints name: each can be typed, and none takes more down than the user asked about."""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.parser import Parser
from support import ROOT

import tasks

# What these words take: all containers of an environment, everything of a kind on the engine, data.
_TOO_MUCH = re.compile(
    r"inv clean|inv deploy\.down|up --remove-orphans|(system|volume|image|container|network|buildx) prune(?! --filter)"
    r"|compose (?!-p )[^`]*\bdown\b|rm -rf?\b|volume rm"
)


@pytest.mark.parametrize(
    ("text", "too_much"),
    [
        ("hint: `inv clean` removes them", True),
        ("docker compose down --volumes", True),
        ("`docker system prune`", True),
        ("docker compose -p shop-it-1 down --volumes", False),
        ("docker builder prune --filter until=168h", False),
        ("docker image prune --filter label=com.docker.compose.project=shop", False),
    ],
)
def test_the_rule_knows_what_is_too_much(text: str, too_much: bool) -> None:
    assert bool(_TOO_MUCH.search(text)) is too_much


# A rehearsal has a project of its own: what removes it removes what the command that names it has made. The script of
# an init container removes a directory that it has made itself.
_OF_THEIR_OWN = ("tasks/env/rehearsal.py", "tasks/kube/plan/mounts/prepare.py")


def test_no_text_of_a_task_names_such_a_command() -> None:
    faults = []
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name in _OF_THEIR_OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _TOO_MUCH.search(node.value):
                faults.append(f"{name}:{node.lineno}: {node.value}")
    assert faults == []


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module but its docstrings, with ``<value>`` for what is put into them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr | ast.FormattedValue)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "<value>" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


# `inv deploy.plan`; not `inv --list`, and not the words of a shell script.
_COMMAND = re.compile(
    r"(?<![\w$])(?:\./)?inv (?!as root|invoke)((?:setup (?=[a-z]+\.|scan\b|check\b))?[a-z<][\w.<>-]*)([^`\n]*)"
)
_KNOWN = {name: context for context in Parser(contexts=copy.deepcopy(tasks.ns).to_contexts()).contexts.values()
          for name in (context.name, *context.aliases)}  # fmt: skip


def refused(text: str) -> str:
    """Return what is wrong with a command in a text that goes on with other words, "" for a command that is right."""
    match = _COMMAND.search(text)
    if not match:
        return ""
    name = match[1].removeprefix("setup ").rstrip(".").replace(".<value>", ".dev")
    if name not in _KNOWN:
        return f"no task {name}"
    context = _KNOWN[name]
    positional, words = len(context.positional_args), match[2].replace(",", " , ").replace(";", " ; ").split()
    while words and (words[0].startswith("--") or positional):
        word = words.pop(0)
        if not word.startswith("--"):
            positional -= 1
        elif word != "--help" and word not in context.flags:
            return f"{name} has no {word}"
        elif (
            word != "--help" and context.flags[word].takes_value and not (words and re.match(r"[\w<./]", words.pop(0)))
        ):
            return f"{name} {word} has no value"
    return f"{name} lacks an argument" if positional else ""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("make one: inv env.new <value>", ""),
        ("inv deploy.<value> --plan <value> carries it out", ""),
        ("see `inv env.show`", "env.show lacks an argument"),
        ("run inv deploy.stat", "no task deploy.stat"),
        ("inv deploy.status --jason", "deploy.status has no --jason"),
        ("inv deploy.plan --out", "deploy.plan --out has no value"),
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(text: str, wrong: str) -> None:
    assert refused(text) == wrong


def test_every_command_that_a_task_names_can_be_typed() -> None:
    faults, seen = [], 0
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        for text in texts(path):
            for part in re.split(r"(?=(?:\./)?\binv )|&& ", text):
                seen += bool(_COMMAND.search(part))
                if wrong := refused(part):
                    faults.append(f"{path.relative_to(ROOT)}: {wrong}: {part}")
    assert faults == []
    assert seen > 80
