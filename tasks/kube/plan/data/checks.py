"""Commands of probes with secrets in them.

Kubernetes puts no value that is a reference into the command of a probe, so the shell of the container does: it has the
secret as a variable (``placeholders.py``).
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe
"""

import shlex
from collections.abc import Iterable

from .expansion import literal
from .placeholders import named, pieces, variable

_NONE, _SINGLE, _DOUBLE = "", "'", '"'


def in_shell(text: str) -> str:
    """Return the line of a shell, as the model has it (``CMD-SHELL``), as Kubernetes is to read it.

    The value of a secret is put in as one word, whatever is in it, also between single quotes.
    """
    line, state = "", _NONE
    for before, secret in pieces(text):
        line += before
        state = _state(before, state)
        reference = f"${{{variable(secret)}}}"
        spelled = {_NONE: f'"{reference}"', _SINGLE: f"'\"{reference}\"'", _DOUBLE: reference}
        line += spelled[state] if secret else ""
    return literal(line)


def command(words: Iterable[str]) -> list[str]:
    """Return the words of a command, as the model has them (``CMD``), as Kubernetes is to read them.

    With a secret in them the shell of the image starts the command.
    """
    given = list(words)
    if not any(named(word) for word in given):
        return [in_shell(word) for word in given]
    return ["/bin/sh", "-c", literal("exec " + " ".join(_quoted(word) for word in given))]


def _quoted(word: str) -> str:
    """Return a word as the shell reads it back, with the values of its secrets."""
    parts = [
        part
        for before, secret in pieces(word)
        for part in (shlex.quote(before) if before else "", f'"${{{variable(secret)}}}"' if secret else "")
    ]
    return "".join(parts) or "''"


def _state(text: str, state: str) -> str:
    """Return between which quotes a shell is after a text, when it was between ``state`` before."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and state != _SINGLE:
            escaped = True
        elif character in (_SINGLE, _DOUBLE) and state in (_NONE, character):
            state = _NONE if state else character
    return state
