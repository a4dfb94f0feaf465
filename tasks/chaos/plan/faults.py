"""The faults that can be injected: what each does, how it ends, and what its helper container needs for it."""

from ...model.errors import InputError
from ...model.profile.schema import seconds
from ...model.record import Record
from ...model.units import parse_size, show_duration, show_size

NETWORK, ENGINE, PROCESS, DISK, CLUSTER = "network", "engine", "process", "disk", "cluster"
MOUNTS, HOST_NETWORK, HOST = "mounts", "host network", "host"
"""What is reached: a network namespace, the engine, it and its processes, a file system; CLUSTER: only Kubernetes.

MOUNTS: the mount namespace of a container. HOST_NETWORK and HOST: what all projects of an engine share.
"""
NONE, SHARE, TIME, SIZE = "", "share", "time", "size"
"""What the amount of a fault is."""


class FaultKind(Record):
    """A kind of fault. ``does`` and ``undone`` are what a person reads, ``amount`` the default amount.

    ``between``: it can be limited to the traffic with one other service. ``momentary``: it is over when it is made.
    """

    name: str
    does: str
    undone: str
    reach: str
    unit: str = NONE
    amount: str = ""
    between: bool = False
    momentary: bool = False

    @property
    def of_host(self) -> bool:
        """Whether the whole host has the fault, and not a service."""
        return self.reach in (HOST_NETWORK, HOST)


_RULES = "the rules are taken out of its network namespace"
FAULTS = (
    FaultKind("kill", "its first process is killed as by a crash", "started, unless its restart policy has", PROCESS),
    FaultKind("stop", "stopped, with its grace time", "started", ENGINE),
    FaultKind("restart", "stopped and started", "started, unless it runs", ENGINE, momentary=True),
    FaultKind("pause", "its processes stand still, its connections stay open", "its processes go on", ENGINE),
    FaultKind("cut", "nothing gets through to or from it, and nobody is told", _RULES, NETWORK, between=True),
    FaultKind("loss", "a share of its packets gets lost, each way", _RULES, NETWORK, SHARE, "30%", between=True),
    FaultKind("slow", "each packet that it sends waits", _RULES, NETWORK, TIME, "200ms", between=True),
    FaultKind("reset", "its TCP connections are reset, new ones too", _RULES, NETWORK, between=True),
    FaultKind("dns", "its questions for names get no answer", _RULES, NETWORK),
    FaultKind("cpu", "it gets only a share of one processor", "its limit is what it was", ENGINE, SHARE, "10%"),
    FaultKind(
        "memory",
        "it gets no more memory than it uses, and some bytes",
        "its limit is what it was",
        ENGINE,
        SIZE,
        "4MiB",
    ),
    FaultKind(
        "disk-full", "a file takes the space of a volume, but for some bytes", "the file is removed", DISK, SIZE, "0"
    ),
    FaultKind(
        "certificate-expired",
        "its TLS certificates are expired ones, and it reads them",
        "it reads its own again",
        MOUNTS,
    ),
    FaultKind(
        "registry-away",
        "connections to the registries of the project's images are refused, for the whole host",
        "the rules are taken out of the network of the host",
        HOST_NETWORK,
    ),
    FaultKind(
        "engine-restart",
        "the engine is stopped and started, with all containers of the host",
        "it starts again, and containers by their restart policy",
        HOST,
        momentary=True,
    ),
    FaultKind("pod-kill", "its Pods are gone at once, without grace", "others are started", CLUSTER, momentary=True),
    FaultKind("drain", "a node of its Pods takes no Pods, and those of the project leave", "it takes Pods", CLUSTER),
)


def fault(name: str) -> FaultKind:
    """Return a fault by its name; raises InputError that names all of them."""
    found = next((known for known in FAULTS if known.name == name), None)
    if found is None:
        raise InputError(
            f"no fault {name!r}",
            f"there are {', '.join(known.name for known in FAULTS)}; inv chaos.list says what each does",
        )
    return found


def amount(kind: FaultKind, text: str) -> float:
    """Return the amount of a fault as its helper takes it: a share from 0 to 1, seconds, bytes; 0 where it has none.

    Raises InputError for what is none.
    """
    given = text or kind.amount
    if kind.unit == NONE:
        if text:
            raise InputError(f"--amount: {kind.name} has none", "leave it out")
        return 0.0
    if kind.unit == SIZE:
        return float(parse_size(given, "--amount"))
    if kind.unit == TIME:
        return duration(given, "--amount")
    number = given.removesuffix("%")
    if not number.replace(".", "", 1).isdigit() or not 0 < float(number) <= 100:
        raise InputError(f"--amount: expected a share such as {kind.amount}, got {given!r}", "from 0.1% to 100%")
    return float(number) / 100


def shown_amount(kind: FaultKind, value: float) -> str:
    """Return an amount for a person, "" where a fault has none."""
    if kind.unit == SHARE:
        return f"{value * 100:g} %"
    if kind.unit == TIME:
        return show_duration(value) if value >= 1 else f"{value * 1000:g} ms"
    return show_size(value) if kind.unit == SIZE else ""


def duration(text: str, where: str) -> float:
    """Return a duration in seconds; raises InputError for what is none, and for one of nothing."""
    value = seconds(text)
    if not value:
        raise InputError(f"{where}: expected a duration such as 10s, got {text!r}", "units: ms, s, m, h")
    return value
