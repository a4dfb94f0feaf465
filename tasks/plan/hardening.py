"""What a container may do, and what of it differs from the CIS Docker Benchmark.

The item numbers are those of version 1.6.0 (June 2023), whose section 5 begins with swarm mode: AppArmor is 5.2. In
older editions it is 5.1, and every number after it one lower. https://www.cisecurity.org/benchmark/docker
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .finding import CRITICAL, HIGH, LOW, MEDIUM, SEVERITIES, Finding, merged
from .sockets import is_engine_socket
from .units import show_size

BENCHMARK = "CIS Docker Benchmark v1.6.0"
SCANNER = "hardening"
NEVER = "none"  # SCAN_FAIL_ON: nothing closes the gate

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
_ALL = "ALL"
_EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
_SOCKET_DIRECTORIES = ("/", "/run", "/var", "/var/run")
# The benchmark's own list, and what gives the host away as well.
_SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/root", "/var", "/var/lib/docker")
_SENSITIVE_BELOW = ("/boot/", "/dev/", "/proc/", "/sys/", "/etc/ssh/", "/etc/docker/", "/etc/shadow/", "/root/")
_OFF = ("unconfined", "disable")
_LAST_PRIVILEGED_PORT = 1023


@dataclass(frozen=True)
class Mount:
    """A path of the host in a container; ``propagation`` is the engine's word."""

    source: str
    target: str
    writable: bool
    propagation: str = ""

    def shown(self) -> str:
        """Return it as Compose writes it."""
        return f"{self.source}:{self.target}{'' if self.writable else ':ro'}"


@dataclass(frozen=True)
class Published:
    """A port of the container and where the host listens for it."""

    address: str
    host: int
    target: int
    protocol: str = "tcp"

    def shown(self) -> str:
        """Return it as ``docker ps`` does."""
        address = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{address}:{self.host}->{self.target}/{self.protocol}"


@dataclass(frozen=True)
class Host:
    """What the engine can confine containers with: ``apparmor`` and ``selinux`` are whether its kernel has them."""

    apparmor: bool = False
    selinux: bool = False
    no_new_privileges: bool = False


@dataclass(frozen=True)
class Confined:
    """A container as the engine confines it; ``memory`` in bytes, 0 where there is no limit."""

    name: str
    service: str
    user: str = ""
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    privileged: bool = False
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    network: str = ""
    ports: tuple[Published, ...] = ()
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
        """Whether its processes begin as root."""
        return self.user.partition(":")[0] in ("", "0", "root")

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities that its processes can have: the engine's default, without the dropped, and the added."""
        if self.privileged:
            return (_ALL,)
        added, dropped = _named(self.added), _named(self.dropped)
        if _ALL in added:
            return (f"{_ALL} but {', '.join(sorted(dropped))}",) if dropped else (_ALL,)
        kept = frozenset[str]() if _ALL in dropped else DEFAULT_CAPABILITIES - dropped
        return tuple(sorted(kept | added))

    def option(self, name: str) -> str:
        """Return a value of ``security_opt``, "" when it is not given; a name without a value is ``true``."""
        for one in self.options:
            key, separator, value = one.replace("=", ":", 1).partition(":")
            if key == name:
                return value if separator else "true"
        return ""

    def no_new_privileges(self, host: Host) -> bool:
        """Whether set-user-ID programs give its processes nothing."""
        return (self.option("no-new-privileges") or ("true" if host.no_new_privileges else "")) == "true"

    def document(self, host: Host) -> dict[str, Any]:
        """Return it as JSON data."""
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
            "mounts": [one.shown() for one in self.mounts],
            "devices": list(self.devices),
            "network": self.network,
            "ports": [one.shown() for one in self.ports],
            "memory": self.memory or None,
            "cpus": self.cpus or None,
            "pids": self.pids or None,
            "pid_mode": self.pid or "private",
            "ipc_mode": self.ipc or "private",
            "restart": self.restart or "no",
            "health_check": self.health_check,
        }

    def row(self, host: Host) -> tuple[str, ...]:
        """Return its line of the table; the headers are ``HEADERS``."""
        limits = (
            show_size(self.memory) if self.memory else "no memory limit",
            f"{self.cpus:g} cpus" if self.cpus else "all cpus",
            f"{self.pids} pids" if self.pids else "no pids limit",
        )
        shared = [f"{kind}={mode}" for kind, mode in (("pid", self.pid), ("uts", self.uts)) if mode]
        shared += ["ipc=host"] if self.ipc == "host" else []
        # The default set is told by its size: it is too long for a line.
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
            " ".join(one.shown() for one in self.ports) or "-",
            " ".join([*(one.shown() for one in self.mounts), *self.devices]) or "-",
            f"{self.restart or 'no'}{f':{self.retries}' if self.retries else ''}",
            "yes" if self.health_check else "no",
        )


HEADERS = (
    *("CONTAINER", "USER", "CAPABILITIES", "ROOT", "NEW PRIVILEGES", "LIMITS"),
    *("NETWORK", "PORTS", "HOST PATHS", "RESTART", "HEALTH"),
)


def _named(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.upper().removeprefix("CAP_") for name in names)


# One item that differs: its number, severity, what is wrong, and the Compose line that mends it.
Difference = tuple[str, str, str, str]


def _rights(one: Confined, host: Host) -> Iterator[Difference]:
    if one.root:
        yield "4.1", HIGH, "runs as root", 'user: "65532:65532", or USER in its Dockerfile'
    if one.privileged:
        yield "5.5", CRITICAL, "is privileged: it can do all that the host can", "remove `privileged: true`"
        return  # what it has of capabilities and confinement is no question any more
    added = _named(one.added)
    if _ALL in added:
        yield "5.4", CRITICAL, "has every capability", "cap_drop: [ALL], and under cap_add only what it needs"
    elif beyond := sorted(added - DEFAULT_CAPABILITIES):
        yield "5.4", HIGH, f"has capabilities that the engine gives nobody: {', '.join(beyond)}", "remove the cap_add"
    elif _ALL not in _named(one.dropped):
        kept = len(one.capabilities)
        yield "5.4", MEDIUM, f"keeps {kept} capabilities of the default set", "cap_drop: [ALL]"
    if not one.no_new_privileges(host):
        yield "5.26", MEDIUM, "may gain privileges by set-user-ID programs", 'security_opt: ["no-new-privileges:true"]'
    if one.option("seccomp") in _OFF:
        yield "5.22", HIGH, "runs without a seccomp profile", "remove `seccomp:unconfined` from security_opt"
    if host.apparmor and one.apparmor in ("", *_OFF):
        yield "5.2", HIGH, "runs without an AppArmor profile", 'security_opt: ["apparmor:docker-default"]'
    if host.selinux and one.option("label") in _OFF:
        yield "5.3", HIGH, "runs without SELinux labels", "remove `label:disable` from security_opt"


def _shared(one: Confined, _host: Host) -> Iterator[Difference]:
    for number, mode, what, line in (
        ("5.10", one.network, "network", "network_mode: host"),
        ("5.16", one.pid, "process", "pid: host"),
        ("5.17", one.ipc, "IPC", "ipc: host"),
        ("5.21", one.uts, "UTS", "uts: host"),
        ("5.31", one.userns, "user", "userns_mode: host"),
    ):
        if mode == "host":
            yield number, HIGH, f"is in the host's {what} namespace", f"remove `{line}`"
    if one.network in ("bridge", "default"):
        yield "5.30", LOW, "is on the engine's default bridge, where all containers meet", "networks: [backend]"


def _reached(one: Confined, _host: Host) -> Iterator[Difference]:
    for mount in one.mounts:
        source = mount.source.rstrip("/") or "/"
        if is_engine_socket(source) or source in _SOCKET_DIRECTORIES:
            what = "the engine's socket" if is_engine_socket(source) else f"{source}, where the engine's socket is"
            yield "5.32", CRITICAL, f"mounts {what}: that is root on the host", f"remove the mount {mount.shown()}"
        if source in _SENSITIVE or f"{source}/".startswith(_SENSITIVE_BELOW):
            how = "" if mount.writable else ", read-only"
            yield "5.6", HIGH, f"mounts {source} of the host{how}", "a named volume, or the one file that it needs"
        if mount.propagation in ("shared", "rshared"):
            yield "5.20", MEDIUM, f"its mounts below {mount.target} appear on the host", "bind: {propagation: rprivate}"
    for device in one.devices:
        yield "5.18", HIGH, f"has the host's device {device}", "remove it from `devices`"
    for port in one.ports:
        if port.address in _EVERY_ADDRESS:
            line = f'ports: ["127.0.0.1:{port.host}:{port.target}"], or the address that clients come by'
            yield "5.14", MEDIUM, f"port {port.host} is open on every address of the host", line
        if 0 < port.host <= _LAST_PRIVILEGED_PORT:
            line = f'ports: ["8080:{port.target}"], or another port above {_LAST_PRIVILEGED_PORT}'
            yield "5.8", LOW, f"takes the privileged port {port.host} of the host", line


def _bounds(one: Confined, _host: Host) -> Iterator[Difference]:
    if not one.read_only:
        yield (
            "5.13",
            MEDIUM,
            "can write to its root file system",
            "read_only: true, and tmpfs: [/tmp]",
        )
    if not one.memory:
        yield "5.11", MEDIUM, "may use all memory of the host", "mem_limit: 256m"
    if not one.cpus and not one.cpu_shares:
        yield "5.12", LOW, "may use all processors of the host", "cpus: 1"
    if one.pids <= 0:
        yield "5.29", MEDIUM, "may start any number of processes", "pids_limit: 100"
    if one.restart not in ("", "no") and not (one.restart == "on-failure" and 0 < one.retries <= 5):
        yield "5.15", LOW, f"is restarted without an end (`{one.restart}`)", "restart: on-failure:5"
    if not one.health_check:
        yield "5.27", LOW, "nobody asks whether it is healthy", "healthcheck: {test: [CMD, …]}, or HEALTHCHECK"


_RULES: tuple[Callable[[Confined, Host], Iterator[Difference]], ...] = (_rights, _shared, _reached, _bounds)


@dataclass(frozen=True)
class Accepted:
    """A finding that the Compose files accept, and the reason that they give."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Report:
    """What differs, and what of it is accepted; ``unchecked`` says which items cannot be asked of this engine."""

    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...] = ()
    unchecked: tuple[str, ...] = ()


def judge(found: Iterable[Confined], host: Host, accepted: Mapping[str, Mapping[str, str]]) -> Report:
    """Return what of the containers differs from the benchmark.

    ``accepted`` are the reasons for which a service (``""``: all of them) is allowed an item, by the item's id.
    """
    every = []
    for one in found:
        for rule in _RULES:
            every += [
                Finding(f"CIS-{number}", severity, SCANNER, one.service or one.name, title, advice=advice)
                for number, severity, title, advice in rule(one, host)
            ]
    findings, allowed = [], []
    for finding in merged(_together(every)):
        reason = accepted.get(finding.where, {}).get(finding.id) or accepted.get("", {}).get(finding.id)
        if reason:
            allowed.append(Accepted(finding, reason))
        else:
            findings.append(finding)
    unchecked = ("CIS-5.2, CIS-5.3: the engine's host has neither AppArmor nor SELinux",)
    return Report(tuple(findings), tuple(allowed), () if host.apparmor or host.selinux else unchecked)


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for an item at a place, with all that it says: two ports, two mounts, two containers."""
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        grouped.setdefault((one.id, one.where), []).append(one)
    found = []
    for group in grouped.values():
        worst = min(group, key=lambda one: SEVERITIES.index(one.severity))
        titles, advices = (dict.fromkeys(texts) for texts in ([x.title for x in group], [x.advice for x in group]))
        title, advice = "; ".join(titles), "; ".join(advices)
        found.append(Finding(worst.id, worst.severity, worst.scanner, worst.where, title, advice=advice))
    return found


def closing(findings: Iterable[Finding], fail_on: str) -> tuple[Finding, ...]:
    """Return the findings that close the gate: those at or above ``fail_on``, none with ``none``."""
    if fail_on == NEVER:
        return ()
    limit = SEVERITIES.index(fail_on)
    return tuple(one for one in findings if SEVERITIES.index(one.severity) <= limit)
