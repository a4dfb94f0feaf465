"""What services share with what is outside of their stack, and what a throw-away copy of them gets instead.

A copy gets of its own whatever can be given to it empty: ports, names, addresses, volumes, directories that it could
write to. What a service needs because it is the host's, or another container's, cannot be copied and is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .errors import RefusedError
from .sockets import is_engine_socket

# What the source of a bind mount is: a directory (or nothing yet), a file that holds text, one that holds data
# (a zero byte, as git tells them apart), or what is neither: a socket, a pipe, a device.
DIRECTORY, TEXT, DATA, SPECIAL = "directory", "text", "data", "special"
Kinds = Mapping[str, str]

_HINT = (
    "nothing was started; in a Compose file for tests give the copy something else (`devices: !reset []`), "
    "or leave the service out by a Compose profile"
)
_SOCKET_DIRECTORIES = ("/run", "/var/run")
# Nothing is kept in them, and any number of containers use them at once.
_HARMLESS_DEVICES = re.compile(r"/dev/(fuse|kvm|null|zero|full|random|urandom|net/tun|dri(/.*)?)")
# What is a container's own, or of the same stack.
_OWN_NAMESPACES = {
    "network_mode": ("", "none", "bridge", "default", "service"),
    "pid": ("", "private", "service"),
    "ipc": ("", "none", "private", "shareable", "service"),
}
_LOCAL_LOGS = ("", "json-file", "local", "none")
# Options of a network that are not about the machine.
_NETWORK_OPTIONS = tuple(
    f"com.docker.network.{one}" for one in ("driver.mtu", "bridge.enable_icc", "bridge.enable_ip_masquerade")
)
_ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")
_SPEAKING = ("environment", "command", "entrypoint", "extra_hosts", "healthcheck", "dns")


def refuse(model: Mapping[str, Any], names: Iterable[str], kinds: Kinds) -> None:
    """Raise RefusedError that names everything that a copy of these services would share with what runs."""
    faults = tuple(dict.fromkeys(fault for name in names for fault in _faults(model, name, kinds)))
    if faults:
        raise RefusedError("\n".join(["a copy of the stack would share with what runs:", *faults]), _HINT)


def _faults(model: Mapping[str, Any], name: str, kinds: Kinds) -> Iterator[str]:
    raw = _service(model, name)
    for key, own in _OWN_NAMESPACES.items():
        value = str(raw.get(key) or "")
        if value.partition(":")[0] not in own:
            yield f"{name}: {key}: {value}"
    yield from (f"{name}: volumes_from: {one}" for one in raw.get("volumes_from") or () if one.startswith("container:"))
    yield from (f"{name}: external_links: {one}" for one in raw.get("external_links") or ())
    yield from (f"{name}: devices: {one}" for one in _devices(raw) if not _HARMLESS_DEVICES.fullmatch(one))
    for key in ("device_cgroup_rules", "use_api_socket", "provider"):
        if raw.get(key):
            yield f"{name}: {key}"
    for mount in raw.get("volumes") or ():
        if why := _unfit(mount, kinds):
            yield f"{name}: volumes: {shown(mount)} ({why})"
    yield from _addressed(model, name)


def _unfit(mount: Mapping[str, Any], kinds: Kinds) -> str:
    """Return why a mount cannot be copied, "" when it can."""
    if mount.get("type") in ("npipe", "cluster"):
        return str(mount["type"])
    if mount.get("type") != "bind":
        return ""
    source = str(mount["source"])
    kind = kinds.get(source, DIRECTORY)
    read_only = bool(mount.get("read_only"))
    if is_engine_socket(source) or (read_only and source.rstrip("/") in _SOCKET_DIRECTORIES):
        return "who reaches the engine reaches every container"
    if kind == SPECIAL:
        return "what is behind it is the host's"
    if kind == DATA and not read_only:
        return "a file of data that the stack writes to"
    return ""


def _addressed(model: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield where a service names the fixed address of one of the stack: in a copy, that is the one that runs."""
    fixed = {
        str(network[key]): other
        for other, raw in (model.get("services") or {}).items()
        for network in _networks(raw or {}).values()
        for key in _ADDRESSES[:2]
        if network.get(key)
    }
    for key in _SPEAKING:
        for where, text in _texts(_service(model, name).get(key), key):
            for address, owner in fixed.items():
                if _names(text, address):
                    yield f"{name}: {where}: {address} is the address of the {owner} that runs; name the service"


def _names(text: str, address: str) -> bool:
    """Whether a text holds an address, and not one that only begins or ends so."""
    before, after = (r"[0-9A-Fa-f:]", r"[0-9A-Fa-f:]") if ":" in address else (r"[0-9.]", r"[0-9]|\.[0-9]")
    return re.search(rf"(?<!{before}){re.escape(address)}(?!{after})", text) is not None


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(one, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, where)
    elif value is not None:
        yield where, str(value)


def sources(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sources of all bind mounts of a model."""
    return tuple(dict.fromkeys(str(one["source"]) for one in _binds(model)))


def _binds(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for raw in (model.get("services") or {}).values():
        yield from (one for one in (raw or {}).get("volumes") or () if one.get("type") == "bind")


def own_volumes(model: Mapping[str, Any], kinds: Kinds) -> dict[str, str]:
    """Return the volumes that a copy gets instead of directories of the host, by directory: empty ones.

    One for each directory that any service can write to: those that share a directory share its volume.
    """
    written = {str(one["source"]) for one in _binds(model) if not one.get("read_only")}
    written = {one for one in written if kinds.get(one, DIRECTORY) == DIRECTORY}
    return {source: f"slipway-own-{number}" for number, source in enumerate(sorted(written), 1)}


def mounts(raw: Mapping[str, Any], own: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the mounts of a service in a copy: of the host only what cannot be written to."""
    found = []
    for mount in raw.get("volumes") or ():
        if mount.get("type") != "bind":
            found.append(dict(mount))
        elif str(mount["source"]) in own:
            found.append({
                "type": "volume", "source": own[str(mount["source"])], "target": mount["target"],
                **({"read_only": True} if mount.get("read_only") else {}),
            })  # fmt: skip
        else:
            found.append({**mount, "read_only": True})
    return found


def told(model: Mapping[str, Any], names: Iterable[str], kinds: Kinds) -> tuple[str, ...]:
    """Return the lines that say which mounts of the host are others in a copy."""
    own = own_volumes(model, kinds)
    lines = []
    for name in names:
        for mount in _service(model, name).get("volumes") or ():
            if mount.get("type") == "bind" and str(mount["source"]) in own:
                lines.append(f"{name}: {mount['target']} is an empty volume in the copy, not {mount['source']}")
            elif mount.get("type") == "bind" and not mount.get("read_only"):
                lines.append(f"{name}: {mount['target']} cannot be written to in the copy: it is {mount['source']}")
    return tuple(lines)


def resets(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a service that a copy does without, since what they name is there once."""
    keys = [one for one in ("ports", "container_name", "mac_address", "cgroup_parent") if raw.get(one)]
    keys += [one for one in ("uts", "userns_mode", "cgroup") if raw.get(one) == "host"]
    keys += ["network_mode"] if raw.get("network_mode") in ("bridge", "default") else []
    # Test runs are no news for the place where the logs of what runs are gathered.
    keys += ["logging"] if str((raw.get("logging") or {}).get("driver") or "") not in _LOCAL_LOGS else []
    return tuple(keys)


def attached(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a service of a copy is attached to its networks, None where that needs no change."""
    networks = _networks(raw)
    if not any(key in one for one in networks.values() for key in _ADDRESSES):
        return None
    return {
        name: {key: value for key, value in one.items() if key not in _ADDRESSES} or None
        for name, one in networks.items()
    }


def network(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network of a copy keeps: its subnet, driver and bridge are there once."""
    kept = {key: raw[key] for key in ("internal", "attachable") if raw.get(key) is not None}
    options = {key: value for key, value in (raw.get("driver_opts") or {}).items() if key in _NETWORK_OPTIONS}
    return {**kept, **({"driver_opts": options} if options else {})}


def volume(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a volume of a copy keeps: one in memory stays that, any other place is somebody's."""
    options = raw.get("driver_opts") or {}
    local = str(raw.get("driver") or "local") == "local"
    return {"driver_opts": dict(options)} if local and options.get("type") == "tmpfs" else {}


def shown(mount: Mapping[str, Any]) -> str:
    """Return a mount as the short form of Compose writes it."""
    parts = [str(one) for one in (mount.get("source"), mount.get("target")) if one]
    return ":".join([*parts, *(["ro"] if mount.get("read_only") else [])])


def remaining(model: Mapping[str, Any], copy: str) -> tuple[str, ...]:
    """Return what a copy, as Compose has understood it, still has in common with others; nothing when all is well."""
    found = []
    for kind in ("networks", "volumes"):
        for key, raw in (model.get(kind) or {}).items():
            one = raw or {}
            if one.get("external") or one.get("name") != f"{copy}_{key}" or one.get("ipam"):
                found.append(f"{kind}: {key}")
    for name, one in (model.get("services") or {}).items():
        found += [f"{name}: {key}" for key in resets(one or {})]
        found += [f"{name}: networks" for _ in range(attached(one or {}) is not None)]
        found += [
            f"{name}: volumes: {shown(mount)}"
            for mount in (one or {}).get("volumes") or ()
            if mount.get("type") == "bind" and not mount.get("read_only")
        ]
    return tuple(found)


def _service(model: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return (model.get("services") or {}).get(name) or {}


def _networks(raw: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    networks = raw.get("networks") or {}
    return {name: (networks[name] or {}) if isinstance(networks, Mapping) else {} for name in networks}


def _devices(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the devices of the host: Compose writes them as a text or, since 2.24, as a mapping."""
    for one in raw.get("devices") or ():
        yield str(one.get("source", "")) if isinstance(one, Mapping) else str(one).partition(":")[0]
