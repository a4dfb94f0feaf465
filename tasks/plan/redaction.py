"""The Compose model of a release without its secrets: placeholders and keyed fingerprints in, today's values out.

Where a value comes from is known, not guessed, wherever that can be: Compose renders the files a second time with a
mark in place of each secret (``marks``), and the marks show where the secrets go. Without it, or for a copy of a secret
that somebody wrote out, values are compared; a short one only as a whole, as it may be part of a word by chance.

A placeholder is ``${slipway:NAME}``. In a rendered model every ``$`` of the user's is doubled, so no text of theirs is
one, and Compose refuses a placeholder that nobody has filled. ``NAME`` is the profile's key, else the place of the
value in the model: ``web.environment.PGPASSWORD``.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from .profile import Profile
from .schema import KEYS
from .secret import MASK, is_secret_name, reveal, url_passwords

_PLACEHOLDER = re.compile(r"\$\$|\$\{slipway:([^}]*)\}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONG = 8  # characters from which a secret is looked for inside a longer value
_VARIABLES = ("environment", "args", "labels")
_OURS = "x-slipway"
_SWITCH = re.compile(r"true|false|yes|no|on|off|[01]", re.I)
_PLACE = re.compile(r"/run/secrets/.*|\.{0,2}/[\w./-]*\.[A-Za-z0-9]{2,5}|env://.*", re.ASCII)


@dataclass(frozen=True)
class Redacted:
    """A model with placeholders, and the fingerprint of each secret that it stands for, by its name."""

    model: Mapping[str, Any]
    fingerprints: Mapping[str, str]


@dataclass(frozen=True)
class Restored:
    """A model with values, as far as there are any.

    ``changed`` are the secrets that are not what they were, ``missing`` those that have no value; ``fingerprints`` are
    those of the values that were filled in.
    """

    model: Mapping[str, Any]
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)


def secrets_of(profile: Profile) -> dict[str, str]:
    """Return the secrets of a profile in the clear, by key; without those that are empty."""
    return {key: text for key, one in profile.values.items() if one.secret and (text := reveal(one.value))}


def holds_secret(name: str, text: str) -> bool:
    """Whether a variable is a secret, as far as its name and its value tell; not the place of one, nor a switch."""
    if url_passwords(text):
        return True
    named = is_secret_name(re.sub(r"[-.]", "_", name))
    return named and text != "" and not _SWITCH.fullmatch(text) and not _PLACE.fullmatch(text)


def fingerprint(name: str, value: str, key: bytes) -> str:
    """Return what stands for a value in a record: it tells nobody without the key what the value is.

    The first four digits are the key's: what was made with another one is known by them.
    """
    made = hmac.new(key, f"{name}\0{value}".encode(errors="surrogatepass"), "sha256").hexdigest()
    return _digits(key) + made[: 32 - len(_digits(key))]


def comparable(fingerprints: Mapping[str, str], key: bytes) -> bool:
    """Whether fingerprints were made with a key: with another one nothing can be said of the values."""
    return bool(key) and all(one.startswith(_digits(key)) for one in fingerprints.values())


def _digits(key: bytes) -> str:
    return hmac.new(key, b"which key", "sha256").hexdigest()[:4]


def marks(profile: Profile, key: bytes) -> dict[str, str]:
    """Return a word for each secret that Compose files may interpolate; no file has these words in it by chance."""
    free = {name for name in profile.compose_env() if name not in KEYS} & set(secrets_of(profile))
    return {name: f"slipway{fingerprint(name, 'mark', key)}" for name in sorted(free)}


def redact(
    model: Mapping[str, Any],
    secrets: Mapping[str, str],
    key: bytes,
    template: Mapping[str, Any] | None = None,
    marked: Mapping[str, str] | None = None,
) -> Redacted:
    """Return a rendered model without secrets.

    ``secrets`` are those of the profile by key, ``template`` the same model rendered with the words of ``marked``.
    """
    found = _Redaction(_with_parts(secrets), marked or {}, {})
    without: dict[str, Any] = found.node(model, template, ())
    # What is written out in one place may be written out in others too.
    copied = {name: one for name, one in found.used.items() if name not in found.values and _unmistakable(one)}
    if copied:
        found = _Redaction(found.values, marked or {}, copied)
        without = found.node(model, template, ())
    named = {name: secrets[name] for name in _by_name(model) if secrets.get(name)}
    used = {**found.used, **named}
    return Redacted(without, {name: fingerprint(name, used[name], key) for name in sorted(used)})


def exposed(model: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the secrets that a model holds in the clear, as far as that is beyond doubt."""
    found = _Redaction(_with_parts(secrets), {}, {})
    found.node(model, model, ())
    return tuple(sorted(found.used))


def written_out(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets that stand in a rendered model, by the names of variables, and are no words beside."""
    found = _Redaction({}, {}, {})
    rest = "\n".join(_texts(found.node(model, model, ())))
    return tuple(sorted({one for one in found.used.values() if len(one) > 3 and _doubled(one) not in rest}))


def values_of(secrets: Mapping[str, str], model: Mapping[str, Any]) -> dict[str, str]:
    """Return every value that a placeholder may stand for today, by its name."""
    return {**dict(_leaves(model, ())), **_with_parts(secrets)}


def restore(
    model: Mapping[str, Any], values: Mapping[str, str], fingerprints: Mapping[str, str], key: bytes
) -> Restored:
    """Return a redacted model with the values of ``values_of``; without their ``key`` none is known to have changed.

    A name that has no value any more may have become another one: then that value counts which is the same as it was.
    """
    known = comparable(fingerprints, key)
    wanted = {*fingerprints, *placeholders(model)}
    chosen = {name: values[name] for name in wanted if name in values}
    for name in sorted(wanted - set(chosen)) if known else ():
        same = (one for one in values.values() if fingerprint(name, one, key) == fingerprints.get(name))
        if (found := next(same, None)) is not None:
            chosen[name] = found
    now = {name: fingerprint(name, one, key) for name, one in chosen.items()} if key else dict(fingerprints)
    changed = [name for name in chosen if known and now[name] != fingerprints.get(name)]
    filled = _replaced(model, lambda name: _doubled(chosen[name]) if name in chosen else _placeholder(name))
    return Restored(filled, tuple(sorted(changed)), tuple(sorted(wanted - set(chosen))), dict(sorted(now.items())))


def seen(
    model: Mapping[str, Any],
    environments: Mapping[str, Mapping[str, str]],
    fingerprints: Mapping[str, str],
    key: bytes,
) -> dict[str, str]:
    """Return the secrets that containers still hold as a release gave them, read out of their environments by service.

    What does not have the fingerprint of the record is another release's.
    """
    found: dict[str, str] = {}
    for service, raw in (model.get("services") or {}).items() if key else ():
        for variable, text in (raw.get("environment") or {}).items():
            held = environments.get(service, {}).get(variable)
            names = _names(text) if isinstance(text, str) else ()
            match = re.fullmatch(_pattern(text), held, re.DOTALL) if names and held is not None else None
            for name, value in zip(names, match.groups() if match else (), strict=False):
                if fingerprint(name, value, key) == fingerprints.get(name):
                    found[name] = value
    return found


def shown(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a redacted model to be printed: Compose fills the profile's secrets in from its environment itself."""
    printed: dict[str, Any] = _replaced(model, lambda name: f"${{{name}}}" if _KEY.fullmatch(name) else MASK)
    return printed


def placeholders(model: Any) -> tuple[str, ...]:
    """Return the names that a redacted model has placeholders for."""
    return tuple(sorted({name for text in _texts(model) for name in _names(text)}))


class _Redaction:
    """One walk through a model. ``values`` are the profile's by name, ``copied`` those written out elsewhere in it."""

    def __init__(self, values: Mapping[str, str], marked: Mapping[str, str], copied: Mapping[str, str]) -> None:
        self.values, self.copied = values, copied
        self.marked = {word: name for name, word in marked.items()}
        self.used: dict[str, str] = {}

    def node(self, value: Any, template: Any, path: tuple[str, ...]) -> Any:
        """Return a part of the model without secrets; ``template`` is None where it is not known."""
        if isinstance(value, Mapping):
            known = template if isinstance(template, Mapping) else {}
            return {key: self.node(one, known.get(key), (*path, str(key))) for key, one in value.items()}
        if isinstance(value, list):
            return self._list(value, template, path)
        return self._text(value, template, path) if isinstance(value, str) else value

    def _list(self, values: list[Any], template: Any, path: tuple[str, ...]) -> list[Any]:
        places = [(*path, str(number)) for number in range(len(values))]
        if isinstance(template, list) and len(template) == len(values):
            return [self.node(*one) for one in zip(values, template, places, strict=True)]
        if self._has_marks(template):  # a secret with blanks in it has become several words of a command
            return [
                self._own(one, place) if isinstance(one, str) else self.node(one, None, place)
                for one, place in zip(values, places, strict=True)
            ]
        return [self.node(one, None, place) for one, place in zip(values, places, strict=True)]

    def _text(self, text: str, template: Any, path: tuple[str, ...]) -> str:
        if _names(text):
            return text  # without its secrets already
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
        return _OURS not in path and holds_secret(path[-1], plain)

    def _has_marks(self, template: Any) -> bool:
        if not self.marked or template is None:
            return False
        return any(word in text for text in _texts(template) for word in self.marked)

    def _by_marks(self, text: str, template: Any) -> str:
        """Return a text by what it was made from; "" where that is not what it was made from."""
        if not isinstance(template, str):
            return ""
        names = self.marked
        pieces = re.split(f"({'|'.join(names)})", template)
        filled = [_doubled(self.values.get(names[one], "")) if one in names else one for one in pieces]
        if "".join(filled) != text:
            return ""
        return "".join(self._used(names[one], self.values[names[one]]) if one in names else one for one in pieces)

    def _whole(self, plain: str, variable: bool) -> str:
        if not variable and len(plain) < _LONG:
            return ""
        return next((self._used(name, one) for name, one in sorted(self.values.items()) if one == plain), "")

    def _parts(self, plain: str, everything: bool) -> str:
        """Return a text with the secrets that stand in it replaced; ``everything``: those too that look like words."""
        every = {**self.copied, **self.values}
        names = {one: name for name, one in sorted(every.items(), reverse=True) if one in plain}
        wanted = [one for one in names if _unmistakable(one) or (everything and len(one) >= _LONG)]
        if not wanted:
            return _doubled(plain)
        longest_first = "|".join(re.escape(one) for one in sorted(wanted, key=lambda one: -len(one)))
        pieces = re.split(f"({longest_first})", plain)
        return "".join(self._used(names[one], one) if one in wanted else _doubled(one) for one in pieces)

    def _own(self, text: str, path: tuple[str, ...]) -> str:
        return self._used(_name(path), _plain(text)) if text else text

    def _used(self, name: str, value: str) -> str:
        self.used[name] = value
        return _placeholder(name)


def _with_parts(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return secrets with the passwords of those that are URLs, as secrets of their own."""
    found = {name: one for name, one in secrets.items() if one}
    for name, one in tuple(found.items()):
        for number, part in enumerate(url_passwords(one)):
            found[f"{name}.password{number or ''}"] = part
    return found


def _unmistakable(value: str) -> bool:
    """Whether a value is no word that may stand somewhere by chance."""
    classes = sum(bool(re.search(one, value)) for one in (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]"))
    return len(value) >= _LONG and (classes > 2 or (len(value) >= 2 * _LONG and bool(re.search(r"[0-9]", value))))


def _by_name(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the variables that secrets and configs of the model are made from: their values are nowhere in it."""
    for kind in ("secrets", "configs"):
        for one in (model.get(kind) or {}).values():
            if isinstance(one, Mapping) and isinstance(one.get("environment"), str):
                yield one["environment"]


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, one in node.items():
            yield from _leaves(one, (*path, str(key)))
    elif isinstance(node, list):
        for number, one in enumerate(node):
            yield from _leaves(one, (*path, str(number)))
    elif isinstance(node, str) and not _names(node):
        yield _name(path), _plain(node)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, one in node.items():
            yield str(key)
            yield from _texts(one)
    elif isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, str):
        yield node


def _replaced(node: Any, value: Callable[[str], str]) -> Any:
    """Return a part of a model with its placeholders replaced by what ``value`` makes of their names."""
    if isinstance(node, Mapping):
        return {key: _replaced(one, value) for key, one in node.items()}
    if isinstance(node, list):
        return [_replaced(one, value) for one in node]
    if not isinstance(node, str) or "${slipway:" not in node:
        return node
    return _PLACEHOLDER.sub(lambda found: found[0] if found[1] is None else value(unquote(found[1])), node)


def _name(path: Sequence[str]) -> str:
    return ".".join(path[1:] if path[:1] == ("services",) and len(path) > 2 else path)


def _placeholder(name: str) -> str:
    return f"${{slipway:{quote(name)}}}"


def _names(text: str) -> tuple[str, ...]:
    if "${slipway:" not in text:
        return ()
    return tuple(unquote(found[1]) for found in _PLACEHOLDER.finditer(text) if found[1] is not None)


def _pattern(text: str) -> str:
    """Return the expression for what a text with placeholders may have become in a container."""
    made, last = "", 0
    for found in _PLACEHOLDER.finditer(text):
        if found[1] is not None:
            made += f"{re.escape(_plain(text[last : found.start()]))}(.*)"
            last = found.end()
    return made + re.escape(_plain(text[last:]))


def _plain(text: str) -> str:
    return text.replace("$$", "$")


def _doubled(text: str) -> str:
    return text.replace("$", "$$")
