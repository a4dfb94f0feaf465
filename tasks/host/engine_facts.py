"""Turns the engine's own descriptions of containers into plain data."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..plan.facts import (
    HASH_LABEL,
    IMAGE_LABEL,
    NUMBER_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
)


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
    )


def container_from_inspect(raw: Mapping[str, Any]) -> Container:
    """Return a container as the engine describes it in full."""
    config, state = raw["Config"], raw["State"]
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
    )
