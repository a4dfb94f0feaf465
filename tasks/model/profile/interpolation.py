"""The variables that Compose files take from their environment, read from the text of the files.

Reading the text takes a fraction of a millisecond and keeps line numbers; a YAML parser takes fifty times as long and
loses them. https://docs.docker.com/reference/compose-file/interpolation/
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..lazy_pattern import lazy_pattern
from ..record import Record


class Variable(Record):
    """A variable of the Compose files.

    ``required``: at least one occurrence has neither a default nor an alternative. ``where`` is that occurrence, else
    the first. ``nonempty``: an empty value is refused as well (``${A:?}``). ``unless``: the variables whose default it
    is in, so that it is needed only when none of them is set (``${A:-${B}}`` needs B without A).
    """

    name: str
    required: bool
    where: str
    nonempty: bool = False
    unless: frozenset[str] = frozenset()


_BRACED = lazy_pattern(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?|([A-Za-z_][A-Za-z0-9_]*))")
_BLOCK_SCALAR = lazy_pattern(r"(\s*(?:-\s+)*)(?:(\S.*:)\s+|(?<=-\s))(?:[!&]\S+\s+)*[|>][-+0-9]*\s*\Z")
# `environment: [NAME]`, `- NAME`, `NAME:` pass the variable of that name through; so does a secret's `environment:`.
_PASS_THROUGH = lazy_pattern(r"(\s*)(?:environment|args):(?:\s+[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?)?\s*\Z")
# The same in flow style: `environment: [A, B]`, `{environment: A}`.
_PASS_FLOW = lazy_pattern(
    r"\b(?:environment|args):\s*\[([^\]]*)\]|\{[^{}]*\benvironment:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?\s*[,}]"
)
_NAME = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_PASSED = lazy_pattern(r"\s*(?:-\s+[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?|([A-Za-z_][A-Za-z0-9_]*):)\s*\Z")


def scan(files: Sequence[tuple[str, str]]) -> Mapping[str, Variable]:
    """Return the variables that the Compose files, given as (name, text), interpolate or pass through."""
    variables: dict[str, Variable] = {}
    for name, text in files:
        if "$" not in text and "environment:" not in text and "args:" not in text:
            continue
        for variable in _occurrences(name, text):
            known = variables.get(variable.name)
            variables[variable.name] = variable if known is None else _merge(known, variable)
    return variables


def _merge(known: Variable, other: Variable) -> Variable:
    """Return the stricter of two occurrences; the first when they are equally strict."""
    if other.required and (not known.required or (known.unless and not other.unless)):
        return replace(other, nonempty=other.nonempty or known.nonempty)
    return replace(known, nonempty=True) if other.nonempty and not known.nonempty else known


def _occurrences(name: str, text: str) -> Iterator[Variable]:
    block = -1  # indentation of the line that opened a block scalar; -1 outside
    passing = -1  # indentation of the enclosing `environment:` or `args:` line; -1 outside
    quote = ""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped:
            continue
        indent = len(line) - len(line.lstrip())
        if block >= 0 and indent > block:
            yield from _in_value(line, f"{name}:{number}")
            continue
        block = -1
        code, quote = _without_comment(line, quote)
        if "$" in code:
            yield from _in_value(code, f"{name}:{number}")
        scalar = _BLOCK_SCALAR.match(code) if "|" in code or ">" in code else None
        if scalar:
            block = len(scalar[1]) if scalar[2] else indent
        if passing >= 0 and (indent < passing or (indent == passing and not stripped.startswith("-"))):
            passing = -1
        opened = _PASS_THROUGH.match(code)
        passed = opened[2] if opened else _passed(code) if passing >= 0 else None
        if opened:
            passing = indent
        if passed:
            yield Variable(passed, False, f"{name}:{number}")
        yield from _passed_in_flow(code, f"{name}:{number}")


def _passed_in_flow(code: str, where: str) -> Iterator[Variable]:
    for flow in _PASS_FLOW.finditer(code) if "environment:" in code or "args:" in code else ():
        for word in (flow[1] or flow[2]).split(","):
            if _NAME.fullmatch(word.strip(" \"'")):
                yield Variable(word.strip(" \"'"), False, where)


def _passed(code: str) -> str | None:
    match = _PASSED.match(code)
    return (match[1] or match[2]) if match else None


def _without_comment(line: str, quote: str) -> tuple[str, str]:
    """Return the line up to its comment, and the quote that is still open at its end, "" for none.

    ``quote`` is the quote still open from the previous line.
    """
    if not quote and "#" not in line and line.count("'") % 2 == 0 and line.count('"') % 2 == 0:
        return line, ""
    index, before, significant = 0, " ", ":"
    while index < len(line):
        character = line[index]
        if quote:
            escaped = character == "\\" if quote == '"' else line.startswith("''", index)
            if escaped:
                index += 1
            elif character == quote:
                quote = ""
        elif character == "#" and before in " \t":
            return line[:index], ""
        elif character in "'\"" and significant in ":-[{,":
            quote = character  # only where a scalar begins: inside a plain scalar a quote is an ordinary character
        before = character
        significant = character if character not in " \t" else significant
        index += 1
    return line, quote


def _in_value(text: str, where: str) -> Iterator[Variable]:
    """Yield every ``$A``, ``${A}``, ``${A:-default}`` in a text, those in defaults included."""
    enclosing: list[tuple[int, str, bool]] = []  # where the ${ ends, its variable, whether it has a default
    for match in _BRACED.finditer(text):
        name, operator = match[1] or match[3], match[2] or ""
        if not name:
            continue
        while enclosing and enclosing[-1][0] <= match.start():
            enclosing.pop()
        optional = any(not default for _, _, default in enclosing)
        yield Variable(
            name,
            operator[-1:] not in ("-", "+") and not optional,
            where,
            operator == ":?" and not optional,
            frozenset(outer for _, outer, _ in enclosing),
        )
        if operator:
            enclosing.append((_closing(text, match.end()), name, operator[-1] == "-"))


def _closing(text: str, index: int) -> int:
    """Return the index after the closing brace of the expression whose inside starts at ``index``."""
    depth = 1
    while index < len(text) and depth:
        if text.startswith("${", index):
            depth += 1
        elif text[index] == "}":
            depth -= 1
        index += 1
    return index


def scan_env_file(name: str, text: str) -> Mapping[str, Variable]:
    """Return the variables that an ``env_file`` takes from the environment of Compose: as ``${A}``, or by name alone.

    None is required: Compose replaces an unset variable by nothing, and an earlier line of the file may set it.
    """
    variables: dict[str, Variable] = {}
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip().removeprefix("export ").strip()
        if word.startswith("#"):
            continue
        names = [word] if _NAME.fullmatch(word) else [variable.name for variable in _in_value(line, name)]
        for variable_name in names:
            variables.setdefault(variable_name, Variable(variable_name, False, f"{name}:{number}"))
    return variables


def substitute(text: str, value: Callable[[str], str | None]) -> str:
    """Return the text with its variables replaced as Compose does; ``value`` returns None for an unset variable."""
    parts: list[str] = []
    index = 0
    while match := _BRACED.search(text, index):
        parts.append(text[index : match.start()])
        name, operator = match[1] or match[3], match[2] or ""
        end = _closing(text, match.end()) if match[1] else match.end()
        inner = text[match.end() : end - 1]
        parts.append(_replaced(value(name), operator, inner, value) if name else "$")
        index = end
    return "".join(parts) + text[index:]


def _replaced(text: str | None, operator: str, inner: str, value: Callable[[str], str | None]) -> str:
    is_set = bool(text) if operator.startswith(":") else text is not None
    if operator.endswith("-") and not is_set:
        return substitute(inner, value)
    if operator.endswith("+"):
        return substitute(inner, value) if is_set else ""
    return text or ""
