"""A rehearsal: an environment on this machine, under a project name of its own, with development secrets."""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...model.profile.profile import ENVIRONMENT, Profile
from ...model.secret import reveal
from ...model.stack.stack import Stack

# Switched off where the profile sets it: what leaves this machine, judges the commit, or waits for a person.
_OFF: Mapping[str, str] = {
    "CACHE_FROM": "",
    "CACHE_TO": "",
    "CONFIRM_DEPLOY": "false",
    "DOCKER_CONTEXT": "",
    "DOCKER_HOST": "",
    "ORCHESTRATOR": "compose",
    "PROMOTE_FROM": "",
    "PUBLISH_RELEASES": "false",
    "REQUIRE_CLEAN": "false",
    "REQUIRE_EVIDENCE": "",
    "REQUIRE_PUSHED": "false",
    "SIGN_KEY": "",
    "SIGN_PASSWORD": "",
    "VERIFY_SIGNATURES": "false",
}
_PORT_SHIFT = 10000  # 443 becomes 10443
_LAST_PORT = 65535
_LOWEST_UNPRIVILEGED = 1024


@dataclass(frozen=True)
class Rehearsed:
    """The environment that is rehearsed: its profile, its model, and the ``variables`` of its Compose files.

    ``model`` is the model as data. ``development`` is the profile whose secrets are used, None when there is none.
    ``absent`` are the files of the model that this machine does not have, ``certificate`` is the certificate that
    development has signed itself.
    """

    profile: Profile
    stack: Stack
    model: Mapping[str, Any]
    variables: Collection[str]
    project_dir: str
    development: Profile | None = None
    absent: Collection[str] = ()
    certificate: str = ""


def secret_values(
    profile_values: Mapping[str, str], variables: Collection[str], development: Profile | None
) -> dict[str, str]:
    """Return the secret variables of the Compose files as the development profile sets them."""
    if development is None:
        return {}
    return {
        key: reveal(value.value)
        for key, value in development.values.items()
        if value.secret and key in variables and profile_values.get(key) != reveal(value.value)
    }


def foreign_secrets(rehearsed: Rehearsed) -> tuple[str, ...]:
    """Return the secret variables that only the rehearsed environment sets: a rehearsal would use the real ones."""
    known = rehearsed.development.values if rehearsed.development else {}
    return tuple(
        key
        for key, value in rehearsed.profile.values.items()
        if value.secret and key in rehearsed.variables and reveal(value.value) and key not in known
    )


def ports(rehearsed: Rehearsed) -> dict[str, int]:
    """Return the variables whose value is a published port of the stack, with that port."""
    published = {str(port.published) for service in rehearsed.stack.services.values() for port in service.ports}
    return {
        key: int(rehearsed.profile.text(key))
        for key in sorted(rehearsed.variables)
        if rehearsed.profile.text(key) in published - {"0"}
    }


def candidates(port: int) -> Iterator[int]:
    """Yield ports to take in place of another, the one that is best remembered first."""
    first = port + _PORT_SHIFT
    while first > _LAST_PORT:
        first -= _PORT_SHIFT
    yield from range(first, _LAST_PORT + 1)
    yield from range(_LOWEST_UNPRIVILEGED, first)


def layer(rehearsed: Rehearsed, chosen: Mapping[str, int], suffix: str) -> dict[str, str]:
    """Return the values that a rehearsal sets over those of its environment; ``chosen`` are its ports by variable."""
    profile = rehearsed.profile
    values = {"COMPOSE_PROJECT_NAME": f"{rehearsed.stack.project}{suffix}"}
    for key, text in _OFF.items():
        # What the shell says about the engine wins over every file.
        if profile.is_set(key) and profile.values[key].origin != ENVIRONMENT and profile.text(key) != text:
            values[key] = text
    values |= {key: f"{profile.text(key)}{suffix}" for key in _tag_keys(rehearsed)}
    values |= {key: str(port) for key, port in chosen.items()}
    values |= _paths(rehearsed)
    if rehearsed.certificate:
        values["SMOKE_CA"] = rehearsed.certificate
    given = {key: reveal(value.value) for key, value in profile.values.items()}
    return {**values, **secret_values(given, rehearsed.variables, rehearsed.development)}


def _tag_keys(rehearsed: Rehearsed) -> list[str]:
    """Return the variables that are the tag of images which are built: a rehearsal must not move the real tags."""
    tags = {service.image.rpartition(":")[2] for service in rehearsed.stack.built() if ":" in service.image}
    return [key for key in sorted(rehearsed.variables) if rehearsed.profile.text(key) in tags - {""}]


def files_of(model: Mapping[str, Any]) -> set[str]:
    """Return the files and directories of the host that a model names: secrets, configs and bind mounts."""
    listed = [*(model.get("secrets") or {}).values(), *(model.get("configs") or {}).values()]
    return {str(entry["file"]) for entry in listed if entry.get("file")} | {source for source, _ in _binds(model)}


def _binds(model: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for service in (model.get("services") or {}).values():
        for mount in service.get("volumes") or ():
            if isinstance(mount, dict) and mount.get("type") == "bind":
                yield str(mount.get("source")), bool(mount.get("read_only"))


def _paths(rehearsed: Rehearsed) -> dict[str, str]:
    """Return the variables that lead to files of secrets, or to what is not on this machine, as development sets them.

    A variable that development does not set becomes empty, so that the default of the Compose file applies.
    """
    secrets = {str(entry["file"]) for entry in (rehearsed.model.get("secrets") or {}).values() if entry.get("file")}
    replaced = secrets | set(rehearsed.absent)
    development = rehearsed.development
    values = {}
    for key in sorted(rehearsed.variables):
        text = rehearsed.profile.text(key)
        path = posixpath.normpath(posixpath.join(rehearsed.project_dir, text)) if "/" in text else ""
        if path and any(name == path or name.startswith(f"{path}/") for name in replaced):
            values[key] = development.text(key) if development else ""
    return {key: text for key, text in values.items() if text != rehearsed.profile.text(key)}


def shared(real: Mapping[str, Any], rehearsal: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a rehearsal would share with the environment that it rehearses, in words; empty when nothing."""
    found = [
        f"{kind} {name}"
        for kind, section in (("volume", "volumes"), ("network", "networks"))
        for name in sorted(_names(real.get(section)) & _names(rehearsal.get(section)))
    ]
    found += [f"container name {name}" for name in sorted(_container_names(real) & _container_names(rehearsal))]
    written = {source for source, read_only in _binds(real) if not read_only and not source.endswith(".sock")}
    found += [f"writable mount of {source}" for source in sorted(written & {source for source, _ in _binds(rehearsal)})]
    return tuple(found)


def _names(section: Mapping[str, Any] | None) -> set[str]:
    return {str((entry or {}).get("name") or key) for key, entry in (section or {}).items()}


def _container_names(model: Mapping[str, Any]) -> set[str]:
    services: Iterable[Mapping[str, Any]] = (model.get("services") or {}).values()
    return {str(service["container_name"]) for service in services if service.get("container_name")}
