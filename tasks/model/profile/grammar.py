"""The grammar of a profile file: what python-dotenv, Compose and ``sh`` read identically, and no more.

One variable per line, ``KEY=value``, in UTF-8 with LF line ends::

    PLAIN=text                 # no blanks, no quotes, none of $ ` \\ ; & | < > ( )
    LITERAL='any $text # here'   # everything but ' and ${ (and no backslash before another or at the end)
    MIXED="it's \\"here\\""       # \\" and \\\\ are the only escapes; no $ and no backquote

What the three agree on was measured (python-dotenv 1.2.4, Compose 2.26, dash 0.5.12) and is tested by
``tests/contract/test_profile_agreement.py``. The grammar is a little narrower where they agree by accident: a ``$``
that does not start a name, control characters, characters that count as blanks in only some of the three.
"""

import re

from ..lazy_pattern import lazy_pattern
from ..record import Record


class Fault(Record):
    """Something wrong in a profile: the place (``envs/dev.env:7``), what is wrong there, and how to fix it."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class Entry(Record):
    """One assignment of a profile file; ``line`` counts from 1."""

    key: str
    value: str
    line: int


class Parsed(Record):
    """A parsed profile file: its valid assignments and every fault, both in the order of lines.

    ``readable`` is false when the file is no text, so that it is unknown what it sets.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    readable: bool = True


# Names that the shell uses, changes or refuses to set; with another PATH or HOME the tools that Slipway runs would not
# be found, or would read another user's settings.
SHELL_NAMES = frozenset(
    (
        *("_", "IFS", "PATH", "HOME", "PWD", "OLDPWD", "PPID", "OPTIND", "OPTARG", "OPTERR", "LINENO", "ENV", "CDPATH"),
        *("PS1", "PS2", "PS3", "PS4", "MAIL", "MAILCHECK", "MAILPATH", "UID", "EUID", "GROUPS", "RANDOM", "SECONDS"),
        *("SHLVL", "HISTCMD", "FUNCNAME", "DIRSTACK", "REPLY", "SHELL", "SHELLOPTS", "POSIXLY_CORRECT"),
        *("LD_PRELOAD", "LD_LIBRARY_PATH"),
    )
)

_CONTROL = lazy_pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK_OR_COMMENT = lazy_pattern(r"[ \t]*(?:#.*)?\Z")
# The lookaheads `(?!~)`: the shell replaces a ~ at the start of a value and after every colon.
_LINE = lazy_pattern(
    r"""[ \t]*(?:export[ \t]+)?
    (?P<key>[A-Za-z_][A-Za-z0-9_]*)=
    (?:
        '(?P<single>(?:[^'\\$]|\\(?![\\'])|\$(?!\{))*)'(?:[ \t]+\#.*)?
      | "(?P<double>(?:[^"\\$`]|\\["\\])*)"(?:[ \t]+\#.*)?
      | (?P<plain>(?!~)(?:[A-Za-z0-9_!#%*+,./=?@\[\]^{}~-]|:(?!~)|[^\x00-\x7f\s])+)(?:[ \t]*[ ]\#.*)?
      |
    )[ \t]*\Z""",
    re.VERBOSE,
)
_ESCAPE = lazy_pattern(r'\\(["\\])')
_NAME = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def parse(name: str, text: bytes) -> Parsed:
    """Return the assignments and the faults of the profile file shown as ``name``. Never raises."""
    if b"\0" in text:
        line = text.count(b"\n", 0, text.index(b"\0")) + 1
        return _unreadable(name, line, "NUL byte: this is a binary file, not a profile")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        return _unreadable(name, line, f"byte 0x{text[error.start]:02x} is not UTF-8: save the file as UTF-8")
    faults = []
    if decoded.startswith("\ufeff"):
        faults.append(Fault(f"{name}:1", "byte order mark at the start: save the file as UTF-8 without BOM"))
        decoded = decoded[1:]
    lines = decoded.split("\n")
    faults += _carriage_returns(name, lines)
    entries: dict[str, Entry] = {}
    for number, text_line in enumerate(lines, 1):
        result = _read(text_line.removesuffix("\r"), number)
        if isinstance(result, Entry):
            first = entries.setdefault(result.key, result)
            if first is not result:
                result = f"{result.key}: already set on line {first.line}: keep one of the two"
        if isinstance(result, str):
            faults.append(Fault(f"{name}:{number}", result))
    return Parsed(tuple(entries.values()), tuple(faults))


def assignment_line(key: str, value: str) -> str:
    """Return the line that sets a key to a value, "" when the grammar cannot express it."""
    escaped = re.sub(r'(["\\])', r"\\\1", value)
    for line in (f"{key}={value}", f"{key}='{value}'", f'{key}="{escaped}"'):
        parsed = parse("", line.encode())
        if not parsed.faults and [(entry.key, entry.value) for entry in parsed.entries] == [(key, value)]:
            return line
    return ""


def _unreadable(name: str, line: int, message: str) -> Parsed:
    return Parsed((), (Fault(f"{name}:{line}", message),), readable=False)


def _carriage_returns(name: str, lines: list[str]) -> list[Fault]:
    """Return one fault for the whole file: an editor that writes CRLF writes it on every line."""
    numbers = [number for number, line in enumerate(lines, 1) if line.endswith("\r")]
    if not numbers:
        return []
    count = f" (and on {len(numbers) - 1} more)" if len(numbers) > 1 else ""
    return [Fault(f"{name}:{numbers[0]}", f"CRLF line end{count}: save the file with LF line ends")]


def _read(line: str, number: int) -> Entry | str | None:
    """Return the assignment of a line, or what is wrong with it; None for a blank line or a comment."""
    control = _CONTROL.search(line)
    if control:
        return f"control character U+{ord(control.group()):04X}: remove it"
    match = _LINE.match(line)
    if match is None:
        return None if _BLANK_OR_COMMENT.match(line) else _explain(line)
    key = match["key"]
    if key in SHELL_NAMES or key.startswith("BASH"):
        return f"{key}: this name belongs to the shell: choose another"
    if match["double"] is not None:
        return Entry(key, _ESCAPE.sub(r"\1", match["double"]), number)
    return Entry(key, match["single"] or match["plain"] or "", number)


def _explain(line: str) -> str:
    """Return what is wrong with a line and how to write it. Values are not repeated: they may be secret."""
    text = line.strip(" \t")
    name, equals, rest = text.partition("=")
    name = re.sub(r"\Aexport[ \t]+", "", name)
    if not equals:
        word = re.split(r"[ \t:]", name, maxsplit=1)[0]
        shown = word if _NAME.match(word) else "KEY"
        return f"no '=': write {shown}=value"
    key = name.rstrip()
    if not _NAME.match(key):
        return _bad_key(key)
    if key != name:
        return f"{key}: blank before '=': write {key}=value"
    if not rest.strip() or rest[:1] in " \t":
        return f"{key}: blank after '=': write {key}=value, or {key}= alone for an empty value"
    if rest[0] in "'\"":
        return f"{key}: {_bad_quoted(rest[0], rest[1:])}"
    return f"{key}: {_bad_plain(key, rest)}"


def _bad_key(key: str) -> str:
    if "\t" in key:
        return "tab in the key: write KEY=value, without blanks"
    if not key:
        return "no key before '=': write KEY=value"
    if " " in key:
        return "blank in the key: write KEY=value, one variable per line"
    shown = key if len(key) <= 40 and key.isprintable() else "the key"
    return f"{shown!r} is not a variable name: use letters, digits and _, and no digit first"


def _bad_quoted(quote: str, rest: str) -> str:
    body, end, tail = _until_quote(quote, rest)
    if not end:
        return f"unterminated quote: end the value with {quote} on the same line"
    if quote == "'":
        if "${" in body:
            return "'${' in quotes: python-dotenv would replace it; put this value into a file or a Compose secret"
        if "\\" in body:
            return "backslash before a backslash or at the end of '…': write \"…\" with every backslash doubled"
    else:
        if "$" in body:
            return "'$' in \"…\": the shell would replace it; write '…'"
        if "`" in body:
            return "backquote in \"…\": the shell would run it; write '…'"
        if re.search(r"\\(?![\"\\])", re.sub(r"\\\\", "", body)):
            return "backslash in \"…\": write '…', or double every backslash"
    if tail[:1] in (" ", "\t"):
        return "text after the closing quote: one variable per line, and # before a comment"
    return "text right after the closing quote: put the whole value into one pair of quotes, a blank before a comment"


def _until_quote(quote: str, rest: str) -> tuple[str, str, str]:
    """Return the text before the closing quote, the quote ("" without one), and the rest of the line."""
    if quote == "'":
        return rest.partition("'")
    match = re.match(r'((?:[^"\\]|\\.)*)(")(.*)', rest)
    return (match[1], match[2], match[3]) if match else (rest, "", "")


def _bad_plain(key: str, rest: str) -> str:
    value = rest.rstrip(" \t")
    if re.search(r"\t#", value) and not re.search(r"[ \t]", value.split("\t#")[0]):
        return "tab before the comment: write a space before #"
    if value[0] == "~" or ":~" in value:
        return f"'~' that the shell would replace: write {key}='…' for the character, or the full path"
    quote = '"' if "'" in value else "'"
    for character in value:
        if character in " \t":
            return f"blank in an unquoted value: write {key}={quote}…{quote}"
        if character in "$`\\'\";&|<>()" or character.isspace():
            return f"unquoted {character!r}: write {key}={quote}…{quote}"
    return f"write {key}='…'"
