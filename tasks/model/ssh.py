"""The connection to an engine over SSH, and to what listens on its host."""

from collections.abc import Iterable

from .command import Command

_OPTIONS = ("-T", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR")  # each connection may print a warning otherwise


def dial(target: str) -> Command:
    """Return the command that connects its stdin and stdout to the engine at an ``ssh://`` address.

    The docker command runs the same: https://docs.docker.com/engine/security/protect-access/#use-ssh
    """
    login, host, path = _parts(target)
    engine = ("--host", f"unix:///{path}") if path.strip("/") else ()
    return Command(("ssh", *_OPTIONS, *login, "--", host, "docker", *engine, "system", "dial-stdio"))


def reach(target: str, port: int) -> Command:
    """Return the command that connects its stdin and stdout to a loopback port of the host of an ``ssh://`` address."""
    login, host, _ = _parts(target)
    return Command(("ssh", *_OPTIONS, "-W", f"127.0.0.1:{port}", *login, "--", host))


def forward(target: str, ports: Iterable[int]) -> Command:
    """Return the command that makes loopback ports of the host of an ``ssh://`` address ports of this machine."""
    login, host, _ = _parts(target)
    forwards = (word for port in ports for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:{port}"))
    return Command(("ssh", "-N", *forwards, *login, "--", host))


def _parts(target: str) -> tuple[tuple[str, ...], str, str]:
    """Return the login options of ssh, the host and the path of an ``ssh://`` address."""
    place, _, path = target.removeprefix("ssh://").partition("/")
    user, at, host = place.rpartition("@")
    port = ""
    if host.startswith("["):
        host, _, port = host.removeprefix("[").partition("]")
        port = port.removeprefix(":")
    elif ":" in host:
        host, _, port = host.partition(":")
    return (*(("-l", user) if at else ()), *(("-p", port) if port else ())), host, path
