"""The systemd unit of an agent: https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html"""

from collections.abc import Mapping, Sequence

from ...model.errors import InputError

_STOP = 930  # seconds: a deploy that is stopped gets 900 to go back


def unit(name: str, program: Sequence[str], directory: str, user: str, env: Mapping[str, str]) -> str:
    """Return a unit; raises InputError for a word that a unit cannot say."""
    variables = [f"Environment={quoted(f'{key}={value}', expanded=False)}" for key, value in sorted(env.items())]
    lines = [
        "[Unit]",
        f"Description=Slipway GitOps agent of {name}",
        "Wants=network-online.target",
        "After=network-online.target docker.service",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStart={' '.join(quoted(word) for word in program)}",
        f"WorkingDirectory={_plain(directory).replace('%', '%%')}",
        f"User={_plain(user)}",
        *variables,
        "Restart=always",
        "RestartSec=10",
        "# SIGTERM goes to the agent only, which lets a deploy that runs go back.",
        "KillMode=mixed",
        f"TimeoutStopSec={_STOP}",
        "SuccessExitStatus=143",
        "NoNewPrivileges=true",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def quoted(word: str, expanded: bool = True) -> str:
    """Return a word as systemd reads it, in quotes where it has to be; ``expanded``: variables in it would be."""
    text = _plain(word).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("$", "$$") if expanded else text
    plain = text == word and word and not any(character.isspace() or character in "';" for character in word)
    return text if plain else f'"{text}"'


def _plain(word: str) -> str:
    if not word.isprintable():
        raise InputError(f"{word!r}: a unit of systemd cannot say that", "use a name without line breaks")
    return word
