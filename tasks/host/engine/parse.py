"""Turns the engine's own descriptions of containers into plain data."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...model.engine.confinement import Confined, Host, Mount, PublishedPort
from ...model.engine.facts import (
    DIRECTORY_LABEL,
    HASH_LABEL,
    IMAGE_LABEL,
    NUMBER_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
)
from ...model.quoting import quoted

_ANSWER = 200  # characters of what a health check said


def _ports(raw: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    ports = {
        f"{port['IP']}:{port['PublicPort']}->{port['PrivatePort']}/{port['Type']}"
        for port in raw
        if port.get("PublicPort")
    }
    return tuple(sorted(ports))


_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def health_times(raw: Mapping[str, Any]) -> dict[str, float]:
    """Return the times of an image's health check in seconds, and its retries, without what it leaves to the engine."""
    times = {name: raw[key] / 1e9 for name, key in _TIMES.items() if raw.get(key)}
    return {**times, **({"retries": raw["Retries"]} if raw.get("Retries") else {})}


def container_from_list(raw: Mapping[str, Any]) -> Container:
    """Return a container as the engine lists it."""
    labels = raw.get("Labels") or {}
    status = str(raw.get("Status", ""))
    health = next((word for word in ("unhealthy", "healthy") if f"({word})" in status), "")
    if "(health: starting)" in status:
        health = "starting"
    exited = status.removeprefix("Exited (").split(")")[0] if status.startswith("Exited (") else "0"
    return Container(
        id=raw["Id"],
        name=str((raw.get("Names") or ["/"])[0]).lstrip("/"),
        project=labels.get(PROJECT_LABEL, ""),
        service=labels.get(SERVICE_LABEL, ""),
        number=int(labels.get(NUMBER_LABEL, "1")),
        image_id=raw.get("ImageID", ""),
        state=raw.get("State", ""),
        health=health,
        exit_code=int(exited),
        oneoff=labels.get(ONEOFF_LABEL, "False") == "True",
        config_hash=labels.get(HASH_LABEL, ""),
        image_reference=str(raw.get("Image", "")),
        created_from=labels.get(IMAGE_LABEL, ""),
        created=float(raw.get("Created", 0)),
        ports=_ports(raw.get("Ports") or ()),
        volumes=tuple(mount["Name"] for mount in raw.get("Mounts") or () if mount.get("Type") == "volume"),
        networks=tuple((raw.get("NetworkSettings") or {}).get("Networks") or ()),
        addresses=_addresses(raw),
        binds=_binds(raw.get("Mounts") or ()),
        mounted=_mounted(raw.get("Mounts") or ()),
        shares=_shared((raw.get("HostConfig") or {}).get("NetworkMode")),
        directory=labels.get(DIRECTORY_LABEL, ""),
        restarting=raw.get("State") == "restarting",
        young=status.startswith("Up ") and not re.search(r"hours|days|weeks|months|years", status),
    )


def _binds(raw: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(mount["Source"]), str(mount["Destination"])) for mount in raw if mount.get("Type") == "bind")


def _mounted(raw: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(mount["Name"]), str(mount["Destination"])) for mount in raw if mount.get("Type") == "volume")


def _shared(*modes: object) -> tuple[str, ...]:
    """Return the ids of the containers whose namespaces are used, from modes such as ``container:ID``."""
    texts = (str(mode or "") for mode in modes)
    return tuple(text.removeprefix("container:") for text in texts if text.startswith("container:"))


def _last_answer(log: Sequence[Mapping[str, Any]]) -> str:
    """Return the last line that a health check printed the last time, else its exit code."""
    if not log:
        return ""
    lines = [line.strip() for line in str(log[-1].get("Output") or "").splitlines() if line.strip()]
    return quoted(lines[-1], _ANSWER) if lines else f"exit code {log[-1].get('ExitCode', 0)}"


def container_from_inspect(raw: Mapping[str, Any]) -> Container:
    """Return a container as the engine describes it in full."""
    config, state, host = raw["Config"], raw["State"], raw.get("HostConfig") or {}
    labels = config.get("Labels") or {}
    published = [
        {"IP": binding["HostIp"], "PublicPort": binding["HostPort"], "PrivatePort": port, "Type": kind}
        for name, bindings in (raw.get("NetworkSettings", {}).get("Ports") or {}).items()
        for port, kind in [name.split("/")]
        for binding in bindings or ()
    ]
    return Container(
        id=raw["Id"],
        name=str(raw["Name"]).lstrip("/"),
        project=labels.get(PROJECT_LABEL, ""),
        service=labels.get(SERVICE_LABEL, ""),
        number=int(labels.get(NUMBER_LABEL, "1")),
        image_id=raw["Image"],
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        answer=_last_answer((state.get("Health") or {}).get("Log") or ()),
        exit_code=int(state.get("ExitCode", 0)),
        oneoff=labels.get(ONEOFF_LABEL, "False") == "True",
        config_hash=labels.get(HASH_LABEL, ""),
        image_reference=str(config.get("Image", "")),
        created_from=labels.get(IMAGE_LABEL, ""),
        ports=_ports(published),
        started=str(state.get("StartedAt", "")),
        oom_killed=bool(state.get("OOMKilled")),
        restarting=bool(state.get("Restarting")),
        restarts=int(raw.get("RestartCount", 0)),
        binds=_binds(raw.get("Mounts") or ()),
        mounted=_mounted(raw.get("Mounts") or ()),
        volumes=tuple(mount["Name"] for mount in raw.get("Mounts") or () if mount.get("Type") == "volume"),
        networks=tuple((raw.get("NetworkSettings") or {}).get("Networks") or ()),
        addresses=_addresses(raw),
        directory=labels.get(DIRECTORY_LABEL, ""),
        grace=float(config.get("StopTimeout", 10) or 0),
        shares=_shared(*(host.get(key) for key in ("NetworkMode", "PidMode", "IpcMode")), *_volumes_from(host)),
    )


def _volumes_from(host: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"container:{source.partition(':')[0]}" for source in host.get("VolumesFrom") or ())


def confined_from_inspect(raw: Mapping[str, Any]) -> Confined:
    """Return how the engine confines a container, from its description in full."""
    config, host, labels = raw["Config"], raw["HostConfig"], raw["Config"].get("Labels") or {}
    restart = host.get("RestartPolicy") or {}
    health = (config.get("Healthcheck") or {}).get("Test") or []
    quota = (host.get("CpuQuota") or 0) / (host.get("CpuPeriod") or 100_000)
    mode, networks = str(host.get("NetworkMode", "")), (raw.get("NetworkSettings") or {}).get("Networks") or {}
    return Confined(
        name=str(raw["Name"]).lstrip("/"),
        service=labels.get(SERVICE_LABEL, ""),
        user=str(config.get("User") or ""),
        added=tuple(host.get("CapAdd") or ()),
        dropped=tuple(host.get("CapDrop") or ()),
        privileged=bool(host.get("Privileged")),
        mounts=tuple(_mounts(raw.get("Mounts") or ())),
        devices=tuple(device["PathOnHost"] for device in host.get("Devices") or ()),
        network=mode if mode in ("host", "none", "bridge", "default") or ":" in mode else ",".join(sorted(networks)),
        ports=tuple(_published(host.get("PortBindings") or {}, raw)),
        read_only=bool(host.get("ReadonlyRootfs")),
        memory=int(host.get("Memory") or 0),
        cpus=(host.get("NanoCpus") or 0) / 1e9 or max(quota, 0.0),
        cpu_shares=int(host.get("CpuShares") or 0),
        pids=int(host.get("PidsLimit") or 0),
        options=tuple(host.get("SecurityOpt") or ()),
        apparmor=str(raw.get("AppArmorProfile") or ""),
        pid=str(host.get("PidMode") or ""),
        ipc=str(host.get("IpcMode") or ""),
        uts=str(host.get("UTSMode") or ""),
        userns=str(host.get("UsernsMode") or ""),
        restart=str(restart.get("Name") or ""),
        retries=int(restart.get("MaximumRetryCount") or 0),
        health_check=bool(health) and health != ["NONE"],
    )


def _mounts(raw: Iterable[Mapping[str, Any]]) -> Iterable[Mount]:
    for mount in raw:
        if mount.get("Type") == "bind":
            yield Mount(
                str(mount["Source"]), str(mount["Destination"]), bool(mount.get("RW")), str(mount.get("Propagation"))
            )


def _published(bindings: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterable[PublishedPort]:
    """Yield each port once: what was asked for, and the number that the engine chose where none was."""
    actual = (raw.get("NetworkSettings") or {}).get("Ports") or {}
    for name, wanted in sorted(bindings.items()):
        port, _, protocol = name.partition("/")
        for number, binding in enumerate(wanted or ()):
            got = (actual.get(name) or [])[number : number + 1]
            host = binding.get("HostPort") or (got[0]["HostPort"] if got else "0")
            # Of a range of ports the engine takes one: show the port that it took.
            host = host if host.isdigit() else (got[0]["HostPort"] if got else "0")
            yield PublishedPort(str(binding.get("HostIp") or ""), int(host), int(port), protocol or "tcp")


def host_from_info(raw: Mapping[str, Any]) -> Host:
    """Return what an engine can confine containers with, from ``docker info``."""
    # https://docs.docker.com/reference/api/engine/: SecurityOptions is a list such as name=seccomp,profile=builtin
    names = {
        pair.partition("=")[2]
        for option in raw.get("SecurityOptions") or ()
        for pair in option.split(",")
        if pair.startswith("name=")
    }
    return Host("apparmor" in names, "selinux" in names, "no-new-privileges" in names)


def _addresses(raw: Mapping[str, Any]) -> tuple[str, ...]:
    ends = ((raw.get("NetworkSettings") or {}).get("Networks") or {}).values()
    keys = ("IPAddress", "GlobalIPv6Address")
    return tuple(str(end[key]) for end in ends for key in keys if end and end.get(key))
