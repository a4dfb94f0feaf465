"""The secret value type, shown as ``***`` wherever it is printed, and which names of variables mean a secret."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from .lazy_pattern import lazy_pattern

MASK = "***"

_WORDS = "PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|PRIVATE_KEY|API_?KEY|ACCESS_?KEY|SECRET_?KEY"
# PASSWORD counts without a separator too (PGPASSWORD); PASS, PWD, KEY and WEBHOOK only where a name ends: who knows the
# address of a webhook may post to it.
_SECRET_NAME = lazy_pattern(
    rf"(?:\A|_)(?:{_WORDS})(?:_|\Z)|(?:PASSWORD|_PASS|_PWD|[A-Z0-9]_KEY|_WEBHOOK(?:_URL)?)\Z|\A(?:PASS|APIKEY)\Z", re.I
)
_NOT_SECRET_END = lazy_pattern(
    r"_(?:FILE|DIR|PATH|KEYS|TTL|EXPIRY|EXPIRES|EXPIRES_IN|EXPIRATION|LENGTH|TIMEOUT)\Z", re.I
)
# Keys that are public, or that are not cryptographic; the last two name a place (a file, or env://NAME).
_PUBLIC_KEY = lazy_pattern(
    r"(?:PUBLIC|PUBLISHABLE|ANON|SITE|PRIMARY|FOREIGN|PARTITION|SORT|CACHE|ROUTING)_KEY\Z"
    r"|\A(?:NEXT_PUBLIC|NUXT_PUBLIC|REACT_APP|VITE)_|\A(?:SIGN|VERIFY)_KEY\Z",
    re.I,
)
_ANY_KEY = lazy_pattern(rf"(?:\A|_)(?:{_WORDS})(?:_|\Z)", re.I)
_URL_PASSWORD = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s@:]*:([^/?#\s]+)@")
_LONG = 8  # characters; a line of a multi-line secret that is at least so long is masked by itself


class Secret:
    """A value that is never shown.

    ``str()``, ``repr()`` and ``format()`` give ``***``; only :meth:`reveal` gives the value. The runner calls it to
    fill the environment of a process.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not serialised")


def reveal(value: "str | Secret") -> str:
    """Return the plain text of a value that may be a :class:`Secret`."""
    return value.reveal() if isinstance(value, Secret) else value


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name contains a secret itself, not the path of one."""
    if _SECRET_NAME.search(name) is None or _NOT_SECRET_END.search(name) is not None:
        return False
    return _ANY_KEY.search(name) is not None or _PUBLIC_KEY.search(name) is None


def url_passwords(value: str) -> tuple[str, ...]:
    """Return the passwords of the URLs in a value (``postgres://user:password@host``)."""
    return tuple(_URL_PASSWORD.findall(value)) if "://" in value else ()


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return text with every secret masked, also where a program has quoted or escaped it."""
    for secret in secrets:
        for spelling in spellings(secret):
            text = text.replace(spelling, MASK)
    return text


@lru_cache(maxsize=256)
def spellings(secret: str) -> tuple[str, ...]:
    """Return the spellings of a secret, the longest first: plain, and as Compose, JSON, YAML, URLs and `sh` quote it.

    Of a secret with several lines each long line counts as well, because output is masked line by line.
    """
    if secret.isascii() and secret.isalnum():
        return (secret,)
    plain = {secret, *(line for line in secret.splitlines() if len(line) >= _LONG)}
    plain |= {text.replace("$", "$$") for text in plain}
    quoted = set(plain)
    for text in plain:
        quoted |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
        quoted |= {text.replace("'", "''"), quote(text, safe=""), quote(text)}
    quoted |= {text.replace("'", "'\"'\"'") for text in quoted}
    return tuple(sorted(quoted - {""}, key=lambda text: (-len(text), text)))
