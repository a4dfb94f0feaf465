"""Identifies a process, so that another process on the same machine can tell later whether it has ended."""

import contextlib
import os
import re
from pathlib import Path

# The PID namespace of a machine itself; each container has its own.
# https://github.com/torvalds/linux/blob/v6.1/include/linux/proc_ns.h (PROC_PID_INIT_INO)
_MACHINE = "4026531836"
ALIVE, GONE, UNKNOWN = "alive", "gone", "unknown"


def identity(pid: int) -> str:
    """Return what identifies a process: the boot of the machine, its PID namespace, and when it was started.

    "" for a process that does not run, and where that is unknown: without /proc, or with another namespace's /proc.
    """
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):  # `unshare --pid` without --mount-proc
            return ""
        fields = _fields(Path(f"/proc/{pid}"))
        return "" if fields[0] in "ZX" else f"{_boot()}/{_namespace()}/{fields[19]}"
    except OSError:
        return ""


def mark() -> str:
    """Return what identifies this process for `state`: its machine, its process id there, and its `identity`."""
    return f"{_machine()}:{os.getpid()}:{identity(os.getpid())}"


def shown(name: str) -> str:
    """Return the process that a mark names, in words."""
    machine, _, rest = name.partition(":")
    return f"process {rest.partition(':')[0] or '?'} on {machine.partition('/')[0] or '?'}"


def state(name: str) -> str:
    """Return whether the process that a mark names is ALIVE or GONE; UNKNOWN when it cannot be seen from here.

    A process id is valid only in its own PID namespace. The process is gone when our namespace no longer has it; when
    it ran in a container, and the machine no longer sees it; or when this machine has been restarted since.
    """
    machine, _, rest = name.partition(":")
    pid, _, process = rest.partition(":")
    boot, namespace, started = (*process.split("/"), "", "", "")[:3]
    if not pid.isdigit() or not (boot and namespace) or not identity(os.getpid()) or not _sees_others():
        return UNKNOWN
    if boot != _boot():
        # Only for processes outside containers: the host name and machine id of a container may be copies.
        same = machine == _machine() and "/" in machine and namespace == _namespace() == _MACHINE
        return GONE if same else UNKNOWN
    if namespace == _namespace():
        return ALIVE if identity(int(pid)) == process else GONE
    return GONE if _ended(namespace, pid, started) else UNKNOWN


def _sees_others() -> bool:
    """Whether processes of other users can be seen: with ``hidepid`` on /proc only root sees them."""
    with contextlib.suppress(OSError):
        return bool(_fields(Path("/proc/1")))
    return False


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _machine() -> str:
    """Return the host name, and systemd's machine id where there is one.

    https://www.freedesktop.org/software/systemd/man/latest/machine-id.html
    """
    number = ""
    with contextlib.suppress(OSError):
        number = Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    return "/".join([os.uname().nodename.replace(":", "-"), *([number] if number else [])])


def _ended(namespace: str, pid: str, started: str) -> bool:
    """Whether a process of another namespace has ended: only the machine itself sees the processes of containers."""
    if _namespace() != _MACHINE:
        return False
    return not any(_may_be(entry, namespace, pid, started) for entry in Path("/proc").glob("[0-9]*"))


def _may_be(entry: Path, namespace: str, pid: str, started: str) -> bool:
    """Whether a directory of /proc may belong to the process with an id in a namespace; False when that is ruled out.

    The number of a namespace alone is not enough: Linux reuses it as soon as it is free.
    """
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        # Its process ids, from our namespace down to its own; a process of our namespace has a single id.
        numbers = re.search(r"^NSpid:(.*)$", (entry / "status").read_text(errors="replace"), re.MULTILINE)
        if numbers and (len(numbers[1].split()) == 1 or numbers[1].split()[-1] != pid):
            return False
        try:
            if str((entry / "ns" / "pid").stat().st_ino) != namespace:
                return False
            # Its clock may have an offset: https://man7.org/linux/man-pages/man7/time_namespaces.7.html
            clock = (entry / "ns" / "time").stat().st_ino == Path("/proc/self/ns/time").stat().st_ino
        except PermissionError:
            return True
        return not clock or _fields(entry)[19] == started
    return False


def _fields(entry: Path) -> list[str]:
    # The name, in brackets, may contain blanks: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    return (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
