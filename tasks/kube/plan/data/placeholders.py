"""Secrets in texts of the model: placeholders there, variables of the container on Kubernetes.

In the model of a release a secret is ``${slipway:NAME}`` (model/profile/redaction.py). Kubernetes puts variables into
the values of others and into the words of commands, as ``$(VARIABLE)``; so a container that has a secret in a longer
text gets it as a variable of its own, which nothing reads by name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from .expansion import literal
from .naming import digest

_PLACEHOLDER = lazy_pattern(r"(\$\$)|\$\{slipway:([^}]*)\}")
_PREFIX = "SLIPWAY_SECRET_"


def pieces(text: str) -> list[tuple[str, str]]:
    """Return a text of the model as pairs of a text, as Compose means it, and the secret after it, "" at the end."""
    found, start = [], 0
    for match in _PLACEHOLDER.finditer(text):
        if match[1] is None:
            found.append((_plain(text[start : match.start()]), match[2]))
            start = match.end()
    return [*found, (_plain(text[start:]), "")]


def _plain(text: str) -> str:
    return text.replace("$$", "$")


def named(text: str) -> tuple[str, ...]:
    """Return the secrets in a text of the model, in their order."""
    return tuple(secret for _, secret in pieces(text) if secret)


def variable(secret: str) -> str:
    """Return the variable that has a secret which is part of longer texts."""
    cleaned = re.sub(r"[^A-Za-z0-9_]", "_", secret)
    return f"{_PREFIX}{cleaned}" + ("" if cleaned == secret else f"_{digest(secret)}")


def spelled(text: str) -> str:
    """Return a text of the model as Kubernetes is to read it: literally, but for the variables that are secrets."""
    return "".join(literal(before) + (f"$({variable(secret)})" if secret else "") for before, secret in pieces(text))


def in_commands(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets in the words that start a service or check its health, each once."""
    check = (raw.get("healthcheck") or {}).get("test")
    words = [str(word) for value in (raw.get("entrypoint"), raw.get("command"), check) for word in _listed(value)]
    return tuple(dict.fromkeys(secret for word in words for secret in named(word)))


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
