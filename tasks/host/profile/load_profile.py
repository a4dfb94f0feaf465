"""The profile of an environment, read from disk."""

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...model.errors import InputError
from .settings import Settings, encrypted_paths, environments_in, layers_of, require_environment, settings

if TYPE_CHECKING:
    from ...model.profile.profile import Layer, Profile


def load_profile(environment: str = "", options: Mapping[str, str] | None = None) -> "Profile":
    """Return the profile of an environment; ``""`` is the default one.

    ``options`` are values given on the command line, keyed by profile key. Raises InputError that lists every fault,
    RefusedError for an encrypted file that cannot be decrypted here.
    """
    where = settings()
    environment = environment or where.default_env
    require_environment(environment, where)
    layers = layers_of(environment, where)
    if encrypted := encrypted_paths(environment, where):
        from .sops_files import with_encrypted

        layers = with_encrypted(environment, layers, encrypted, where)
    try:
        return _resolved(environment, layers, dict(options or {}), where)
    except InputError:  # a quick look may see faults that a thorough one does not
        pass
    try:
        return _resolved(environment, layers, dict(options or {}), where, thorough=True)
    except InputError as error:
        from .dotenv_files import with_dotenv_hint

        raise with_dotenv_hint(error, environment, where) from None


def _resolved(
    environment: str, layers: "tuple[Layer, ...]", options: dict[str, str], where: Settings, thorough: bool = False
) -> "Profile":
    from ...model.profile.profile import gather, resolve
    from . import compose_files

    compose = compose_files.examine_compose_files(
        gather(layers, os.environ, options, compose_files.KEYS), where, thorough
    )
    profile = resolve(
        environment,
        layers,
        os.environ,
        options,
        compose.variables,
        elsewhere={*compose.elsewhere, *(_of_others(environment, where) if thorough else ())},
        faults=compose.faults,
        certain=compose.certain,
    )
    return _with_discovered(profile, compose.discovered, where) if compose.discovered else profile


def _of_others(environment: str, where: Settings) -> set[str]:
    """Return the variables of the Compose files of all other environments: ``base.env`` may set them."""
    from ...model.profile.profile import gather
    from . import compose_files

    variables: set[str] = set()
    for name in environments_in(where.envs_dir):
        if name != environment:
            with contextlib.suppress(InputError):  # its own tasks report it
                setting = gather(layers_of(name, where), os.environ, {}, compose_files.KEYS)
                variables.update(compose_files.examine_compose_files(setting, where, thorough=True).variables)
    return variables


def _with_discovered(profile: "Profile", names: tuple[str, ...], where: Settings) -> "Profile":
    """Return the profile with COMPOSE_FILE set to the files that Compose uses when no layer names any."""
    from ...model.profile.profile import Value, with_value

    text = (profile.text("COMPOSE_PATH_SEPARATOR") or ":").join(names)
    return with_value(profile, Value("COMPOSE_FILE", text, f"found in {where.shown(where.project_dir)}"))
