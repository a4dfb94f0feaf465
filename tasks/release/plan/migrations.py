"""Which files of a checkout are migrations of a database, by the layout of the tools that apply them.

Names are those that the tools use themselves: ``003_nickname`` of ``migrations/003_nickname.sql`` (goose, Flyway,
golang-migrate, dbmate), ``20260102_init`` of ``migrations/20260102_init/migration.sql`` (Prisma, Diesel),
``shop.0002_price`` of ``shop/migrations/0002_price.py`` (Django).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from ...model.lazy_pattern import lazy_pattern
from ...model.stack.extension import JOBS

_DIRECTORIES = {"migrations", "migration", JOBS[0], "changelog", "changelogs"}  # Rails has them in db/migrate
_ALEMBIC = "versions"  # below a directory `alembic` or `migrations`
_SUFFIXES = {".sql", ".py", ".js", ".ts", ".mjs", ".cjs", ".rb", ".go", ".php", ".xml", ".yaml", ".yml", ".json"}
_INSIDE = {"migration", "up"}  # the file in the directory of a migration
_BACK = lazy_pattern(r"(?:^|[._-])(?:down|undo|rollback)$|^U\d", re.IGNORECASE)
_FORTH = lazy_pattern(r"[._-](?:up|do)$", re.IGNORECASE)
_NUMBERED = lazy_pattern(r"(?:[VvRrBb]_*)?\d|R__")


def name_of(path: str) -> str:
    """Return the name of the migration that a file of a checkout is, "" for another file."""
    file = PurePosixPath(path)
    directories = file.parts[:-1]
    if file.suffix not in _SUFFIXES or not directories:
        return ""
    stem, inside = file.stem, file.stem.lower() in _INSIDE and len(directories) > 1
    if inside:
        stem, directories = directories[-1], directories[:-1]
    alembic = directories[-1].lower() == _ALEMBIC  # its names begin with a random number in hexadecimal digits
    numbered = not stem.startswith("_") if alembic else _NUMBERED.match(stem)
    if not _holds_migrations(directories) or _BACK.search(stem) or not numbered:
        return ""
    name = _FORTH.sub("", stem)
    # The applications of Django number their migrations each for itself.
    django = file.suffix == ".py" and not alembic and not inside and len(directories) > 1
    return f"{directories[-2]}.{name}" if django else name


def _holds_migrations(directories: tuple[str, ...]) -> bool:
    last = directories[-1].lower()
    if last == _ALEMBIC:
        return any(name.lower() in ("alembic", *_DIRECTORIES) for name in directories[:-1])
    return last in _DIRECTORIES or (len(directories) > 1 and directories[-2].lower() in _DIRECTORIES)


def pending(now: Mapping[str, str], applied: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that are not ``applied`` yet, and those whose content has changed since; digests by name."""
    return (
        tuple(name for name in sorted(now) if name not in applied),
        tuple(name for name in sorted(now) if name in applied and applied[name] != now[name]),
    )


def merged(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the digests by name; several files of one migration count together."""
    together: dict[str, str] = {}
    for name, digest in sorted(found):
        together[name] = f"{together[name]}+{digest}" if name in together else digest
    return together
