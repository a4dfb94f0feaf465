"""Which Compose project on which engine an environment is; two environments must not share it."""

import os
from collections.abc import Mapping
from pathlib import Path

from ...model.errors import InputError, RefusedError
from ...model.profile.grammar import Fault
from ...model.profile.identity import Identity, clash
from ...model.profile.profile import ENVIRONMENT, Profile, Setting, gather
from ...model.secret import reveal
from ...model.stack.references import normal_name
from . import compose_files
from .settings import Settings, environments, layers_of, settings

_DEFAULT = "unix:///var/run/docker.sock"
_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")


def refuse_shared_project(profile: Profile) -> None:
    """Raise InputError when another environment is the same Compose project on the same engine."""
    layer_values = {value.key: Setting(reveal(value.value), value.origin) for value in profile.values.values()}
    if fault := _clash(profile.environment, layer_values, settings()):
        raise InputError(str(fault), fault.hint)


def fault_of(environment: str) -> Fault | None:
    """Return the fault when the files of two environments name the same project on the same engine, else None."""
    where = settings()
    layer_values = _written(environment, where)
    return None if layer_values is None else _clash(environment, layer_values, where)


def project_of(layer_values: Mapping[str, Setting], where: Settings) -> str:
    """Return the name that Compose gives to the project of an environment; by what its layers set."""
    return _project(layer_values, where)[0]


def project_named(environment: str) -> str:
    """Return the name of the project of an environment, by its files alone."""
    where = settings()
    return project_of(gather(layers_of(environment, where), {}, {}, ()), where)


def _clash(environment: str, layer_values: Mapping[str, Setting], where: Settings) -> Fault | None:
    project, _ = _project(layer_values, where)
    others = []
    for name in environments():
        other = None if name == environment else _written(name, where)
        # The engines are compared last: that may have to read Docker's contexts.
        if other is not None and _project(other, where)[0] == project:
            others.append(_identity(name, other, where))
    return clash(_identity(environment, layer_values, where), others) if others else None


def _written(environment: str, where: Settings) -> Mapping[str, Setting] | None:
    """Return what the files of an environment set; None when they cannot be read.

    A project name in the process environment is meant for the task that is run, not for the other environments.
    """
    try:
        layer_values = gather(layers_of(environment, where), {}, {}, ())
    except InputError:
        return None
    for key in _ENGINE:
        if key not in layer_values and os.environ.get(key):
            layer_values[key] = Setting(os.environ[key], ENVIRONMENT)
    return layer_values


def _identity(environment: str, layer_values: Mapping[str, Setting], where: Settings) -> Identity:
    project, origin = _project(layer_values, where)
    return Identity(
        environment, where.shown(where.envs_dir / f"{environment}.env"), project, _engine(layer_values), origin
    )


def _project(layer_values: Mapping[str, Setting], where: Settings) -> tuple[str, str]:
    """Return the name of the project, in Compose's order of precedence, and what it comes from."""
    setting = layer_values.get("COMPOSE_PROJECT_NAME")
    if setting and setting.text:
        return setting.text, setting.origin
    if name := compose_files.declared_project_name(layer_values, where):
        return name, "`name:` of the Compose file"
    return normal_name(compose_files.first_directory(layer_values, where).name), "the name of the directory"


def _engine(layer_values: Mapping[str, Setting]) -> str:
    """Return the address of the engine, or the name of a context that cannot be read; connects to nothing."""

    def text(key: str) -> str:
        return layer_values[key].text if key in layer_values else ""

    host, context = text("DOCKER_HOST"), text("DOCKER_CONTEXT")
    directory = text("DOCKER_CONFIG")
    if host or not (context or Path(directory or Path.home() / ".docker", "config.json").exists()):
        return (host or _DEFAULT).rstrip("/")
    from ..engine.connection import address

    named = {"DOCKER_CONTEXT": context, "DOCKER_CONFIG": directory}
    try:
        return address({"DOCKER_HOST": "", **{key: value for key, value in named.items() if value}})
    except RefusedError:
        return f"context {context}"
