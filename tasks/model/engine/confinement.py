"""How a container is confined: its rights, limits, mounts and ports, as the engine reports them."""

from collections.abc import Iterable
from typing import Any

from ..record import Record
from ..units import show_size


class Mount(Record):
    """A path of the host mounted into a container; ``propagation`` as the engine spells it."""

    source: str
    target: str
    writable: bool
    propagation: str = ""

    def shown(self) -> str:
        """Return the mount in the short syntax of Compose."""
        return f"{self.source}:{self.target}{'' if self.writable else ':ro'}"


class PublishedPort(Record):
    """A published port: the address and port of the host, and the port of the container."""

    address: str
    host: int
    target: int
    protocol: str = "tcp"

    def shown(self) -> str:
        """Return the port as ``docker ps`` prints it."""
        address = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{address}:{self.host}->{self.target}/{self.protocol}"


class Host(Record):
    """The security options of the engine: ``apparmor`` and ``selinux`` are whether its kernel has them."""

    apparmor: bool = False
    selinux: bool = False
    no_new_privileges: bool = False


class Confined(Record):
    """The confinement of a container; ``memory`` in bytes, 0 where there is no limit."""

    name: str
    service: str
    user: str = ""
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    privileged: bool = False
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    network: str = ""
    ports: tuple[PublishedPort, ...] = ()
    read_only: bool = False
    memory: int = 0
    cpus: float = 0.0
    cpu_shares: int = 0
    pids: int = 0
    options: tuple[str, ...] = ()
    apparmor: str = ""
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    userns: str = ""
    restart: str = ""
    retries: int = 0
    health_check: bool = False

    @property
    def root(self) -> bool:
        """Whether its processes start as root."""
        return self.user.partition(":")[0] in ("", "0", "root")

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities that its processes can have: the engine's default without the dropped, plus the added."""
        if self.privileged:
            return (ALL_CAPABILITIES,)
        added, dropped = capabilities(self.added), capabilities(self.dropped)
        if ALL_CAPABILITIES in added:
            return (f"{ALL_CAPABILITIES} but {', '.join(sorted(dropped))}",) if dropped else (ALL_CAPABILITIES,)
        kept = frozenset[str]() if ALL_CAPABILITIES in dropped else DEFAULT_CAPABILITIES - dropped
        return tuple(sorted(kept | added))

    def option(self, name: str) -> str:
        """Return the value of an entry of ``security_opt``: "" when it is not set, ``true`` when it has no value."""
        for option in self.options:
            key, separator, value = option.replace("=", ":", 1).partition(":")
            if key == name:
                return value if separator else "true"
        return ""

    def no_new_privileges(self, host: Host) -> bool:
        """Whether its processes gain no privileges from set-user-ID programs."""
        return (self.option("no-new-privileges") or ("true" if host.no_new_privileges else "")) == "true"

    def document(self, host: Host) -> dict[str, Any]:
        """Return the container as JSON data."""
        return {
            "container": self.name,
            "service": self.service,
            "user": self.user or "root",
            "capabilities": list(self.capabilities),
            "privileged": self.privileged,
            "read_only": self.read_only,
            "no_new_privileges": self.no_new_privileges(host),
            "seccomp": self.option("seccomp") or "default",
            "apparmor": self.apparmor or None,
            "mounts": [mount.shown() for mount in self.mounts],
            "devices": list(self.devices),
            "network": self.network,
            "ports": [port.shown() for port in self.ports],
            "memory": self.memory or None,
            "cpus": self.cpus or None,
            "pids": self.pids or None,
            "pid_mode": self.pid or "private",
            "ipc_mode": self.ipc or "private",
            "restart": self.restart or "no",
            "health_check": self.health_check,
        }

    def row(self, host: Host) -> tuple[str, ...]:
        """Return the row of the container in the table of ``ps``."""
        limits = (
            show_size(self.memory) if self.memory else "no memory limit",
            f"{self.cpus:g} cpus" if self.cpus else "all cpus",
            f"{self.pids} pids" if self.pids else "no pids limit",
        )
        shared = [f"{kind}={mode}" for kind, mode in (("pid", self.pid), ("uts", self.uts)) if mode]
        shared += ["ipc=host"] if self.ipc == "host" else []
        # "default" instead of the default set, which is too long for a line.
        rights = self.capabilities
        known = "default" if frozenset(rights) == DEFAULT_CAPABILITIES else ",".join(rights) or "none"
        return (
            self.name,
            self.user or "root",
            "privileged" if self.privileged else known,
            "read-only" if self.read_only else "writable",
            "no" if self.no_new_privileges(host) else "yes",
            ", ".join(limits),
            " ".join([self.network, *shared]),
            " ".join(port.shown() for port in self.ports) or "-",
            " ".join([*(mount.shown() for mount in self.mounts), *self.devices]) or "-",
            f"{self.restart or 'no'}{f':{self.retries}' if self.retries else ''}",
            "yes" if self.health_check else "no",
        )


# https://docs.docker.com/engine/security/#linux-kernel-capabilities
DEFAULT_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
ALL_CAPABILITIES = "ALL"


def capabilities(names: Iterable[str]) -> frozenset[str]:
    """Return the names of capabilities in upper case, without `CAP_`."""
    return frozenset(name.upper().removeprefix("CAP_") for name in names)
