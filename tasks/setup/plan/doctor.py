"""What `inv doctor` makes of the facts of a machine and its engine: what is in order, and how to fix what is not."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...model.engine.facts import PROJECT_LABEL, Image
from ...model.lock import HeldLock
from ...model.tools import MISSING, OK, WARNING, ToolFinding
from ...model.units import show_duration, show_size

LOW_INODES = 0.05  # share of the file system's inodes
_SKEW = 2.0  # seconds; a certificate or a token that is issued now is valid a moment later
_FEW_NETWORKS = 3  # what a test run or a deploy makes at once
# What an engine without `default-address-pools` takes networks from.
# https://github.com/moby/moby/blob/v28.5.2/daemon/libnetwork/ipamutils/utils.go
_DEFAULT_POOLS = (
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
)

_BUILD_CACHE = "`docker builder prune --filter until=168h` removes what builds of more than a week ago left"


def disk(directory: str, free: int | None, least: int) -> ToolFinding:
    """Return the finding about the free bytes of the file system with the engine's data; None: not on this machine."""
    if free is None:
        return ToolFinding("disk", OK, "not on this machine")
    low = free < least
    return ToolFinding(
        "disk", WARNING if low else OK, f"{show_size(free)} free in {directory}",
        f"`docker system df` shows what takes it; {_BUILD_CACHE}" if low else "",
    )  # fmt: skip


def inodes(directory: str, free: int, total: int) -> ToolFinding:
    """Return the finding about the inodes of a file system; one that has no fixed number (``total`` 0) has enough."""
    if not total:
        return ToolFinding("inodes", OK, "not limited")
    low = free < total * LOW_INODES
    fix = f"many small files fill the disk though it has space; {_BUILD_CACHE}" if low else ""
    return ToolFinding("inodes", WARNING if low else OK, f"{100 * free // total} % free in {directory}", fix)


def address_pools(info: Mapping[str, Any], subnets: Sequence[str]) -> ToolFinding:
    """Return the finding about how many networks the engine can still make; ``subnets`` are those of all networks."""
    pools = [(str(pool["Base"]), int(pool["Size"])) for pool in info.get("DefaultAddressPools") or ()]
    used = [ipaddress.ip_network(subnet, strict=False) for subnet in subnets]
    total = left = 0
    for base, size in pools or _DEFAULT_POOLS:
        network = ipaddress.ip_network(base, strict=False)
        if network.version != 4:
            continue  # IPv6 pools are as good as endless
        parts = list(network.subnets(new_prefix=max(size, network.prefixlen)))
        total += len(parts)
        left += sum(not any(part.overlaps(other) for other in used if other.version == 4) for part in parts)
    few = left < _FEW_NETWORKS
    fix = (
        "remove networks that are not used (`docker network ls --filter dangling=true`), "
        "or give the engine more: default-address-pools in /etc/docker/daemon.json"
    )
    return ToolFinding("address pools", WARNING if few else OK, f"{left} of {total} networks left", fix if few else "")


def clock(engine_time: str, asked: float, answered: float) -> ToolFinding:
    """Return the finding about the engine's clock, which was read between two of our own times (seconds)."""
    theirs = datetime.fromisoformat(engine_time).timestamp()
    skew = max(asked - theirs, theirs - answered, 0.0)
    if skew <= _SKEW:
        return ToolFinding("clock", OK, "as the engine's")
    way = "ahead of" if theirs < asked else "behind"
    return ToolFinding(
        "clock", WARNING, f"{show_duration(skew)} {way} the engine's",
        "`timedatectl set-ntp true` on both machines: certificates, tokens and --since depend on it",
    )  # fmt: skip


def ports(taken: Sequence[int], environment: str) -> ToolFinding:
    """Return the finding about published ports that another program on this machine has."""
    if not taken:
        return ToolFinding("ports", OK, "free, or the project's own")
    return ToolFinding(
        "ports", WARNING, f"taken by another program: {', '.join(map(str, taken))}",
        f"stop what listens there (`ss -ltnp`), or set other ports in envs/{environment}.local.env",
    )  # fmt: skip


def registry(host: str, fault: str, advice: str, login: bool) -> ToolFinding:
    """Return the finding about a registry: ``fault`` is why it did not answer as it should, "" when it did."""
    name = f"registry {host}"
    if not fault:
        return ToolFinding(name, OK, f"answers{', logged in' if login else ', without a login'}")
    return ToolFinding(name, WARNING, fault, advice)


def lock(held: HeldLock | None, stale: str, environment: str) -> ToolFinding:
    """Return the finding about the deploy lock; ``stale`` says why it is no longer valid, "" while it is."""
    if held is None:
        return ToolFinding("lock", OK, "free")
    if not stale:
        return ToolFinding("lock", OK, f"held by {held}")
    return ToolFinding("lock", WARNING, f"left by {held}: {stale}", f"inv deploy.unlock --env {environment}")


def stacks(names: Sequence[str]) -> ToolFinding:
    """Return the finding about throw-away stacks that no process uses."""
    if not names:
        return ToolFinding("test stacks", OK, "none left")
    return ToolFinding(
        "test stacks",
        WARNING,
        f"left: {', '.join(names)}",
        "; ".join(f"docker compose -p {name} down --volumes" for name in names),
    )


def stale_images(images: Sequence[Image], project: str) -> tuple[Image, ...]:
    """Return the images that a project built and that have no name any more."""
    return tuple(
        image for image in images if not image.tags and not image.digests and image.labels.get(PROJECT_LABEL) == project
    )


def images(stale: Sequence[Image], project: str) -> ToolFinding:
    """Return the finding about images without a name."""
    if not stale:
        return ToolFinding("images", OK, "none without a name")
    size = show_size(sum(image.size for image in stale))
    return ToolFinding(
        "images", WARNING, f"{len(stale)} without a name, up to {size}",
        f"docker image prune --filter label={PROJECT_LABEL}={project}",
    )  # fmt: skip


def pid_files(files: Sequence[str]) -> ToolFinding | None:
    """Return the finding about pid files of an engine that was killed, None without any: they keep it from starting."""
    if not files:
        return None
    return ToolFinding("pid files", MISSING, f"of an engine that was killed: {', '.join(files)}", "./inv setup")


def builder(name: str, driver: str, stores_lists: bool, wanted: Sequence[str]) -> ToolFinding:
    """Return the finding about the builder: ``wanted`` are the keys of the profile that its driver cannot serve."""
    store = "containerd image store" if stores_lists else "classic image store"
    found = f"{name} ({driver}{f', {store}' if driver == 'docker' else ''})"
    if not wanted:
        return ToolFinding("builder", OK, found)
    return ToolFinding(
        "builder", WARNING, f"{found} has no {', '.join(wanted)}",
        "switch the containerd image store on (features.containerd-snapshotter in /etc/docker/daemon.json), "
        "or: docker buildx create --use",
    )  # fmt: skip
