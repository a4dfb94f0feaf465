"""Reads the file of findings that somebody answers for (SCAN_IGNORE_FILE)."""

from typing import Any

from ..plan import accepted as planner
from ..plan.accepted import Field, Raw
from ..plan.errors import InputError
from ..plan.finding import printable
from ..plan.scan import Accepted
from .files import not_yaml
from .project import Project

_LIMIT = 1 << 20  # bytes; a larger file was named by mistake


def read(project: Project) -> tuple[Accepted, ...]:
    """Return the entries, none without a file; raises InputError that lists every fault with file and line."""
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
        raise InputError(f"{shown}: cannot be read: {getattr(error, 'strerror', 'not UTF-8')}", "mend it") from None
    if len(data) > _LIMIT:
        raise InputError(f"{shown}: {len(data)} bytes are too many", "name another file in SCAN_IGNORE_FILE")
    return planner.read(_entries(text, shown), shown)


def _entries(text: str, shown: str) -> list[Raw]:
    """Return the entries with their lines: a list of mappings of plain values."""
    from invoke.util import yaml  # the one that Invoke has loaded already

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise not_yaml(error, shown, f"an entry: {planner.EXAMPLE}") from None
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise _unexpected(shown, root, "a list of entries")
    return [_entry(one, shown, yaml) for one in root.value]


def _entry(node: Any, shown: str, yaml: Any) -> Raw:
    if not isinstance(node, yaml.MappingNode):
        raise _unexpected(shown, node, "an entry with id, owner, reason and expires")
    fields: dict[str, Field] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise _unexpected(shown, value, "a text")
        if key.value in fields:
            raise _unexpected(shown, key, f"{printable(str(key.value))!r} only once")
        fields[key.value] = Field(str(value.value), key.start_mark.line + 1)
    return Raw(fields, node.start_mark.line + 1)


def _unexpected(shown: str, node: Any, expected: str) -> InputError:
    line = node.start_mark.line + 1
    return InputError(f"{shown}:{line}: expected {expected}", f"an entry looks like this: {planner.EXAMPLE}")
