"""Compares what running containers may do with the CIS Docker Benchmark.

The item numbers are those of version 1.6.0 (June 2023), whose section 5 begins with swarm mode: AppArmor is 5.2. In
older editions it is 5.1, and every number after it one lower. https://www.cisecurity.org/benchmark/docker
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...model.engine.confinement import ALL_CAPABILITIES, DEFAULT_CAPABILITIES, Confined, Host, capabilities
from ...model.engine.sockets import is_engine_socket
from ...model.finding import CRITICAL, HIGH, LOW, MEDIUM, SEVERITIES, Finding, merged

BENCHMARK = "CIS Docker Benchmark v1.6.0"
SCANNER = "hardening"
NEVER = "none"  # SCAN_FAIL_ON: nothing closes the gate

_EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
_SOCKET_DIRECTORIES = ("/", "/run", "/var", "/var/run")
# The benchmark's own list, and further directories that give control over the host.
_SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/root", "/var", "/var/lib/docker")
_SENSITIVE_BELOW = ("/boot/", "/dev/", "/proc/", "/sys/", "/etc/ssh/", "/etc/docker/", "/etc/shadow/", "/root/")
_OFF = ("unconfined", "disable")
_LAST_PRIVILEGED_PORT = 1023


HEADERS = (
    *("CONTAINER", "USER", "CAPABILITIES", "ROOT", "NEW PRIVILEGES", "LIMITS"),
    *("NETWORK", "PORTS", "HOST PATHS", "RESTART", "HEALTH"),
)


# An item that differs: its number, severity, what is wrong, and the Compose line that fixes it.
Difference = tuple[str, str, str, str]


def _rights(container: Confined, host: Host) -> Iterator[Difference]:
    if container.root:
        yield "4.1", HIGH, "runs as root", 'user: "65532:65532", or USER in its Dockerfile'
    if container.privileged:
        yield "5.5", CRITICAL, "is privileged: it can do all that the host can", "remove `privileged: true`"
        return  # a privileged container has all capabilities and no confinement: further items say nothing new
    added = capabilities(container.added)
    if ALL_CAPABILITIES in added:
        yield "5.4", CRITICAL, "has every capability", "cap_drop: [ALL], and under cap_add only what it needs"
    elif beyond := sorted(added - DEFAULT_CAPABILITIES):
        yield "5.4", HIGH, f"has capabilities outside the default set: {', '.join(beyond)}", "remove the cap_add"
    elif ALL_CAPABILITIES not in capabilities(container.dropped):
        kept = len(container.capabilities)
        yield "5.4", MEDIUM, f"keeps {kept} capabilities of the default set", "cap_drop: [ALL]"
    if not container.no_new_privileges(host):
        yield "5.26", MEDIUM, "may gain privileges by set-user-ID programs", 'security_opt: ["no-new-privileges:true"]'
    if container.option("seccomp") in _OFF:
        yield "5.22", HIGH, "runs without a seccomp profile", "remove `seccomp:unconfined` from security_opt"
    if host.apparmor and container.apparmor in ("", *_OFF):
        yield "5.2", HIGH, "runs without an AppArmor profile", 'security_opt: ["apparmor:docker-default"]'
    if host.selinux and container.option("label") in _OFF:
        yield "5.3", HIGH, "runs without SELinux labels", "remove `label:disable` from security_opt"


def _shared(container: Confined, _host: Host) -> Iterator[Difference]:
    for number, mode, what, line in (
        ("5.10", container.network, "network", "network_mode: host"),
        ("5.16", container.pid, "process", "pid: host"),
        ("5.17", container.ipc, "IPC", "ipc: host"),
        ("5.21", container.uts, "UTS", "uts: host"),
        ("5.31", container.userns, "user", "userns_mode: host"),
    ):
        if mode == "host":
            yield number, HIGH, f"is in the host's {what} namespace", f"remove `{line}`"
    if container.network in ("bridge", "default"):
        yield "5.30", LOW, "is on the engine's default bridge, where all containers meet", "networks: [backend]"


def _reached(container: Confined, _host: Host) -> Iterator[Difference]:
    for mount in container.mounts:
        source = mount.source.rstrip("/") or "/"
        if is_engine_socket(source) or source in _SOCKET_DIRECTORIES:
            what = "the engine's socket" if is_engine_socket(source) else f"{source}, where the engine's socket is"
            yield "5.32", CRITICAL, f"mounts {what}: that is root on the host", f"remove the mount {mount.shown()}"
        if source in _SENSITIVE or f"{source}/".startswith(_SENSITIVE_BELOW):
            how = "" if mount.writable else ", read-only"
            yield "5.6", HIGH, f"mounts {source} of the host{how}", "a named volume, or the one file that it needs"
        if mount.propagation in ("shared", "rshared"):
            yield "5.20", MEDIUM, f"its mounts below {mount.target} appear on the host", "bind: {propagation: rprivate}"
    for device in container.devices:
        yield "5.18", HIGH, f"has the host's device {device}", "remove it from `devices`"
    for port in container.ports:
        if port.address in _EVERY_ADDRESS:
            line = f'ports: ["127.0.0.1:{port.host}:{port.target}"], or the address that clients come by'
            yield "5.14", MEDIUM, f"port {port.host} is open on every address of the host", line
        if 0 < port.host <= _LAST_PRIVILEGED_PORT:
            line = f'ports: ["8080:{port.target}"], or another port above {_LAST_PRIVILEGED_PORT}'
            yield "5.8", LOW, f"takes the privileged port {port.host} of the host", line


def _bounds(container: Confined, _host: Host) -> Iterator[Difference]:
    if not container.read_only:
        yield (
            "5.13",
            MEDIUM,
            "can write to its root file system",
            "read_only: true, and tmpfs: [/tmp]",
        )
    if not container.memory:
        yield "5.11", MEDIUM, "may use all memory of the host", "mem_limit: 256m"
    if not container.cpus and not container.cpu_shares:
        yield "5.12", LOW, "may use all processors of the host", "cpus: 1"
    if container.pids <= 0:
        yield "5.29", MEDIUM, "may start any number of processes", "pids_limit: 100"
    if container.restart not in ("", "no") and not (container.restart == "on-failure" and 0 < container.retries <= 5):
        yield "5.15", LOW, f"is restarted without an end (`{container.restart}`)", "restart: on-failure:5"
    if not container.health_check:
        yield "5.27", LOW, "has no health check", "healthcheck: {test: [CMD, …]}, or HEALTHCHECK in its Dockerfile"


# No item of the benchmark, which knows no clusters.
_TOKEN: Difference = (
    "KUBE-TOKEN",
    MEDIUM,
    "has the token of a service account: it may ask the API of the cluster",
    "automountServiceAccountToken: false in the Pod, as the objects of Slipway say it",
)
_NO_POD_ANSWERS = {
    "5.2": "the API of a cluster does not tell which of its nodes have AppArmor",
    "5.3": "the API of a cluster does not tell which of its nodes have SELinux",
    "5.15": "the kubelet starts a container again more and more slowly, and without an end",
    "5.29": "the number of processes is a setting of the kubelet (podPidsLimit), not of a Pod",
}
_RULES: tuple[Callable[[Confined, Host], Iterator[Difference]], ...] = (_rights, _shared, _reached, _bounds)


@dataclass(frozen=True)
class AcceptedItem:
    """A finding that the Compose files accept, with the reason they give."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class HardeningReport:
    """The differences, and those that are accepted; ``unchecked`` says which items the host cannot answer."""

    findings: tuple[Finding, ...]
    accepted: tuple[AcceptedItem, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspected:
    """What was seen of running containers, and of the host that they share.

    ``more`` are differences by service that have no number in the benchmark; ``unanswered`` are the numbers that a
    cluster does not answer, with the reason, and ``unknown`` says what could not be seen of single containers.
    """

    containers: tuple[Confined, ...]
    host: Host
    more: Mapping[str, Difference] = field(default_factory=dict)
    unanswered: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def of_pods(containers: tuple[Confined, ...], with_token: Iterable[str], nameless: Iterable[str]) -> Inspected:
    """Return what was seen of the containers of Pods.

    ``with_token`` are the services that have the token of a service account, ``nameless`` those of whose user neither
    the Pod nor the kubelet says anything.
    """
    unanswered = dict(_NO_POD_ANSWERS)
    if profiled := any(one.apparmor in _OFF for one in containers):  # a Pod may say that it wants no profile
        del unanswered["5.2"]
    unknown = ", ".join(nameless)
    lines = (f"CIS-4.1: neither the Pod nor the kubelet says the user of {unknown}",) if unknown else ()
    return Inspected(containers, Host(apparmor=profiled), dict.fromkeys(with_token, _TOKEN), unanswered, lines)


def judge(inspected: Inspected, accepted: Mapping[str, Mapping[str, str]]) -> HardeningReport:
    """Return how containers differ from the benchmark.

    ``accepted`` are the reasons why a service (``""``: every service) may differ, by service and item id.
    """
    host = inspected.host
    differences = []
    for container in inspected.containers:
        for rule in _RULES:
            differences += [
                Finding(f"CIS-{number}", severity, SCANNER, container.service or container.name, title, advice=advice)
                for number, severity, title, advice in rule(container, host)
                if number not in inspected.unanswered
            ]
    differences += [
        Finding(identity, severity, SCANNER, service, title, advice=advice)
        for service, (identity, severity, title, advice) in inspected.more.items()
    ]
    findings, allowed = [], []
    for finding in merged(_joined(differences)):
        reason = accepted.get(finding.where, {}).get(finding.id) or accepted.get("", {}).get(finding.id)
        if reason:
            allowed.append(AcceptedItem(finding, reason))
        else:
            findings.append(finding)
    return HardeningReport(tuple(findings), tuple(allowed), (*_unchecked(inspected), *inspected.unknown))


def _unchecked(inspected: Inspected) -> tuple[str, ...]:
    if inspected.unanswered:
        return tuple(f"CIS-{number}: {why}" for number, why in inspected.unanswered.items())
    if inspected.host.apparmor or inspected.host.selinux:
        return ()
    return ("CIS-5.2, CIS-5.3: the engine's host has neither AppArmor nor SELinux",)


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each item and service, which joins the texts of several (two ports, two mounts)."""
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((finding.id, finding.where), []).append(finding)
    result = []
    for group in grouped.values():
        worst = min(group, key=lambda finding: SEVERITIES.index(finding.severity))
        title = "; ".join(dict.fromkeys(finding.title for finding in group))
        advice = "; ".join(dict.fromkeys(finding.advice for finding in group))
        result.append(Finding(worst.id, worst.severity, worst.scanner, worst.where, title, advice=advice))
    return result


def closing(findings: Iterable[Finding], fail_on: str) -> tuple[Finding, ...]:
    """Return the findings that close the gate: those of severity ``fail_on`` or worse, none with ``none``."""
    if fail_on == NEVER:
        return ()
    limit = SEVERITIES.index(fail_on)
    return tuple(finding for finding in findings if SEVERITIES.index(finding.severity) <= limit)
