"""Writes the refused lines of profiles anew, with the values that Compose reads from them."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..host.output import emit, note
from ..host.profile.dotenv_files import read_by_compose
from ..host.profile.settings import Settings, environments, layer_paths, read_regular_file, settings
from ..host.profile.text_files import replace_text
from ..model.errors import InputError
from ..model.profile.grammar import parse
from .plan.rewrite import Rewriting, faulty_keys, rewriting


def fix(names: Iterable[str], dry: bool) -> None:
    """Rewrite what can be rewritten of the files of environments, all for no name; in a dry run print what."""
    where = settings()
    done: set[Path] = set()
    for name in tuple(names) or environments():
        before: list[Path] = []
        for path in layer_paths(name, where):
            if path.is_file():
                if path not in done:
                    _fix(path, before, where, dry)
                done.add(path)
                before.append(path)


def _fix(path: Path, before: list[Path], where: Settings, dry: bool) -> None:
    try:
        text = read_regular_file(path).decode("utf-8")
    except (OSError, ValueError):
        return  # the check tells what is wrong with it
    new = _rewriting(text, before, where)
    for line, change in new.changes:
        (emit if dry else note)(f"{'# ' if dry else ''}{where.shown(path)}:{line}: {change}")
    if new.changes and not dry:
        replace_text(path, new.text)


def _rewriting(text: str, before: list[Path], where: Settings) -> Rewriting:
    keys = faulty_keys(text)
    with tempfile.TemporaryDirectory() as directory:  # of mode 0700: the copies may hold secrets
        return rewriting(text, _values(text, keys, before, Path(directory), where) if keys else {})


def _values(text: str, keys: Mapping[int, str], before: list[Path], directory: Path, where: Settings) -> dict[str, str]:
    """Return the values of keys as Compose reads the whole file or, where it cannot, each line by itself."""
    copy = directory / "profile"
    copy.write_text(text, encoding="utf-8", newline="")
    readable = [path for path in before if not parse("", path.read_bytes()).faults]
    try:
        return read_by_compose([*readable, copy], set(keys.values()), where, "the profile")
    except InputError:
        pass
    values: dict[str, str] = {}
    lines = text.split("\n")
    valid = parse("", text.encode()).entries
    for number, key in sorted(keys.items()):
        above = [lines[entry.line - 1] for entry in valid if entry.line < number and entry.key != key]
        copy.write_text("\n".join((*above, lines[number - 1])) + "\n", encoding="utf-8", newline="")
        try:
            values |= read_by_compose([*readable, copy], {key}, where, "the profile")
        except InputError:
            values.pop(key, None)
    return values
