"""The profile of an environment: layered, typed, validated, with the origin of every value."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from ..errors import InputError
from ..record import Record
from ..secret import Secret, is_secret_name, mask, reveal, url_passwords
from .grammar import Fault, Parsed, parse
from .interpolation import Variable
from .schema import KEYS, seconds

DEFAULT = "default"
ENVIRONMENT = "environment"
# Compose sets this variable itself: from the directory when nothing else names the project.
_GIVEN_BY_COMPOSE = frozenset({"COMPOSE_PROJECT_NAME"})
_LACKING = "the Compose file needs this variable and no layer sets it"
_ONLY_FOR_COSIGN = "SIGN_PASSWORD"
# Keys that would add files to the layers.
_LAYERS_ONLY = frozenset({"COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"})


class Layer(Record):
    """One profile file: the name to show (``envs/dev.env``) and its bytes.

    A ``shared`` layer is read for every environment and may set variables that only some of them use. ``encrypted``
    are the keys whose values the file has encrypted; ``text`` has them in plain text.
    """

    name: str
    text: bytes
    shared: bool = False
    encrypted: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Return it without its text."""
        return f"Layer({self.name})"


class Value(Record):
    """A value and where it comes from: ``envs/dev.env:7``, ``environment``, ``--option`` or ``default``."""

    key: str
    value: str | Secret
    origin: str

    @property
    def secret(self) -> bool:
        """Whether the value is masked wherever it is shown."""
        return isinstance(self.value, Secret)


class Profile(Record):
    """The resolved settings of an environment. ``values`` is sorted by key.

    ``encrypted`` are the keys that are secrets because a layer has them encrypted, whatever their names are.
    """

    environment: str
    values: Mapping[str, Value]
    encrypted: frozenset[str] = frozenset()

    def text(self, key: str) -> str:
        """Return the value of a key; when it is not set or empty, the schema's default, ``""`` without one."""
        value = self.values.get(key)
        text = reveal(value.value) if value else ""
        return text or (KEYS[key].default if key in KEYS else "")

    def is_set(self, key: str) -> bool:
        """Whether a layer, the process environment or an option sets the key."""
        return key in self.values and self.values[key].origin != DEFAULT

    def duration(self, key: str) -> float:
        """Return a duration in seconds; 0 when it is not set."""
        return seconds(self.text(key)) or 0.0

    def flag(self, key: str) -> bool:
        """Whether the value is ``true`` (or ``1``, which only Compose's and Docker's own keys may be)."""
        return self.text(key) in ("true", "1")

    def integer(self, key: str) -> int:
        """Return a whole number; 0 when it is not set."""
        return int(self.text(key) or "0")

    def words(self, key: str) -> tuple[str, ...]:
        """Return the items of a list, split at the separator of its key (a comma unless the schema says otherwise)."""
        separator = KEYS[key].separator if key in KEYS else ","
        return tuple(item for item in (part.strip() for part in self.text(key).split(separator)) if item)

    def secret_texts(self) -> tuple[str, ...]:
        """Return every secret in plain text, the longest first, to find them in output."""
        texts: set[str] = set()
        for value in self.values.values():
            if isinstance(value.value, Secret):
                texts.update((value.value.reveal(), *url_passwords(value.value.reveal())))
        return tuple(sorted(texts - {""}, key=lambda text: (-len(text), text)))

    def masked(self, text: str) -> str:
        """Return text of another program with every secret in it masked."""
        return mask(text, self.secret_texts())

    def compose_files(self) -> tuple[str, ...]:
        """Return the Compose files in order, relative to the project directory.

        The override of ``BASE_IMAGES=local`` is not among them.
        """
        return compose_files(self.text("COMPOSE_FILE"), self.text("COMPOSE_PATH_SEPARATOR"))

    def compose_env(self) -> Mapping[str, str | Secret]:
        """Return the process environment of Compose: its own keys, Docker's, and all that the layers set.

        The password of the signing key is left out: only cosign needs it.
        """
        return {
            value.key: value.value
            for value in self.values.values()
            if (value.origin != DEFAULT or value.key == "COMPOSE_FILE") and value.key != _ONLY_FOR_COSIGN
        }


def compose_files(text: str, separator: str) -> tuple[str, ...]:
    """Return the file names in the value of COMPOSE_FILE."""
    return tuple(name for name in text.split(separator or ":") if name)


def with_value(profile: Profile, value: Value) -> Profile:
    """Return a copy of the profile with a value added or replaced."""
    values = {**profile.values, value.key: value}
    return Profile(profile.environment, MappingProxyType(dict(sorted(values.items()))), profile.encrypted)


class Setting(Record):
    """A value before it is validated, and where it comes from."""

    text: str
    origin: str


def gather(
    layers: Sequence[Layer], process_env: Mapping[str, str], options: Mapping[str, str], names: Collection[str]
) -> dict[str, Setting]:
    """Return the settings by key, later layers over earlier ones, without validation.

    The process environment is read for ``names`` and for the keys that a layer sets; options always count.
    """
    settings: dict[str, Setting] = {}
    for layer in layers:
        for entry in _parsed(layer).entries:
            settings[entry.key] = Setting(entry.value, f"{layer.name}:{entry.line}")
    for key in {*names, *settings}:
        if key in process_env:
            settings[key] = Setting(process_env[key], ENVIRONMENT)
    for key, text in options.items():
        settings[key] = Setting(text, "--" + key.lower().replace("_", "-"))
    return settings


def resolve(
    environment: str,
    layers: Sequence[Layer],
    process_env: Mapping[str, str],
    options: Mapping[str, str],
    variables: Mapping[str, Variable],
    *,
    elsewhere: Collection[str] = (),
    faults: Sequence[Fault] = (),
    certain: bool = True,
) -> Profile:
    """Return the profile made of the layers, the process environment and the options; the later ones take precedence.

    ``options`` are keyed by profile key: ``HEALTH_TIMEOUT`` is shown as ``--health-timeout``. ``variables`` are those
    of the environment's Compose files, ``elsewhere`` the names that other Compose files of the project interpolate.
    ``faults`` are what the caller found wrong with the Compose files; with any, or when not all of the files could be
    read (``certain``), free variables are not judged.
    Raises one InputError that lists every fault, one a line.
    """
    settings = gather(layers, process_env, options, {*KEYS, *variables})
    parsed_layers = [_parsed(layer) for layer in layers]
    judged = (
        certain
        and not faults
        and not any("COMPOSE_FILE" in fault.message for parsed_layer in parsed_layers for fault in parsed_layer.faults)
    )
    named = {word.strip() for word in settings.get("SECRET_KEYS", Setting("", "")).text.split(",")} - {""}
    encrypted = frozenset(key for layer in layers for key in layer.encrypted)
    secret_keys = named | encrypted
    known = {*KEYS, *variables}
    all_faults = [*faults]
    for layer, parsed_layer in zip(layers, parsed_layers, strict=True):
        all_faults += _layer_faults(layer, parsed_layer, secret_keys, known, elsewhere if judged else None)
    all_faults += _outside_faults(settings, secret_keys, known)
    all_faults += _combination_faults(settings, named, known.union(elsewhere, settings))
    all_faults += _missing_faults(environment, layers, parsed_layers, settings, variables)
    if all_faults:
        raise _input_error(environment, all_faults)
    return Profile(environment, MappingProxyType(dict(_values(settings, secret_keys))), encrypted)


def _layer_faults(
    layer: Layer,
    parsed: Parsed,
    secret_keys: Collection[str],
    known: Collection[str],
    elsewhere: Collection[str] | None,
) -> list[Fault]:
    """Return the faults of a layer in the order of its lines; with ``elsewhere`` None unknown keys are not judged."""
    faults = list(parsed.faults)
    allowed = {*known, *(elsewhere or ())} if layer.shared else known
    for entry in parsed.entries:
        where = f"{layer.name}:{entry.line}"
        faults += _value_faults(where, entry.key, entry.value, secret_keys)
        faults += _key_faults(where, entry.key, allowed, elsewhere)
    return sorted(faults, key=lambda fault: int(fault.where.rpartition(":")[2]))


@lru_cache(maxsize=64)
def _parsed(layer: Layer) -> Parsed:
    """Return the parsed layer; cached, as it is read for the names of the Compose files first, then as a whole."""
    return parse(layer.name, layer.text)


def _values(settings: Mapping[str, Setting], secret_keys: Collection[str]) -> Iterator[tuple[str, Value]]:
    defaults = {key.name: Setting(key.default, DEFAULT) for key in KEYS.values() if key.default}
    for key, setting in sorted({**defaults, **settings}.items()):
        secret = _is_secret(key, setting.text, secret_keys)
        yield key, Value(key, Secret(setting.text) if secret else setting.text, setting.origin)


def _is_secret(key: str, text: str, secret_keys: Collection[str]) -> bool:
    return is_secret_name(key) or key in secret_keys or bool(url_passwords(text))


def _value_faults(where: str, key: str, text: str, secret_keys: Collection[str]) -> Iterator[Fault]:
    if key not in KEYS or not text:
        return
    kind = KEYS[key].type
    if not kind.accepts(text):
        shown = "***" if _is_secret(key, text, secret_keys) else _quoted(text)
        hint = f"{KEYS[key].doc} Write for example {key}={KEYS[key].example}"
        yield Fault(where, f"{key}: expected {kind.expected}, got {shown}", hint)


def _key_faults(where: str, key: str, allowed: Collection[str], elsewhere: Collection[str] | None) -> Iterator[Fault]:
    if key in allowed:
        return
    if key.startswith("SLIPWAY_"):
        yield Fault(
            where,
            f"{key}: a setting of the tasks themselves, not a profile key",
            "set it in invoke.yaml or in the process environment",
        )
    elif key in _LAYERS_ONLY:
        yield Fault(where, f"{key}: the layers are the only files variables come from", "remove the line")
    elif elsewhere is not None and key in elsewhere:
        yield Fault(
            where,
            f"{key}: no Compose file of this environment interpolates it, only those of others",
            "remove the line, or move it to base.env",
        )
    elif elsewhere is not None:
        near = _nearest(key, allowed)
        yield Fault(
            where,
            f"{key}: unknown key" + (f"; did you mean {near}?" if near else ": no Compose file interpolates it"),
            f"write {near}, or use {key} in a Compose file" if near else "remove the line, or use it in a Compose file",
        )


def _nearest(name: str, names: Collection[str]) -> str:
    from difflib import get_close_matches  # slow to import, needed for a fault only

    return next(iter(get_close_matches(name.upper(), sorted(names), 1, 0.75)), "")


def _outside_faults(
    settings: Mapping[str, Setting], secret_keys: Collection[str], known: Collection[str]
) -> Iterator[Fault]:
    """Yield the faults of the process environment and the options; their place is the origin, as there is no line."""
    for key, setting in sorted(settings.items()):
        if setting.origin != ENVIRONMENT and not setting.origin.startswith("--"):
            continue
        if not _is_text(setting.text):
            yield Fault(setting.origin, f"{key}: not UTF-8", f"unset {key}, or set it to text")
            continue
        yield from _value_faults(setting.origin, key, setting.text, secret_keys)
        if setting.origin.startswith("--"):
            yield from _key_faults(setting.origin, key, known, ())


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _combination_faults(
    settings: Mapping[str, Setting], secret_keys: Collection[str], names: Collection[str]
) -> Iterator[Fault]:
    host, context = settings.get("DOCKER_HOST"), settings.get("DOCKER_CONTEXT")
    if host and context and host.text and context.text:
        yield Fault(
            context.origin,
            f"DOCKER_CONTEXT: DOCKER_HOST is set as well ({host.origin}), and Docker would use that one alone",
            "set one of the two; an empty value in a later layer takes the other back",
        )
    for key in sorted(secret_keys):
        if key not in names:
            near = _nearest(key, names)
            message = f"SECRET_KEYS: {key!r} is not a key of this profile" + (f"; did you mean {near}?" if near else "")
            yield Fault(settings["SECRET_KEYS"].origin, message, "a misspelt name here would leave a secret unmasked")


def _missing_faults(
    environment: str,
    layers: Sequence[Layer],
    parsed_layers: Sequence[Parsed],
    settings: Mapping[str, Setting],
    variables: Mapping[str, Variable],
) -> Iterator[Fault]:
    if not all(parsed_layer.readable for parsed_layer in parsed_layers):
        return
    # A key whose line is faulty is not reported as missing as well.
    attempted = {
        re.split(r"[:\s]", fault.message, maxsplit=1)[0]
        for parsed_layer in parsed_layers
        for fault in parsed_layer.faults
    }
    file = next((layer.name for layer in reversed(layers) if not layer.shared and ".local." not in layer.name), "")
    file = file or f"the profile of {environment}"
    for variable in variables.values():
        name = variable.name
        setting = settings.get(name)
        if setting is None:
            needed = variable.required and not any(outer in settings for outer in variable.unless)
            if needed and name not in attempted and name not in _GIVEN_BY_COMPOSE:
                yield Fault(
                    variable.where,
                    f"{name}: {_LACKING}",
                    f"set {name} in {file} ({name}= where it may be empty), or give it a default: ${{{name}:-…}}",
                )
        elif variable.nonempty and not setting.text:
            yield Fault(setting.origin, f"{name}: empty, and {variable.where} needs a value", f"give {name} a value")


def reports_unset(message: str, key: str) -> bool:
    """Whether an error message of ``resolve`` says that a variable, or COMPOSE_FILE, is set nowhere."""
    return f": {key}: {_LACKING}" in message or f"{key} is not set, and there is no" in message


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _input_error(environment: str, faults: Sequence[Fault]) -> InputError:
    lines = list(dict.fromkeys(str(fault) for fault in faults))
    if len(lines) == 1:
        return InputError(lines[0], faults[0].hint or "fix the line as it says")
    return InputError("\n".join(lines), f"fix these lines, then run: inv env.check --env {environment}")
