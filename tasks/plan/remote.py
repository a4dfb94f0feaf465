"""Engines that are reached over SSH: what connects to one."""

from .command import Command


def dial(target: str) -> Command:
    """Return the command that connects its stdin and stdout to the engine that an ``ssh://`` address names.

    It is what the docker command runs: https://docs.docker.com/engine/security/protect-access/#use-ssh
    """
    place, _, path = target.removeprefix("ssh://").partition("/")
    user, at, host = place.rpartition("@")
    port = ""
    if host.startswith("["):
        host, _, port = host.removeprefix("[").partition("]")
        port = port.removeprefix(":")
    elif ":" in host:
        host, _, port = host.partition(":")
    login = (*(("-l", user) if at else ()), *(("-p", port) if port else ()))
    # No standing warnings, of which each connection would show one.
    options = ("-T", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR")
    engine = ("--host", f"unix:///{path}") if path.strip("/") else ()
    return Command(("ssh", *options, *login, "--", host, "docker", *engine, "system", "dial-stdio"))
