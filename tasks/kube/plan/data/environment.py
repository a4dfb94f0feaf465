"""The variables of a service: literally what Compose passes, and references for those that are secret."""

from collections.abc import Iterable, Iterator
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.profile.redaction import is_secret_variable
from ....model.stack.stack import Service, unescaped
from ..outcome import KeyOutcome, inferred, refused, translated
from ..part import Part
from ..source import KubeSource
from . import placeholders
from .held import MODEL, VARIABLE, SecretOrigin, placed, secret_key, secret_name

KEYS = frozenset({"environment", "env_file"})
UNSET = "KUBE-UNSET-VARIABLE"
_INTO = "containers[].env"
_NAME = lazy_pattern(r"[-._A-Za-z][-._A-Za-z0-9]*")
_RELAXED = lazy_pattern(r"[ -<>-~]+")


def part(source: KubeSource, service: Service) -> Part:
    """Return the variables of a service in the order of their names, and what became of them."""
    raw = source.raw(service.name)
    where = f"services.{service.name}"
    variables = raw.get("environment") or {}
    entries = _helpers(source, placeholders.in_commands(raw))
    for name in sorted(variables):
        entries |= _entries(source, service.name, name, variables[name])
    outcomes = [translated(f"{where}.{key}", _INTO) for key in ("environment", "env_file") if raw.get(key)]
    outcomes += [said for name in sorted(variables) for said in _outcomes(source, service.name, name, variables[name])]
    return Part(container={"env": [*entries.values()]} if entries else {}, outcomes=tuple(outcomes))


def held(source: KubeSource, service: Service) -> dict[str, SecretOrigin]:
    """Return the keys of the project's Secret that the variables and the words of a service need."""
    raw = source.raw(service.name)
    wanted = {secret_key(secret): _origin(source, secret) for secret in placeholders.in_commands(raw)}
    for name, text in sorted((raw.get("environment") or {}).items()):
        wanted |= {secret_key(origin.source): origin for origin in _origins(source, service.name, name, text)}
    return wanted


def _origins(source: KubeSource, service: str, name: str, text: object) -> list[SecretOrigin]:
    """Return the secrets in the value of a variable."""
    if text is None:
        return []
    if named := placeholders.named(str(text)):
        return [_origin(source, secret) for secret in named]
    if name in source.settings.secret_keys:
        return [SecretOrigin(VARIABLE, name)]
    plain = str(unescaped(str(text)))
    return [SecretOrigin(MODEL, f"{service}.environment.{name}")] if is_secret_variable(name, plain) else []


def _origin(source: KubeSource, secret: str) -> SecretOrigin:
    """Return where a placeholder's value comes from: its name is a key of the profile, or a path in the model."""
    literally = any(secret.startswith(f"{service}.") for service in source.stack.services)
    return SecretOrigin(MODEL if literally else VARIABLE, secret)


def _helpers(source: KubeSource, secrets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return variables, by name, that have secrets which are parts of other texts."""
    project = secret_name(source.stack.project)
    names = {placeholders.variable(secret): secret_key(secret) for secret in secrets}
    return {name: {"name": name, "valueFrom": placed(project, key)} for name, key in names.items()}


def _entries(source: KubeSource, service: str, name: str, text: object) -> dict[str, dict[str, Any]]:
    """Return the variables, by name, that say one variable of the Compose file."""
    if text is None:
        return {}
    origins = _origins(source, service, name, text)
    parts = [part for part in placeholders.pieces(str(text)) if part != ("", "")]
    if not origins:
        return {name: {"name": name, "value": placeholders.spelled(str(text))}}
    if not placeholders.named(str(text)) or (len(parts) == 1 and not parts[0][0]):
        secret = placed(secret_name(source.stack.project), secret_key(origins[0].source))
        return {name: {"name": name, "valueFrom": secret}}
    added = _helpers(source, placeholders.named(str(text)))
    return {**added, name: {"name": name, "value": placeholders.spelled(str(text))}}


def _outcomes(source: KubeSource, service: str, name: str, text: object) -> Iterator[KeyOutcome]:
    """Yield what became of a variable that is not simply a value."""
    key = f"services.{service}.environment.{name}"
    if not _RELAXED.fullmatch(name):
        yield refused(key, "a name that is not printable ASCII", "give the variable another name")
    elif not _NAME.fullmatch(name):
        yield inferred(key, _INTO, "a name like this needs Kubernetes 1.34 or later")
    if text is None:
        yield refused(
            key,
            "has no value, and is not taken from the machine that translates",
            f"set {name} in the profile, or take it out",
            UNSET,
        )
        return
    keys = [secret_key(origin.source) for origin in _origins(source, service, name, text)]
    if keys:
        shown = ", ".join(dict.fromkeys(keys))
        yield inferred(key, f"{_INTO}.valueFrom", f"from {shown} of Secret {secret_name(source.stack.project)}")
