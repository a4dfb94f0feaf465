"""A command as data: what to run, with what environment and input. ``host/runner.py`` runs it."""

import shlex
from collections.abc import Mapping
from dataclasses import field

from .record import Record
from .secret import Secret

_NO_ENV: Mapping[str, "str | Secret"] = {}


class Command(Record):
    """A process to run.

    ``env`` is added to the caller's environment. ``stdin`` is text for the process; ``None`` inherits the caller's.
    ``source`` and ``sink`` are files that become its stdin and its stdout. ``timeout`` is in seconds; ``None`` waits
    for ever. ``tied``: the process gets a signal to end when Slipway is killed. ``group``: it has a process group of
    its own, and everything that it started there is ended with it. ``grace``: the seconds that it gets to end after a
    signal, until it is killed; 0: as long as every command.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str | Secret] = field(default_factory=lambda: _NO_ENV)
    stdin: str | None = None
    cwd: str | None = None
    timeout: float | None = None
    reason: str = ""
    tied: bool = False
    group: bool = False
    source: str = ""
    sink: str = ""
    grace: float = 0.0

    @property
    def title(self) -> str:
        """The program and its first two words: ``docker compose up`` of ``docker compose --env-file … up -d``."""
        words = [word for word in self.argv[1:] if not word.startswith("-") and "/" not in word]
        return " ".join((self.argv[0], *words[:2]))

    def shell(self) -> str:
        """Return the command as one line that can be pasted into ``sh``, without its environment."""
        line = shlex.join(self.argv)
        if self.stdin is not None:
            line = f"printf '%s' {shlex.quote(self.stdin)} | {line}"
        if self.source:
            line += f" < {shlex.quote(self.source)}"
        if self.sink:
            line += f" > {shlex.quote(self.sink)}"
        return line


def exports(env: Mapping[str, str | Secret]) -> tuple[str, ...]:
    """Return the ``sh`` lines that set ``env``.

    A secret is not printed: its line stops the shell when the variable is not set.
    """
    lines = []
    for key, value in sorted(env.items()):
        if isinstance(value, Secret):
            lines.append(f': "${{{key}:?is secret and not printed: export it before pasting}}"')
        else:
            lines.append(f"export {key}={shlex.quote(value)}")
    return tuple(lines)
