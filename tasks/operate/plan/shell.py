"""How to get a shell inside a service, or next to it."""

from collections.abc import Mapping

from ...model.command import Command
from ...model.compose import compose
from ...model.engine.facts import Container
from ...model.profile.profile import Profile
from ...model.secret import Secret
from ...model.stack.stack import Service

SHELLS = ("/bin/bash", "/bin/sh", "/busybox/sh")


def service_shell(
    profile: Profile, service: Service, shell: str, words: tuple[str, ...], tty: bool, cwd: str
) -> Command:
    """Return the command that starts a shell in the running container of a service."""
    flags = () if tty else ("--no-TTY",)
    return compose(profile, "exec", *flags, service.name, shell, *words, cwd=cwd, reason=f"shell in {service.name}")


def debug_shell(
    container: Container, image: str, words: tuple[str, ...], tty: bool, env: Mapping[str, str | Secret]
) -> Command:
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
