"""How much of a node a container may use, and how much of it is kept for it."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ....model.errors import InputError
from ....model.record import Record
from ....model.stack.stack import Service
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import KubeSource

KEYS = frozenset(
    {"mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "oom_kill_disable", "oom_score_adj"}
    | {"cpus", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares"}
    | {"cpuset", "pids_limit", "blkio_config", "storage_opt", "gpus", "deploy.resources"}
)

CPU_SHARE = 4  # without a reservation, one part in so many of the CPU limit is kept
_LEAST_CPU = 10  # thousandths of a CPU
_PERIOD = 100_000  # microseconds, as the kernel has it
_SHARES = 1024  # cpu_shares of one CPU: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
_UNITS = "kmgtp"
_LIMITS, _REQUESTS = "resources.limits", "resources.requests"
_SWAP = "nodes use swap for no Pod with a memory limit"
_IGNORED = {
    "memswap_limit": _SWAP,
    "mem_swappiness": _SWAP,
    "oom_kill_disable": "the kernel ends what uses more memory than its limit",
    "oom_score_adj": "the kubelet sets it by limits and requests",
    "pids_limit": "the kubelet has one limit for all Pods of a node (podPidsLimit)",
    "cpuset": "the kubelet chooses CPUs (cpuManagerPolicy)",
    "cpu_count": "it is for Windows",
    "cpu_percent": "it is for Windows",
    "cpu_rt_period": "no Pod gets real-time scheduling",
    "cpu_rt_runtime": "no Pod gets real-time scheduling",
    "blkio_config": "Kubernetes has no limits of what disks do",
}
# Keys that say nothing where deploy.resources has the same.
_OUTRANKED = (
    ("mem_limit", "limits", "memory"),
    ("cpus", "limits", "cpus"),
    ("cpu_quota", "limits", "cpus"),
    ("mem_reservation", "reservations", "memory"),
    ("cpu_shares", "reservations", "cpus"),
)
_VENDORS = {"": "nvidia.com/gpu", "nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


class Amount(Record):
    """An amount that a key says; ``key`` is below the service, ``value`` in bytes or thousandths of a CPU."""

    key: str
    value: int


def part(source: KubeSource, service: Service) -> Part:
    """Return the limits and requests of a service's container."""
    raw, where = source.raw(service.name), f"services.{service.name}"
    memory, cpu = _memory(raw), _cpu(raw)
    limits = {
        name: show(amount.value) for name, amount, show in (("cpu", cpu, cpus), ("memory", memory, size)) if amount
    }
    outcomes = [translated(f"{where}.{amount.key}", _LIMITS) for amount in (cpu, memory) if amount]
    requests, kept = _requests(raw, memory, cpu, where)
    disk, devices = _disk(raw, where), list(_devices(raw, where))
    for found, outcome in (*disk, *devices):
        limits.update(found)
        outcomes.append(outcome)
    resources = {name: fields for name, fields in (("limits", limits), ("requests", requests)) if fields}
    outcomes += [*kept, *_without_meaning(raw, where)]
    return Part(container={"resources": resources} if resources else {}, outcomes=tuple(outcomes))


def cpus(thousandths: int) -> str:
    """Return thousandths of a CPU as a quantity: ``500m``, ``2``."""
    whole, rest = divmod(thousandths, 1000)
    return str(whole) if not rest else f"{thousandths}m"


def size(number: int) -> str:
    """Return bytes as a quantity, in the largest unit that has no fraction: ``128Mi``, ``1500000``."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)


def bytes_of(text: object, where: str) -> int:
    """Return a size of a Compose file in bytes; its units are binary (``m`` is 1,048,576). Raises InputError."""
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)\s*([{_UNITS}]?)i?b?", str(text).strip().lower(), re.ASCII)
    if match is None:
        raise InputError(f"{where}: expected a size, got {text!r}", "as in 128m or 1g")
    power = _UNITS.find(match[2]) + 1 if match[2] else 0
    return math.ceil(float(match[1]) * float(1024**power))


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ((raw.get("deploy") or {}).get("resources") or {}).get(name) or {}
    return found


def _first(*candidates: tuple[str, Any]) -> Amount | None:
    """Return the first amount that is not 0, which means no limit, in the order in which Compose looks at them."""
    return next((Amount(key, value) for key, value in candidates if value), None)


def _memory(raw: Mapping[str, Any]) -> Amount | None:
    deploy, key = _section(raw, "limits").get("memory"), "deploy.resources.limits.memory"
    return _first((key, bytes_of(deploy or 0, key)), ("mem_limit", bytes_of(raw.get("mem_limit") or 0, "mem_limit")))


def _cpu(raw: Mapping[str, Any]) -> Amount | None:
    quota, period = int(raw.get("cpu_quota") or 0), int(raw.get("cpu_period") or _PERIOD)
    return _first(
        ("deploy.resources.limits.cpus", _thousandths(_section(raw, "limits").get("cpus"))),
        ("cpus", _thousandths(raw.get("cpus"))),
        ("cpu_quota", max(0, math.ceil(1000 * quota / period))),
    )


def _thousandths(value: object) -> int:
    return math.ceil(round(float(str(value or 0)) * 1000, 3))


def _requests(
    raw: Mapping[str, Any], memory: Amount | None, cpu: Amount | None, where: str
) -> tuple[dict[str, str], list[KeyOutcome]]:
    """Return what is kept for a container: its reservations, else the memory limit and a part of the CPU limit."""
    section, key = _section(raw, "reservations"), "deploy.resources.reservations"
    said = {
        "cpu": _first(
            (f"{key}.cpus", _thousandths(section.get("cpus"))),
            ("cpu_shares", math.ceil(1000 * int(raw.get("cpu_shares") or 0) / _SHARES)),
        ),
        "memory": _first(
            (f"{key}.memory", bytes_of(section.get("memory") or 0, key)),
            ("mem_reservation", bytes_of(raw.get("mem_reservation") or 0, "mem_reservation")),
        ),
    }
    requests, outcomes = dict[str, str](), list[KeyOutcome]()
    for name, limit, show in (("cpu", cpu, cpus), ("memory", memory, size)):
        amount = said[name]
        if amount:
            # The API accepts no request above its limit; Compose does.
            requests[name] = show(min(amount.value, limit.value) if limit else amount.value)
            outcomes.append(translated(f"{where}.{amount.key}", _REQUESTS))
        elif limit:
            kept = max(_LEAST_CPU, limit.value // CPU_SHARE) if name == "cpu" else limit.value
            requests[name] = show(min(kept, limit.value))
            what = f"1/{CPU_SHARE} of the limit" if name == "cpu" else "the limit"
            reason = f"{what} is kept for it; {key} says another amount"
            outcomes.append(inferred(f"{where}.{key}.{'cpus' if name == 'cpu' else name}", _REQUESTS, reason))
    return requests, outcomes


def _disk(raw: Mapping[str, Any], where: str) -> Iterator[tuple[dict[str, str], KeyOutcome]]:
    for option, value in (raw.get("storage_opt") or {}).items():
        key = f"{where}.storage_opt.{option}"
        if option == "size":
            amount = size(bytes_of(value, key))
            yield {"ephemeral-storage": amount}, translated(key, f"{_LIMITS}.ephemeral-storage")
        else:
            yield {}, ignored(key, "it is about the storage of one machine")


def _devices(raw: Mapping[str, Any], where: str) -> Iterator[tuple[dict[str, str], KeyOutcome]]:
    """Yield the graphics processors that a service asks for, as resources that device plugins have."""
    section, key = _section(raw, "reservations"), "deploy.resources.reservations"
    if section.get("generic_resources"):
        hint = "ask for the resource of a device plugin, or accept with a reason that it is not there"
        outcome = refused(f"{where}.{key}.generic_resources", "no node has it", hint, accept="KUBE-DEVICES")
        yield {}, outcome
    for name, entries in ((f"{key}.devices", section.get("devices")), ("gpus", raw.get("gpus"))):
        for entry in [{"count": "all"}] if entries == "all" else entries or ():
            yield _device(entry, f"{where}.{name}", name == "gpus")


def _device(entry: Mapping[str, Any], key: str, gpu: bool) -> tuple[dict[str, str], KeyOutcome]:
    driver, count = str(entry.get("driver") or ""), entry.get("count", len(entry.get("device_ids") or ()) or 1)
    if driver not in _VENDORS or not (gpu or "gpu" in (entry.get("capabilities") or ())):
        hint = "ask for the resource of its device plugin, or accept with a reason that it is not there"
        return {}, refused(key, f"which device plugin has {driver or 'it'} is not known", hint, accept="KUBE-DEVICES")
    if not re.fullmatch(r"[1-9]\d*", str(count)):
        hint = "say how many (count), or accept with a reason that it gets none"
        return {}, refused(key, "a Pod can not ask for all that its node has", hint, accept="KUBE-DEVICES")
    resource = _VENDORS[driver]
    return {resource: str(count)}, inferred(key, f"{_LIMITS}.{resource}", f"the nodes need the plugin of {resource}")


def _without_meaning(raw: Mapping[str, Any], where: str) -> Iterator[KeyOutcome]:
    """Yield what has no counterpart, and what another key that is there as well decides."""
    yield from (ignored(f"{where}.{key}", reason) for key, reason in _IGNORED.items() if raw.get(key) is not None)
    if _section(raw, "limits").get("pids"):
        yield ignored(f"{where}.deploy.resources.limits.pids", _IGNORED["pids_limit"])
    if raw.get("cpu_period"):
        yield (
            translated(f"{where}.cpu_period", _LIMITS)
            if raw.get("cpu_quota")
            else ignored(f"{where}.cpu_period", "it says nothing without cpu_quota")
        )
    for key, section, name in _OUTRANKED:
        if raw.get(key) and _section(raw, section).get(name):
            yield ignored(f"{where}.{key}", f"deploy.resources.{section}.{name} decides")
