"""Which Compose project on which engine an environment is; two environments must not be the same one."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..plan.errors import InputError, RefusedError
from ..plan.grammar import Fault
from ..plan.identity import Identity, clash
from ..plan.profile import ENVIRONMENT, Profile, Setting, gather
from ..plan.references import normal_name
from ..plan.secret import reveal
from . import compose_files
from .files import Settings, environments, layers_of, settings

_DEFAULT = "unix:///var/run/docker.sock"
_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")


def refuse_shared(profile: Profile) -> None:
    """Raise InputError when another environment is the same Compose project on the same engine."""
    found = {value.key: Setting(reveal(value.value), value.origin) for value in profile.values.values()}
    if fault := _clash(profile.environment, found, settings()):
        raise InputError(str(fault), fault.hint)


def fault_of(environment: str) -> Fault | None:
    """Return what is wrong with an environment that another one is to Compose, as the files of both have it."""
    where = settings()
    found = _written(environment, where)
    return None if found is None else _clash(environment, found, where)


def project_of(found: Mapping[str, Setting], where: Settings) -> str:
    """Return the name that Compose gives to the project of an environment; ``found`` is what its layers set."""
    return _project(found, where)[0]


def project_named(environment: str) -> str:
    """Return the name of the project of an environment, as its files have it."""
    where = settings()
    return project_of(gather(layers_of(environment, where), {}, {}, ()), where)


def _clash(environment: str, found: Mapping[str, Setting], where: Settings) -> Fault | None:
    project, _ = _project(found, where)
    others = []
    for name in environments():
        other = None if name == environment else _written(name, where)
        # Whether the engines differ is asked last: it may cost a look at Docker's contexts.
        if other is not None and _project(other, where)[0] == project:
            others.append(_identity(name, other, where))
    return clash(_identity(environment, found, where), others) if others else None


def _written(environment: str, where: Settings) -> Mapping[str, Setting] | None:
    """Return what the files of an environment set; None where they cannot be read.

    A project name in the process environment is meant for the task that is run, not for the other environments.
    """
    try:
        found = gather(layers_of(environment, where), {}, {}, ())
    except InputError:
        return None
    for key in _ENGINE:
        if key not in found and os.environ.get(key):
            found[key] = Setting(os.environ[key], ENVIRONMENT)
    return found


def _identity(environment: str, found: Mapping[str, Setting], where: Settings) -> Identity:
    project, origin = _project(found, where)
    return Identity(environment, where.shown(where.envs_dir / f"{environment}.env"), project, _engine(found), origin)


def _project(found: Mapping[str, Setting], where: Settings) -> tuple[str, str]:
    """Return the name of the project by Compose's order, and what says it."""
    setting = found.get("COMPOSE_PROJECT_NAME")
    if setting and setting.text:
        return setting.text, setting.origin
    if name := compose_files.project(found, where):
        return name, "`name:` of the Compose file"
    return normal_name(compose_files.first_directory(found, where).name), "the name of the directory"


def _engine(found: Mapping[str, Setting]) -> str:
    """Return the address of the engine; of a context that cannot be read its name. Nothing is asked there."""

    def text(key: str) -> str:
        return found[key].text if key in found else ""

    host, context = text("DOCKER_HOST"), text("DOCKER_CONTEXT")
    directory = text("DOCKER_CONFIG")
    if host or not (context or Path(directory or Path.home() / ".docker", "config.json").exists()):
        return (host or _DEFAULT).rstrip("/")
    from .engine import address

    named = {"DOCKER_CONTEXT": context, "DOCKER_CONFIG": directory}
    try:
        return address({"DOCKER_HOST": "", **{key: value for key, value in named.items() if value}})
    except RefusedError:
        return f"context {context}"
