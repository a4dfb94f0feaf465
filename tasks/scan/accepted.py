"""Reads the file of accepted findings (SCAN_IGNORE_FILE)."""

from typing import Any

from ..host.profile.settings import yaml_error
from ..host.project import Project
from ..model.errors import InputError
from ..model.finding import printable
from .plan import accepted
from .plan.accepted import AcceptedEntry, AcceptedField
from .plan.gate import AcceptedFinding

_LIMIT = 1 << 20  # bytes; a larger file was named by mistake


def read(project: Project) -> tuple[AcceptedFinding, ...]:
    """Return the accepted findings, none without a file; raises InputError that lists every fault with its line."""
    name = project.profile.text("SCAN_IGNORE_FILE")
    path = project.settings.project_dir / name
    shown = project.settings.shown(path)
    try:
        data = path.read_bytes()
        text = data.decode()
    except FileNotFoundError:
        if project.profile.is_set("SCAN_IGNORE_FILE"):
            raise InputError(
                f"SCAN_IGNORE_FILE: {shown}: no such file", "correct the path, or remove the key"
            ) from None
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: cannot be read: {getattr(error, 'strerror', 'not UTF-8')}", "correct it") from None
    if len(data) > _LIMIT:
        raise InputError(f"{shown}: {len(data)} bytes are too many", "name another file in SCAN_IGNORE_FILE")
    return accepted.read(_entries(text, shown), shown)


def _entries(text: str, shown: str) -> list[AcceptedEntry]:
    """Return the entries of a YAML list of mappings, with their lines; raises InputError for any other form."""
    from invoke.util import yaml  # the copy that Invoke has already loaded

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise yaml_error(error, shown, f"an entry: {accepted.EXAMPLE}") from None
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise _unexpected(shown, root, "a list of entries")
    return [_entry(entry, shown, yaml) for entry in root.value]


def _entry(node: Any, shown: str, yaml: Any) -> AcceptedEntry:
    if not isinstance(node, yaml.MappingNode):
        raise _unexpected(shown, node, "an entry with id, owner, reason and expires")
    fields: dict[str, AcceptedField] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise _unexpected(shown, value, "a text")
        if key.value in fields:
            raise _unexpected(shown, key, f"{printable(str(key.value))!r} only once")
        fields[key.value] = AcceptedField(str(value.value), key.start_mark.line + 1)
    return AcceptedEntry(fields, node.start_mark.line + 1)


def _unexpected(shown: str, node: Any, expected: str) -> InputError:
    line = node.start_mark.line + 1
    return InputError(f"{shown}:{line}: expected {expected}", f"an entry looks like this: {accepted.EXAMPLE}")
