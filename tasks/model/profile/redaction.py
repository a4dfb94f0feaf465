"""The Compose model of a release without its secrets: they are replaced by placeholders and keyed fingerprints.

To know where each secret goes, Compose renders the files a second time with a unique word in place of each secret
(``marks``). Without that rendering, or for a secret that is written literally in a Compose file, values are compared; a
short value only as a whole, as it may be part of another word by chance.

A placeholder is ``${slipway:NAME}``. In a rendered model every ``$`` of the user is doubled, so user text is never
mistaken for a placeholder, and Compose refuses a placeholder that was not filled. ``NAME`` is the profile's key, else
the path of the value in the model: ``web.environment.PGPASSWORD``.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from ..lazy_pattern import lazy_pattern
from ..record import Record
from ..secret import MASK, is_secret_name, reveal, url_passwords
from .profile import Profile
from .schema import KEYS

_PLACEHOLDER = lazy_pattern(r"\$\$|\$\{slipway:([^}]*)\}")
_KEY = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_LONG = 8  # characters; a secret of at least so many is searched inside longer values
_VARIABLES = ("environment", "args", "labels")
_OURS = "x-slipway"
_SWITCH = lazy_pattern(r"true|false|yes|no|on|off|[01]", re.I)
_PLACE = lazy_pattern(r"/run/secrets/.*|\.{0,2}/[\w./-]*\.[A-Za-z0-9]{2,5}|env://.*", re.ASCII)


class Redacted(Record):
    """A model with placeholders, and the fingerprint of each secret that they stand for, by name."""

    model: Mapping[str, Any]
    fingerprints: Mapping[str, str]


class Restored(Record):
    """A model whose placeholders are filled with values, as far as there are any.

    ``changed`` are the secrets whose value is another than in the record, ``missing`` those without a value;
    ``fingerprints`` are those of the values that were filled in.
    """

    model: Mapping[str, Any]
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)


def secrets_of(profile: Profile) -> dict[str, str]:
    """Return the secrets of a profile in plain text, by key; without empty values."""
    return {key: text for key, value in profile.values.items() if value.secret and (text := reveal(value.value))}


def is_secret_variable(name: str, text: str) -> bool:
    """Whether a variable is a secret, judging by its name and value; a path or a switch is none."""
    if url_passwords(text):
        return True
    return _named_as_secret(name) and text != "" and not _SWITCH.fullmatch(text) and not _PLACE.fullmatch(text)


@lru_cache(maxsize=1024)  # the keys of services come again and again
def _named_as_secret(name: str) -> bool:
    return is_secret_name(re.sub(r"[-.]", "_", name))


def fingerprint(name: str, value: str, key: bytes) -> str:
    """Return the fingerprint of a value for the record: 32 hex digits that reveal nothing without the key.

    The first four digits identify the key: fingerprints made with another key are recognized by them.
    """
    digest = hmac.new(key, f"{name}\0{value}".encode(errors="surrogatepass"), "sha256").hexdigest()
    return _digits(key) + digest[: 32 - len(_digits(key))]


def comparable(fingerprints: Mapping[str, str], key: bytes) -> bool:
    """Whether fingerprints were made with this key; made with another key, they cannot be compared."""
    return bool(key) and all(value.startswith(_digits(key)) for value in fingerprints.values())


def _digits(key: bytes) -> str:
    return hmac.new(key, b"which key", "sha256").hexdigest()[:4]


def marks(profile: Profile, key: bytes) -> dict[str, str]:
    """Return a unique word for each secret that Compose files may interpolate, by key."""
    free = {name for name in profile.compose_env() if name not in KEYS} & set(secrets_of(profile))
    return {name: f"slipway{fingerprint(name, 'mark', key)}" for name in sorted(free)}


def redact(
    model: Mapping[str, Any],
    secrets: Mapping[str, str],
    key: bytes,
    template: Mapping[str, Any] | None = None,
    marked: Mapping[str, str] | None = None,
) -> Redacted:
    """Return a rendered model with its secrets replaced by placeholders.

    ``secrets`` are those of the profile by key, ``template`` the same model rendered with the words of ``marked``.
    """
    redaction = _Redaction(_with_parts(secrets), marked or {}, {})
    redacted: dict[str, Any] = redaction.node(model, template, ())
    # A secret that is written literally in one place may be written in others too.
    copied = {
        name: value for name, value in redaction.used.items() if name not in redaction.values and _unmistakable(value)
    }
    if copied:
        redaction = _Redaction(redaction.values, marked or {}, copied)
        redacted = redaction.node(model, template, ())
    named = {name: secrets[name] for name in _by_name(model) if secrets.get(name)}
    used = {**redaction.used, **named}
    return Redacted(redacted, {name: fingerprint(name, used[name], key) for name in sorted(used)})


def plain_secrets(model: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the secrets that a model certainly contains in plain text."""
    redaction = _Redaction(_with_parts(secrets), {}, {})
    redaction.node(model, model, ())
    return tuple(sorted(redaction.used))


def literal_secrets(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that a rendered model has under names of secrets, unless they occur elsewhere in it too."""
    redaction = _Redaction({}, {}, {})
    rest = "\n".join(_texts(redaction.node(model, model, ())))
    return tuple(sorted({value for value in redaction.used.values() if len(value) > 3 and _doubled(value) not in rest}))


def values_of(secrets: Mapping[str, str], model: Mapping[str, Any]) -> dict[str, str]:
    """Return every value that a placeholder may be filled with, by name: those of the model and of the profile."""
    return {**dict(_leaves(model, ())), **_with_parts(secrets)}


def restore(
    model: Mapping[str, Any], values: Mapping[str, str], fingerprints: Mapping[str, str], key: bytes
) -> Restored:
    """Return a redacted model filled with ``values`` (see ``values_of``).

    Without the ``key`` of the fingerprints no secret is reported as changed. For a name without a value the value with
    the recorded fingerprint is used: the secret may have been renamed.
    """
    known = comparable(fingerprints, key)
    wanted = {*fingerprints, *placeholders(model)}
    chosen = {name: values[name] for name in wanted if name in values}
    for name in sorted(wanted - set(chosen)) if known else ():
        same = (value for value in values.values() if fingerprint(name, value, key) == fingerprints.get(name))
        if (same_value := next(same, None)) is not None:
            chosen[name] = same_value
    now = {name: fingerprint(name, value, key) for name, value in chosen.items()} if key else dict(fingerprints)
    changed = [name for name in chosen if known and now[name] != fingerprints.get(name)]
    filled = _replaced(model, lambda name: _doubled(chosen[name]) if name in chosen else _placeholder(name))
    return Restored(filled, tuple(sorted(changed)), tuple(sorted(wanted - set(chosen))), dict(sorted(now.items())))


def secrets_in_containers(
    model: Mapping[str, Any],
    environments: Mapping[str, Mapping[str, str]],
    fingerprints: Mapping[str, str],
    key: bytes,
) -> dict[str, str]:
    """Return the secrets of a release, by name, as far as its containers still have them in their environment.

    ``environments`` are those of the containers, by service. Values with another fingerprint than recorded belong to
    another release, and are left out.
    """
    secrets: dict[str, str] = {}
    for service, raw in (model.get("services") or {}).items() if key else ():
        for variable, text in (raw.get("environment") or {}).items():
            current = environments.get(service, {}).get(variable)
            names = _names(text) if isinstance(text, str) else ()
            match = re.fullmatch(_pattern(text), current, re.DOTALL) if names and current is not None else None
            for name, value in zip(names, match.groups() if match else (), strict=False):
                if fingerprint(name, value, key) == fingerprints.get(name):
                    secrets[name] = value
    return secrets


def printable_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a redacted model for printing: secrets of the profile as ``${KEY}``, to be filled by Compose, else ***."""
    printed: dict[str, Any] = _replaced(model, lambda name: f"${{{name}}}" if _KEY.fullmatch(name) else MASK)
    return printed


def placeholders(model: Any) -> tuple[str, ...]:
    """Return the names that a redacted model has placeholders for."""
    return tuple(sorted({name for text in _texts(model) for name in _names(text)}))


class _Redaction:
    """One walk through a model, which collects the secrets that it replaces in ``used``.

    ``values`` are the secrets of the profile by name, ``copied`` those that are written literally in the model.
    """

    def __init__(self, values: Mapping[str, str], marked: Mapping[str, str], copied: Mapping[str, str]) -> None:
        self.values, self.copied = values, copied
        self.marked = {word: name for name, word in marked.items()}
        self.used: dict[str, str] = {}

    def node(self, value: Any, template: Any, path: tuple[str, ...]) -> Any:
        """Return a part of the model without secrets; ``template`` is None where there is none."""
        if isinstance(value, str):
            return self._text(value, template, path)
        if isinstance(value, list):
            return self._list(value, template, path)
        if not isinstance(value, Mapping):
            return value
        known = template if isinstance(template, Mapping) else {}
        return {key: self.node(child, known.get(key), (*path, str(key))) for key, child in value.items()}

    def _list(self, values: list[Any], template: Any, path: tuple[str, ...]) -> list[Any]:
        places = [(*path, str(number)) for number in range(len(values))]
        if isinstance(template, list) and len(template) == len(values):
            return [self.node(*arguments) for arguments in zip(values, template, places, strict=True)]
        if self._has_marks(template):  # a secret with blanks became several words of a command
            return [
                self._own(item, place) if isinstance(item, str) else self.node(item, None, place)
                for item, place in zip(values, places, strict=True)
            ]
        return [self.node(item, None, place) for item, place in zip(values, places, strict=True)]

    def _text(self, text: str, template: Any, path: tuple[str, ...]) -> str:
        if _names(text):
            return text  # is redacted already
        if self._has_marks(template):
            return self._by_marks(text, template) or self._own(text, path)
        known = template == text
        plain = _plain(text)
        variable = len(path) > 1 and path[-2] in _VARIABLES
        if not known and (whole := self._whole(plain, variable)):
            return whole
        if known and self._named(plain, path):
            return self._own(text, path)
        replaced = self._parts(plain, everything=variable and not known)
        return self._own(text, path) if replaced == text and self._named(plain, path) else replaced

    def _named(self, plain: str, path: tuple[str, ...]) -> bool:
        if path[0] == "secrets":
            return path[-1] == "content"
        return _OURS not in path and is_secret_variable(path[-1], plain)

    def _has_marks(self, template: Any) -> bool:
        if not self.marked or template is None:
            return False
        return any(word in text for text in _texts(template) for word in self.marked)

    def _by_marks(self, text: str, template: Any) -> str:
        """Return the template with a placeholder for each mark; "" when it does not give the text."""
        if not isinstance(template, str):
            return ""
        names = self.marked
        pieces = re.split(f"({'|'.join(names)})", template)
        filled = [_doubled(self.values.get(names[piece], "")) if piece in names else piece for piece in pieces]
        if "".join(filled) != text:
            return ""
        return "".join(
            self._used(names[piece], self.values[names[piece]]) if piece in names else piece for piece in pieces
        )

    def _whole(self, plain: str, variable: bool) -> str:
        if not variable and len(plain) < _LONG:
            return ""
        return next((self._used(name, secret) for name, secret in sorted(self.values.items()) if secret == plain), "")

    def _parts(self, plain: str, everything: bool) -> str:
        """Return a text with the secrets in it replaced; ``everything``: also those that look like ordinary words."""
        if not (self.copied or self.values):
            return _doubled(plain)
        secrets = {**self.copied, **self.values}
        names = {secret: name for name, secret in sorted(secrets.items(), reverse=True) if secret in plain}
        wanted = [secret for secret in names if _unmistakable(secret) or (everything and len(secret) >= _LONG)]
        if not wanted:
            return _doubled(plain)
        longest_first = "|".join(re.escape(secret) for secret in sorted(wanted, key=lambda secret: -len(secret)))
        pieces = re.split(f"({longest_first})", plain)
        return "".join(self._used(names[piece], piece) if piece in wanted else _doubled(piece) for piece in pieces)

    def _own(self, text: str, path: tuple[str, ...]) -> str:
        return self._used(_name(path), _plain(text)) if text else text

    def _used(self, name: str, value: str) -> str:
        self.used[name] = value
        return _placeholder(name)


def _with_parts(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets, and the passwords in those that are URLs as secrets of their own."""
    values = {name: value for name, value in secrets.items() if value}
    for name, value in tuple(values.items()):
        for number, part in enumerate(url_passwords(value)):
            values[f"{name}.password{number or ''}"] = part
    return values


def _unmistakable(value: str) -> bool:
    """Whether a value is too random to be an ordinary word of a text."""
    classes = sum(bool(re.search(pattern, value)) for pattern in (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]"))
    return len(value) >= _LONG and (classes > 2 or (len(value) >= 2 * _LONG and bool(re.search(r"[0-9]", value))))


def _by_name(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the variables that secrets and configs are made from; the model has their names, not their values."""
    for kind in ("secrets", "configs"):
        for entry in (model.get(kind) or {}).values():
            if isinstance(entry, Mapping) and isinstance(entry.get("environment"), str):
                yield entry["environment"]


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _leaves(child, (*path, str(key)))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _leaves(child, (*path, str(number)))
    elif isinstance(node, str) and not _names(node):
        yield _name(path), _plain(node)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield str(key)
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node


def _replaced(node: Any, value: Callable[[str], str]) -> Any:
    """Return a part of a model with its placeholders replaced by what ``value`` makes of their names."""
    if isinstance(node, Mapping):
        return {key: _replaced(child, value) for key, child in node.items()}
    if isinstance(node, list):
        return [_replaced(child, value) for child in node]
    if not isinstance(node, str) or "${slipway:" not in node:
        return node
    return _PLACEHOLDER.sub(lambda match: match[0] if match[1] is None else value(unquote(match[1])), node)


def _name(path: Sequence[str]) -> str:
    return ".".join(path[1:] if path[:1] == ("services",) and len(path) > 2 else path)


def _placeholder(name: str) -> str:
    return f"${{slipway:{quote(name)}}}"


def _names(text: str) -> tuple[str, ...]:
    if "${slipway:" not in text:
        return ()
    return tuple(unquote(match[1]) for match in _PLACEHOLDER.finditer(text) if match[1] is not None)


def _pattern(text: str) -> str:
    """Return the regular expression for a text with placeholders as it is in a container: a group for each."""
    pattern, last = "", 0
    for match in _PLACEHOLDER.finditer(text):
        if match[1] is not None:
            pattern += f"{re.escape(_plain(text[last : match.start()]))}(.*)"
            last = match.end()
    return pattern + re.escape(_plain(text[last:]))


def _plain(text: str) -> str:
    return text.replace("$$", "$")


def _doubled(text: str) -> str:
    return text.replace("$", "$$")
