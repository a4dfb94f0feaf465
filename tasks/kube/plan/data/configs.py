"""The configs of a service: each a ConfigMap with the same bytes, mounted as a single file."""

from collections.abc import Mapping
from typing import Any

from ....model.stack.stack import Service, unescaped
from ..outcome import KeyOutcome, inferred, refused, translated
from ..part import Part, together
from ..source import KubeSource
from . import docker_dns, placeholders
from .config_map import LARGEST, READABLE, file_map
from .held import VARIABLE, SecretOrigin, secret_key, secret_name
from .naming import of_path
from .owner import filesystem_group
from .permissions import ownership, permission, readable

KEYS = frozenset({"configs"})
_INTO = "ConfigMap"


def part(source: KubeSource, service: Service) -> Part:
    """Return the configs of a service, whose ConfigMaps are its own: it may come earlier than others that have them."""
    entries = source.raw(service.name).get("configs") or ()
    if not entries:
        return Part()
    where = f"services.{service.name}.configs"
    found = [_config(source, service, f"{where}.{entry['source']}", entry) for entry in entries]
    return together([Part(outcomes=(translated(where, _INTO),)), *found])


def held(source: KubeSource, service: Service) -> dict[str, SecretOrigin]:
    """Return the keys of the project's Secret that hold configs made of variables, whose values the model has not."""
    names = [str(entry["source"]) for entry in source.raw(service.name).get("configs") or ()]
    variables = [str(variable) for name in names if (variable := _declared(source, name).get("environment"))]
    return {secret_key(variable): SecretOrigin(VARIABLE, variable) for variable in variables}


def _declared(source: KubeSource, name: str) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = (source.model.get("configs") or {}).get(name) or {}
    return declared


def _config(source: KubeSource, service: Service, key: str, entry: Mapping[str, Any]) -> Part:
    name = str(entry["source"])
    declared, data = _declared(source, name), _content(source, name)
    said = str(entry.get("target") or name)
    target = said if said.startswith("/") else f"/{said}"
    mode = readable(permission(entry.get("mode"), READABLE), source, service)
    volume = of_path(target, "config")
    notes = tuple(ownership(key, entry, READABLE, source, service))
    mount = {"name": volume, "mountPath": target, "subPath": name, "readOnly": True}
    container = {"volumeMounts": [mount]}
    pod = filesystem_group(source, service) if permission(entry.get("mode"), READABLE) & 0o004 == 0 else {}
    if data is None:
        kind, outcome = _elsewhere(source, key, name, declared, mode)
        if kind is None:
            return Part(outcomes=(outcome,))
        return Part(container, {"volumes": [{"name": volume, **kind}], **pod}, outcomes=(outcome, *notes))
    if len(data) > LARGEST:
        reason = f"{len(data)} bytes, and a ConfigMap has {LARGEST} at most"
        return Part(outcomes=(refused(key, reason, "put it into the image"),))
    if placeholders.named(str(declared.get("content") or "")):
        hint = "make it a secret: a file or a variable under `secrets`"
        reason = "a secret is part of its content, and everybody may read a ConfigMap"
        return Part(outcomes=(refused(key, reason, hint),))
    made = file_map(service.name, target, {name: data})
    return Part(
        container,
        {"volumes": [made.volume(volume, mode)], **pod},
        objects=(made.object,),
        outcomes=(*notes, *made.notes(key), *docker_dns.outcomes(service, key, {name: data})),
    )


def _content(source: KubeSource, name: str) -> bytes | None:
    """Return the bytes of a config; None where they are not known here."""
    declared = _declared(source, name)
    if declared.get("content") is not None:
        return str(unescaped(str(declared["content"]))).encode()
    there = source.files.get(str(unescaped(declared.get("file") or "")))
    return there.files.get("") if there else None


def _elsewhere(
    source: KubeSource, key: str, name: str, declared: Mapping[str, Any], mode: int
) -> tuple[dict[str, Any] | None, KeyOutcome]:
    """Return the volume of a config whose bytes are not known, with one file, and what became of it."""
    if declared.get("environment"):
        secret, variable = secret_name(source.stack.project), secret_key(str(declared["environment"]))
        item = {"key": variable, "path": name}
        reason = f"its value is not known before the deploy: key {variable} of Secret {secret}"
        made = {"secret": {"secretName": secret, "defaultMode": mode, "items": [item]}}
        return made, inferred(key, "volumes[].secret", reason)
    if declared.get("external"):
        there = str(declared.get("name") or name)
        wanted = str((declared.get("x-slipway") or {}).get("key") or name)
        made = {"configMap": {"name": there, "defaultMode": mode, "items": [{"key": wanted, "path": name}]}}
        return made, inferred(key, f"ConfigMap {there}", f"external: it has to exist, with key {wanted}")
    path = str(declared.get("file") or "")
    return None, refused(key, f"cannot be read: {path}" if path else "nothing holds it", "say content or file")
