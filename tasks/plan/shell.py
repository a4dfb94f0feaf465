"""How to get a shell beside or inside a service."""

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
