"""Finds the ``env_file`` of services that do not exist: Compose names the first alone, and no service."""

import os
from pathlib import Path

from ..plan.compose import build_files
from ..plan.errors import InputError
from ..plan.foresight import Refusal, env_files
from ..plan.profile import Profile
from .compose_files import read_compose
from .extensions import parse_compose
from .files import Settings


def missing(profile: Profile, where: Settings, named: str) -> list[Refusal]:
    """Return which files are missing; ``named`` is the one that Compose has named."""
    names = build_files(profile)
    first = where.project_dir / names[0]
    own = {Path(os.path.normpath(where.project_dir / name)) for name in names}
    found: dict[str, str] = {}
    for text in read_compose([(name, "") for name in names], where, []):
        try:
            document = parse_compose(text.text, text.shown)
        except InputError:
            continue  # Compose reads it; what it said stands
        for service, name in env_files(document):
            path = os.path.normpath((first if text.path in own else text.path).parent / name)
            if not Path(path).exists():
                found.setdefault(path, service)
    if named not in found:
        found = {named: "", **found}
    return [
        (f"{f'services.{service}.env_file: ' if service else 'env_file: '}{path} does not exist", _HINT)
        for path, service in found.items()
    ]


_HINT = "write the file, or say env_file: [{path: …, required: false}]"
