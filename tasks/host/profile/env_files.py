"""Finds the ``env_file``s that do not exist: Compose names only the first, without its service."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...model.compose import build_files
from ...model.errors import InputError
from ...model.profile.profile import Profile
from ...model.stack.foresight import Refusal, env_files
from .compose_files import read_compose_files
from .extensions import parse_compose
from .settings import Settings


def missing_env_files(profile: Profile, where: Settings, named: str) -> list[Refusal]:
    """Return a refusal for each missing file; ``named`` is the file that Compose has named."""
    service_of: dict[str, str] = {}
    for path, service in absent_env_files(build_files(profile), where):
        service_of.setdefault(path, service)
    if named not in service_of:
        service_of = {named: "", **service_of}
    return [
        (f"{f'services.{service}.env_file: ' if service else 'env_file: '}{path} does not exist", _HINT)
        for path, service in service_of.items()
    ]


def absent_env_files(names: Sequence[str], where: Settings) -> Iterator[tuple[str, str]]:
    """Yield the path of each env file that does not exist but has to, with the service that names it."""
    first = where.project_dir / names[0]
    own = {Path(os.path.normpath(where.project_dir / name)) for name in names}
    for text in read_compose_files([(name, "") for name in names], where, []):
        try:
            document = parse_compose(text.text, text.shown)
        except InputError:
            continue  # Compose has read it: its own message stands
        for service, name in env_files(document):
            path = os.path.normpath((first if text.path in own else text.path).parent / name)
            if not Path(path).exists():
                yield path, service


_HINT = "write the file, or say env_file: [{path: …, required: false}]"
