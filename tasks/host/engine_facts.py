"""Turns the engine's own descriptions of containers into plain data."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..plan.facts import (
    DIRECTORY_LABEL,
    HASH_LABEL,
    IMAGE_LABEL,
    NUMBER_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
)
from ..plan.hardening import Confined, Host, Mount, Published


def _ports(raw: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    found = {
        f"{one['IP']}:{one['PublicPort']}->{one['PrivatePort']}/{one['Type']}" for one in raw if one.get("PublicPort")
    }
    return tuple(sorted(found))


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
        volumes=tuple(one["Name"] for one in raw.get("Mounts") or () if one.get("Type") == "volume"),
        networks=tuple((raw.get("NetworkSettings") or {}).get("Networks") or ()),
        binds=_binds(raw.get("Mounts") or ()),
        shares=_shared((raw.get("HostConfig") or {}).get("NetworkMode")),
        directory=labels.get(DIRECTORY_LABEL, ""),
        restarting=raw.get("State") == "restarting",
        young=status.startswith("Up ") and not re.search(r"hours|days|weeks|months|years", status),
    )


def _binds(raw: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one["Source"]), str(one["Destination"])) for one in raw if one.get("Type") == "bind")


def _shared(*modes: object) -> tuple[str, ...]:
    """Return the ids of the containers whose namespaces are used, from modes such as ``container:ID``."""
    texts = (str(one or "") for one in modes)
    return tuple(text.removeprefix("container:") for text in texts if text.startswith("container:"))


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
        volumes=tuple(one["Name"] for one in raw.get("Mounts") or () if one.get("Type") == "volume"),
        networks=tuple((raw.get("NetworkSettings") or {}).get("Networks") or ()),
        directory=labels.get(DIRECTORY_LABEL, ""),
        shares=_shared(*(host.get(key) for key in ("NetworkMode", "PidMode", "IpcMode")), *_volumes_from(host)),
    )


def _volumes_from(host: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"container:{one.partition(':')[0]}" for one in host.get("VolumesFrom") or ())


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
        devices=tuple(one["PathOnHost"] for one in host.get("Devices") or ()),
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
    for one in raw:
        if one.get("Type") == "bind":
            yield Mount(str(one["Source"]), str(one["Destination"]), bool(one.get("RW")), str(one.get("Propagation")))


def _published(bindings: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterable[Published]:
    """Yield each port once: what was asked for, and the number that the engine chose where none was."""
    actual = (raw.get("NetworkSettings") or {}).get("Ports") or {}
    for name, wanted in sorted(bindings.items()):
        port, _, protocol = name.partition("/")
        for number, one in enumerate(wanted or ()):
            got = (actual.get(name) or [])[number : number + 1]
            host = one.get("HostPort") or (got[0]["HostPort"] if got else "0")
            # A range of which the engine took one is told by what it took.
            host = host if host.isdigit() else (got[0]["HostPort"] if got else "0")
            yield Published(str(one.get("HostIp") or ""), int(host), int(port), protocol or "tcp")


def host_from_info(raw: Mapping[str, Any]) -> Host:
    """Return what an engine can confine containers with, from ``docker info``."""
    # https://docs.docker.com/reference/api/engine/: SecurityOptions is a list such as name=seccomp,profile=builtin
    names = {
        pair.partition("=")[2]
        for one in raw.get("SecurityOptions") or ()
        for pair in one.split(",")
        if pair.startswith("name=")
    }
    return Host("apparmor" in names, "selinux" in names, "no-new-privileges" in names)
