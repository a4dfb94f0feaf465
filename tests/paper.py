"""The parts of the documentation that are generated from the source: ``python -m tests.paper`` writes them again."""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.model import errors
from tasks.model.profile import schema
from tasks.model.stack import extension_keys

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "tasks").rglob("*.py"))
PAPERS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)
_BEGIN, _END = "<!-- generated: {} -->\n", "<!-- /generated -->"
_CODES = {
    "InputError": "Exit code 2: bad input",
    "RefusedError": "Exit code 3: refused",
    "DeployError": "Exit code 4: the deploy failed",
    "CheckError": "Exit code 5: a check did not pass",
    "PendingChanges": "Exit code 6: there are changes",
    "StoppedError": "Exit codes from 128: stopped by a signal",
    "CommandError": "Other exit codes: that of the command that failed",
}


@dataclass(frozen=True, order=True)
class Message:
    """An error as the source has it; what varies is in angle brackets."""

    text: str
    hint: str
    kind: str


def _constants(sources: Iterable[Path]) -> dict[str, str]:
    """Return the texts and numbers of the constants in capitals, where a name has the same value everywhere."""
    values: dict[str, set[object]] = {}
    for path in sources:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.Assign):
                continue
            value = node.value.value if isinstance(node.value, ast.Constant) else None  # None: of another kind
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    values.setdefault(target.id, set()).add(value)
    return {name: str(value) for name, (value, *others) in values.items() if not others and value is not None}


CONSTANTS = _constants(SOURCES)


def _name(node: ast.expr) -> str:
    """Return a word for an expression whose value is not known: ``self._lock.project`` is ``project``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Call):
        inner = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        named = [_name(part) for part in inner if not isinstance(part, ast.Constant)]
        return next((word for word in named if word != "…"), "…")
    if isinstance(node, ast.BoolOp | ast.BinOp):
        return _name(node.values[0] if isinstance(node, ast.BoolOp) else node.left)
    return "…"


def _text(node: ast.expr) -> str:
    """Return a text of the source, with ``<name>`` for each value that is put into it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        inside = _text(node.value)
        return f"'{inside}'" if node.conversion == ord("r") else inside
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return next((text for text in (_text(node.body), _text(node.orelse)) if text), "")
    name = _name(node)
    varies = f"<{name.strip('_')}>"
    return varies if isinstance(node, ast.Call) else CONSTANTS.get(name, varies)  # a call may show it in other words


def _kind(name: str) -> str:
    """Return the class of _CODES that an error class belongs to."""
    error_class = getattr(errors, name)
    return next(kind for kind in _CODES if issubclass(error_class, getattr(errors, kind)))


def _classes() -> set[str]:
    known = {name: member for name, member in vars(errors).items() if isinstance(member, type)}
    bases = tuple(getattr(errors, kind) for kind in _CODES)
    return {name for name, member in known.items() if issubclass(member, bases)}


def messages(sources: Iterable[Path]) -> Iterator[Message]:
    """Yield every error of these modules whose text is in the source."""
    classes = _classes()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes):
                continue
            words = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
            hints = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            kind = _kind(node.func.id)
            place = 2 if kind in ("StoppedError", "CommandError") else 1
            texts = words[1:] if kind == "StoppedError" else words
            hint = hints[0] if hints else words[place] if len(words) > place else None
            text = _text(texts[0]).splitlines()[0] if texts else ""
            advice = (_text(hint).splitlines() or [""])[0] if hint else ""
            if any(letter.isalpha() for letter in _outside(text)):
                yield Message(text, advice if _outside(advice) else "", kind)


def _outside(text: str) -> str:
    """Return the part of a text that does not vary."""
    return "".join(part.partition(">")[2] if number else part for number, part in enumerate(text.split("<")))


def _sorting(message: Message) -> str:
    return _outside(message.text).strip(" :'\"").lower()


def troubleshooting() -> str:
    """Return the tables of errors as Markdown, by exit code and then by message."""
    distinct = {*messages(SOURCES)}
    parts = []
    for kind, title in _CODES.items():
        rows = sorted(
            (message for message in distinct if message.kind == kind), key=lambda message: (_sorting(message), message)
        )
        if rows:
            lines = [f"| {_cell(message.text)} | {_cell(message.hint)} |" for message in rows]
            parts.append("\n".join((f"## {title}", "", "| message | what to do |", "| --- | --- |", *lines)))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """Return a text as a cell of a table, escaped where Markdown would read HTML or emphasis."""
    shown = text.replace("|", "\\|").replace("\n", " ").strip()
    return shown.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_") if shown else ""


GENERATED = {
    "profiles": ("docs/profiles.md", schema.reference),
    "compose-extension": ("docs/compose-extension.md", extension_keys.reference),
    "troubleshooting": ("docs/troubleshooting.md", troubleshooting),
}


def renewed(name: str) -> tuple[Path, str, str]:
    """Return the file of a generated part, its text, and the text that it should have."""
    path, make = ROOT / GENERATED[name][0], GENERATED[name][1]
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN.format(name))
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path}: no part {_BEGIN.format(name).strip()} … {_END}")
    return path, text, f"{before}{begin}{make()}{end}{after}"


def main() -> int:
    """Write every generated part; returns 0."""
    for name in GENERATED:
        path, old, new = renewed(name)
        if old != new:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
