"""How to get a shell beside or inside a service."""

import re
from pathlib import PurePosixPath

from .command import Command
from .compose import compose
from .facts import Container
from .profile import Profile
from .stack import Service

SHELLS = ("/bin/bash", "/bin/sh", "/busybox/sh")


def inside(profile: Profile, service: Service, shell: str, words: tuple[str, ...], tty: bool, cwd: str) -> Command:
    """Return the command that starts a shell in the running container of a service."""
    flags = () if tty else ("--no-TTY",)
    return compose(profile, "exec", *flags, service.name, shell, *words, cwd=cwd, reason=f"shell in {service.name}")


def beside(container: Container, image: str, words: tuple[str, ...], tty: bool, env: dict[str, str]) -> Command:
    """Return the command that starts a debug image in the namespaces of a container that has no shell.

    It sees the container's processes and network; the container's files are under ``/proc/1/root``.
    """
    argv = ("docker", "run", "--rm", "--interactive", *(["--tty"] if tty else []))
    namespaces = (f"--pid=container:{container.id}", f"--network=container:{container.id}")
    # /proc/1/root of another container's process needs this capability.
    rights = ("--cap-add=SYS_PTRACE", "--user=0")
    return Command(
        (*argv, *namespaces, *rights, "--entrypoint=sh", image, *words),
        env=env,
        reason=f"shell of {image} in the namespaces of {container.name}; its files: /proc/1/root",
    )


# psql:<stdin>:3: ERROR:  …   and   ERROR 1064 (42000) at line 3: …
_FAULTS = (
    re.compile(r"^psql:[^:]*:(?P<line>[0-9]+): (?:ERROR|FATAL|error):\s*(?P<what>.*)$", re.MULTILINE),
    re.compile(r"^ERROR [0-9]+ \(\w+\) at line (?P<line>[0-9]+): (?P<what>.*)$", re.MULTILINE),
)
_PSQL = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=-")


def _is_psql(client: tuple[str, ...]) -> bool:
    return PurePosixPath(client[0]).name == "psql"


def load_words(client: tuple[str, ...]) -> tuple[str, ...]:
    """Return the client's words for a file of statements on its stdin."""
    return (*client, *_PSQL) if _is_psql(client) else client


def in_transaction(client: tuple[str, ...], statements: str) -> str:
    """Return statements as one transaction; psql makes one itself. No line moves: errors name theirs."""
    return statements if _is_psql(client) else f"BEGIN; {statements.rstrip()}\nCOMMIT;\n"


def sql_fault(output: str) -> str:
    """Return the line at fault and what the database says of it, "" when the client's output does not tell."""
    found = next((match for one in _FAULTS if (match := one.search(output))), None)
    return f"line {found['line']}: {found['what'].strip()}" if found else ""
