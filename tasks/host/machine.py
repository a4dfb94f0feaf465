"""What this machine has: tools and their versions, disk, ports, certificates."""

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.command import Command
from ..model.errors import RefusedError, SlipwayError
from ..model.stack.stack import Port
from .runner import available, start

if TYPE_CHECKING:
    from ..model.tools import ToolFinding

LOW_DISK = 2 * 2**30  # bytes
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_SOCKET = Path("/var/run/docker.sock")
_PID_FILES = {
    "/var/run/docker.pid": "dockerd",
    "/var/run/docker/containerd/containerd.pid": "containerd",
}
_LOCAL_CAS = Path("/usr/local/share/ca-certificates")


def tools() -> "tuple[ToolFinding, ...]":
    """Return the findings for Compose and Buildx; both are asked in parallel."""
    asked = {
        "compose": start(Command(("docker", "compose", "version", "--short"), timeout=20)),
        "buildx": start(Command(("docker", "buildx", "version"), timeout=20)),
    }
    from ..model.tools import judge_tool

    findings = []
    for name, pending in asked.items():
        result = pending.result()
        findings.append(judge_tool(name, result.stdout.strip().splitlines()[0] if result.exit_code == 0 else None))
    return tuple(findings)


def refuse_unfit_tools() -> None:
    """Raise RefusedError when docker, Compose or Buildx is missing or too old; it names the versions.

    Asked only after a command failed: the versions cost more than most tasks.
    """
    if not available("docker"):
        raise RefusedError("docker: command not found", "./inv setup installs Docker Engine, Compose and Buildx")
    from ..model.tools import unfit_tools  # only when there is a fault

    if line := unfit_tools(tools()):
        message, _, hint = line.partition(": ")
        raise RefusedError(message, hint)


def free_bytes(directory: str) -> int | None:
    """Return the free space of the file system that holds a directory; None when this machine does not have it."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None


def taken_ports(ports: Iterable[Port]) -> tuple[int, ...]:
    """Return the published ports that something on this machine listens on already."""
    return tuple(sorted({port.published for port in ports if port.published and _taken(port)}))


def _taken(port: Port) -> bool:
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host_ip or "0.0.0.0", port.published))  # noqa: S104 - only bound to see whether it is free
        except OSError as error:
            # Without the right to bind a low port nothing is known; the engine, which has that right, will report it.
            return error.errno == errno.EADDRINUSE
    return False


def local_ca_bundle() -> str:
    """Return the CA bundle of a machine whose administrator added an authority of their own, else ""."""
    named = os.environ.get("SSL_CERT_FILE", "")
    added = _LOCAL_CAS.is_dir() and any(_LOCAL_CAS.glob("**/*.crt"))
    if not named and not added:
        return ""
    return next((path for path in (named, *CA_BUNDLES) if path and Path(path).is_file()), "")


def os_release() -> dict[str, str]:
    """Return the fields of ``/etc/os-release``; empty where there is none."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines if "=" in line)}


def _debian_sources() -> list[list[str]]:
    wanted = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    result = start(
        Command(("apt-get", "indextargets", "--format", wanted, "Created-By: Packages"), timeout=120)
    ).result()
    rows = [line.split("|") for line in result.stdout.splitlines()]
    return [row for row in rows if len(row) == 3 and row[0] == row[1] == "Debian"]


def debian_mirror() -> str:
    """Return the Debian mirror that apt itself uses; "" when apt names none."""
    return next((uri.rstrip("/") for _, _, uri in _debian_sources()), "")


def debian_keyring() -> str:
    """Return the keyring that signs Debian's packages; "" where it is not installed as a file."""
    path = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return str(path) if path.is_file() else ""


def engine_version() -> str | None:
    """Return the version of the engine that answers, None when none does."""
    from .engine.client import Engine

    try:
        return Engine().version()
    except SlipwayError:
        return None


def refuse_without_engine() -> None:
    """Raise RefusedError, with the reason, when no engine answers where the environment says that it is elsewhere."""
    from .engine.client import Engine

    if os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT"):
        Engine()


def refuse_without_permission() -> None:
    """Raise RefusedError when the engine's socket is there and this user may not use it."""
    if _SOCKET.exists() and not os.access(_SOCKET, os.R_OK | os.W_OK):
        raise RefusedError(
            f"no permission to use the engine at {_SOCKET}",
            "join its group and log in again: sudo usermod --append --groups docker $USER; or run ./inv as root",
        )


def stale_pid_files() -> tuple[str, ...]:
    """Return the engine's pid files whose process is no engine: an engine that was killed left them."""
    stale = []
    for path, program in _PID_FILES.items():
        with contextlib.suppress(PermissionError):  # files of another user's engine are left alone
            if Path(path).is_file() and not _runs(path, program):
                stale.append(path)
    return tuple(stale)


def _runs(pid_file: str, program: str) -> bool:
    """Whether the process that a pid file names is alive, and is the program; a zombie is neither."""
    try:
        pid = Path(pid_file).read_text(encoding="ascii").strip()
        status = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return False
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the name in parentheses, then the state.
    name, _, rest = status.partition("(")[2].rpartition(")")
    return name == program and not rest.startswith(" Z")


def last_line(path: str) -> str:
    """Return the last line of a log; "" when there is none."""
    try:
        return (Path(path).read_text(errors="replace").strip().splitlines() or [""])[-1]
    except OSError:
        return ""


def give_way(nice: int) -> None:
    """Lower the priority of this thread, and of the threads and programs that it starts, to ``nice`` (0 to 19).

    It is never raised. Linux has a priority for each thread: https://man7.org/linux/man-pages/man2/getpriority.2.html
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
