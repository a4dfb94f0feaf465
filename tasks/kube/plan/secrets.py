"""The secrets of a service: files with their bytes, from the Secret of the project or one that exists already."""

import shlex
from collections.abc import Mapping
from typing import Any

from ...model.stack.stack import Service, unescaped
from .data import configs, environment
from .data.deployed import deployed
from .data.held import FILE, VARIABLE, SecretOrigin, secret_key, secret_name
from .data.naming import of_path
from .data.owner import filesystem_group
from .data.permissions import ownership, permission, readable
from .outcome import KeyOutcome, inferred, refused, translated
from .part import Part
from .source import KubeSource

__all__ = ["KEYS", "SecretOrigin", "by_hand", "part", "secret_key", "secret_name", "wanted"]

KEYS = frozenset({"secrets"})
DIRECTORY = "/run/secrets"
_VOLUME = "secrets"
_MODE = 0o444  # https://docs.docker.com/reference/compose-file/services/#secrets
_EXTENSION = "x-slipway"


def wanted(source: KubeSource) -> dict[str, SecretOrigin]:
    """Return the keys that the Secret of the project has to have, in their order, and where their values come from."""
    found: dict[str, SecretOrigin] = {}
    for service in deployed(source.stack):
        for entry in source.raw(service.name).get("secrets") or ():
            origin = _origin(_declared(source, str(entry["source"])))
            if origin is not None:
                found[secret_key(str(entry["source"]))] = origin
        found |= {**environment.held(source, service), **configs.held(source, service)}
    return dict(sorted(found.items()))


def by_hand(kubectl: str, project: str, held: Mapping[str, SecretOrigin]) -> str:
    """Return the line for a shell that makes or renews the Secret of a project; ``kubectl`` is how it begins.

    The values are read by kubectl from files, or from the shell by a pipe, and are no arguments. Of a value that only
    the Compose files have, a file has to be made: its name is for the reader to put in.
    """
    places = {VARIABLE: '<(printf %s "${name}")', FILE: "{path}"}
    files = (
        f"--from-file={shlex.quote(key)}="
        + places.get(origin.kind, "FILE").format(name=origin.source, path=shlex.quote(origin.source))
        for key, origin in held.items()
    )
    made = " ".join((f"{kubectl} create secret generic {secret_name(project)}", *files))
    return f"{made} --dry-run=client --output=yaml | {kubectl} apply --server-side --filename=-"


def part(source: KubeSource, service: Service) -> Part:
    """Return the secrets of a service as one volume with a file each, and the mounts that put them where they belong.

    Those below /run/secrets are the files of one directory, so that the service sees it when they change; others are
    mounted one by one, and are as they were when the Pod started.
    """
    entries = source.raw(service.name).get("secrets") or ()
    if not entries:
        return Part()
    groups: dict[str, list[dict[str, Any]]] = {}
    mounts: dict[str, dict[str, Any]] = {}
    for entry in entries:
        secret, key = _reference(source, str(entry["source"]))
        path, mount = _place(entry)
        mode = readable(permission(entry.get("mode"), _MODE), source, service)
        item = {"key": key, "path": path, **({"mode": mode} if mode != _MODE else {})}
        groups.setdefault(secret, []).append(item)
        mounts[mount["mountPath"]] = mount
    sources = [{"secret": {"name": name, "items": items}} for name, items in groups.items()]
    needs_group = any(permission(entry.get("mode"), _MODE) & 0o004 == 0 for entry in entries)
    return Part(
        container={"volumeMounts": [*mounts.values()]},
        pod={
            "volumes": [{"name": _VOLUME, "projected": {"defaultMode": _MODE, "sources": sources}}],
            **(filesystem_group(source, service) if needs_group else {}),
        },
        outcomes=_outcomes(source, service, entries),
    )


def _declared(source: KubeSource, name: str) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = unescaped((source.model.get("secrets") or {}).get(name) or {})
    return declared


def _origin(declared: Mapping[str, Any]) -> SecretOrigin | None:
    """Return where the value of a secret comes from; None for one that exists already."""
    if declared.get("file"):
        return SecretOrigin(FILE, str(declared["file"]))
    return SecretOrigin(VARIABLE, str(declared["environment"])) if declared.get("environment") else None


def _reference(source: KubeSource, name: str) -> tuple[str, str]:
    """Return the Secret and the key of a Compose secret."""
    declared = _declared(source, name)
    if declared.get("external"):
        said = declared.get(_EXTENSION) or {}
        return str(declared.get("name") or name), str(said.get("key") or name)
    return secret_name(source.stack.project), secret_key(name)


def _place(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path of a secret in its volume, and the mount that puts it where it belongs."""
    said = str(entry.get("target") or entry["source"])
    target = said if said.startswith("/") else f"{DIRECTORY}/{said}"
    if target.startswith(f"{DIRECTORY}/"):
        return target.removeprefix(f"{DIRECTORY}/"), {"name": _VOLUME, "mountPath": DIRECTORY, "readOnly": True}
    path = of_path(target, "at")
    return path, {"name": _VOLUME, "mountPath": target, "subPath": path, "readOnly": True}


def _outcomes(source: KubeSource, service: Service, entries: Any) -> tuple[KeyOutcome, ...]:
    where = f"services.{service.name}.secrets"
    said = [translated(where, "volumes[].projected.sources[].secret")]
    for entry in entries:
        name = str(entry["source"])
        declared = _declared(source, name)
        if declared.get("external"):
            secret, key = _reference(source, name)
            into = f"Secret {secret}, key {key}"
            said.append(inferred(f"{where}.{name}", into, "external: it has to exist before the deploy"))
        elif _origin(declared) is None:
            reason = "neither a file nor a variable holds it"
            said.append(refused(f"{where}.{name}", reason, "say file, environment or external"))
        said += ownership(f"{where}.{name}", entry, _MODE, source, service)
    return tuple(said)
