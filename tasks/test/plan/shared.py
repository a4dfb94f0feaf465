"""What services share with the outside of their stack, and what a throw-away copy of them gets instead.

A copy gets its own, empty ports, names, addresses, volumes and writable directories. A service that uses something of
the host or of another container cannot be copied: it is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...model.engine.sockets import is_engine_socket
from ...model.errors import RefusedError
from ...model.lazy_pattern import lazy_pattern

# Kinds of sources of bind mounts: a directory (or nothing yet), a text file, a binary file (it has a zero byte, as in
# git), or something else: a socket, a pipe, a device.
DIRECTORY, TEXT, DATA, SPECIAL = "directory", "text", "data", "special"
Kinds = Mapping[str, str]

_HINT = (
    "nothing was started; override it in a Compose file for tests (`devices: !reset []`), "
    "or leave the service out with a Compose profile"
)
_SOCKET_DIRECTORIES = ("/run", "/var/run")
# Devices without state of their own: any number of containers can use them at the same time.
_HARMLESS_DEVICES = lazy_pattern(r"/dev/(fuse|kvm|null|zero|full|random|urandom|net/tun|dri(/.*)?)")
# Values that mean a namespace of the container itself, or of a service of the same stack.
_OWN_NAMESPACES = {
    "network_mode": ("", "none", "bridge", "default", "service"),
    "pid": ("", "private", "service"),
    "ipc": ("", "none", "private", "shareable", "service"),
}
_LOCAL_LOGS = ("", "json-file", "local", "none")
# Options of a network that do not name anything on the host, so a copy can have them too.
_NETWORK_OPTIONS = tuple(
    f"com.docker.network.{option}" for option in ("driver.mtu", "bridge.enable_icc", "bridge.enable_ip_masquerade")
)
_ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")
_MAY_NAME_ADDRESSES = ("environment", "command", "entrypoint", "extra_hosts", "healthcheck", "dns")


def refuse(model: Mapping[str, Any], names: Iterable[str], kinds: Kinds) -> None:
    """Raise RefusedError when a copy of these services would share something with running containers; name it all."""
    faults = tuple(dict.fromkeys(fault for name in names for fault in _faults(model, name, kinds)))
    if faults:
        raise RefusedError("\n".join(["a copy of the stack would share with running containers:", *faults]), _HINT)


def _faults(model: Mapping[str, Any], name: str, kinds: Kinds) -> Iterator[str]:
    raw = _service(model, name)
    for key, own in _OWN_NAMESPACES.items():
        value = str(raw.get(key) or "")
        if value.partition(":")[0] not in own:
            yield f"{name}: {key}: {value}"
    yield from (
        f"{name}: volumes_from: {source}" for source in raw.get("volumes_from") or () if source.startswith("container:")
    )
    yield from (f"{name}: external_links: {link}" for link in raw.get("external_links") or ())
    yield from (f"{name}: devices: {device}" for device in _devices(raw) if not _HARMLESS_DEVICES.fullmatch(device))
    for key in ("device_cgroup_rules", "use_api_socket", "provider"):
        if raw.get(key):
            yield f"{name}: {key}"
    for mount in raw.get("volumes") or ():
        if reason := _not_copyable(mount, kinds):
            yield f"{name}: volumes: {shown(mount)} ({reason})"
    yield from _fixed_addresses(model, name)


def _not_copyable(mount: Mapping[str, Any], kinds: Kinds) -> str:
    """Return why a mount cannot be copied, "" when it can."""
    if mount.get("type") in ("npipe", "cluster"):
        return str(mount["type"])
    if mount.get("type") != "bind":
        return ""
    source = str(mount["source"])
    kind = kinds.get(source, DIRECTORY)
    read_only = bool(mount.get("read_only"))
    if is_engine_socket(source) or (read_only and source.rstrip("/") in _SOCKET_DIRECTORIES):
        return "it gives access to the engine and so to every container"
    if kind == SPECIAL:
        return "a socket, pipe or device of the host"
    if kind == DATA and not read_only:
        return "a binary file that the stack writes to"
    return ""


def _fixed_addresses(model: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield where a service uses the fixed address of a service: in a copy, it would reach the running stack."""
    fixed = {
        str(network[key]): other
        for other, raw in (model.get("services") or {}).items()
        for network in _networks(raw or {}).values()
        for key in _ADDRESSES[:2]
        if network.get(key)
    }
    for key in _MAY_NAME_ADDRESSES:
        for where, text in _texts(_service(model, name).get(key), key):
            for address, owner in fixed.items():
                if _names(text, address):
                    yield f"{name}: {where}: {address} is the address of the running {owner}; use the service's name"


def _names(text: str, address: str) -> bool:
    """Whether a text contains an address, not as a part of a longer one."""
    before, after = (r"[0-9A-Fa-f:]", r"[0-9A-Fa-f:]") if ":" in address else (r"[0-9.]", r"[0-9]|\.[0-9]")
    return re.search(rf"(?<!{before}){re.escape(address)}(?!{after})", text) is not None


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _texts(member, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member, where)
    elif value is not None:
        yield where, str(value)


def sources(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sources of all bind mounts of a model."""
    return tuple(dict.fromkeys(str(mount["source"]) for mount in _binds(model)))


def _binds(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for raw in (model.get("services") or {}).values():
        yield from (mount for mount in (raw or {}).get("volumes") or () if mount.get("type") == "bind")


def own_volumes(model: Mapping[str, Any], kinds: Kinds) -> dict[str, str]:
    """Return the names of the empty volumes that replace directories of the host in a copy, by directory.

    Each directory that a service can write to is replaced, by the same volume in all services that mount it.
    """
    written = {str(mount["source"]) for mount in _binds(model) if not mount.get("read_only")}
    written = {source for source in written if kinds.get(source, DIRECTORY) == DIRECTORY}
    return {source: f"slipway-own-{number}" for number, source in enumerate(sorted(written), 1)}


def mounts(raw: Mapping[str, Any], own: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the mounts of a service in a copy: volumes for writable directories, the rest of the host read-only."""
    copied = []
    for mount in raw.get("volumes") or ():
        if mount.get("type") != "bind":
            copied.append(dict(mount))
        elif str(mount["source"]) in own:
            copied.append({
                "type": "volume", "source": own[str(mount["source"])], "target": mount["target"],
                **({"read_only": True} if mount.get("read_only") else {}),
            })  # fmt: skip
        else:
            copied.append({**mount, "read_only": True})
    return copied


def mount_notes(model: Mapping[str, Any], names: Iterable[str], kinds: Kinds) -> tuple[str, ...]:
    """Return a line about each mount of the host that is a volume, or read-only, in a copy."""
    own = own_volumes(model, kinds)
    lines = []
    for name in names:
        for mount in _service(model, name).get("volumes") or ():
            if mount.get("type") == "bind" and str(mount["source"]) in own:
                lines.append(f"{name}: {mount['target']} is an empty volume in the copy, not {mount['source']}")
            elif mount.get("type") == "bind" and not mount.get("read_only"):
                lines.append(f"{name}: {mount['target']} cannot be written to in the copy: it is {mount['source']}")
    return tuple(lines)


def reset_keys(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a service that a copy must not have, since what they name exists only once."""
    keys = [key for key in ("ports", "container_name", "mac_address", "cgroup_parent") if raw.get(key)]
    keys += [key for key in ("uts", "userns_mode", "cgroup") if raw.get(key) == "host"]
    keys += ["network_mode"] if raw.get("network_mode") in ("bridge", "default") else []
    # The logs of a test run must not reach the log collector of the running stack.
    keys += ["logging"] if str((raw.get("logging") or {}).get("driver") or "") not in _LOCAL_LOGS else []
    return tuple(keys)


def copy_attachments(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the networks of a service in a copy, without fixed addresses; None when there is no fixed address."""
    networks = _networks(raw)
    if not any(key in attachment for attachment in networks.values() for key in _ADDRESSES):
        return None
    return {
        name: {key: value for key, value in attachment.items() if key not in _ADDRESSES} or None
        for name, attachment in networks.items()
    }


def network(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a network keeps in a copy; its subnet, driver and bridge exist only once."""
    kept = {key: raw[key] for key in ("internal", "attachable") if raw.get(key) is not None}
    options = {key: value for key, value in (raw.get("driver_opts") or {}).items() if key in _NETWORK_OPTIONS}
    return {**kept, **({"driver_opts": options} if options else {})}


def volume(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a volume keeps in a copy: only those of tmpfs, any other place exists only once."""
    options = raw.get("driver_opts") or {}
    local = str(raw.get("driver") or "local") == "local"
    return {"driver_opts": dict(options)} if local and options.get("type") == "tmpfs" else {}


def shown(mount: Mapping[str, Any]) -> str:
    """Return a mount in the short syntax of Compose."""
    parts = [str(part) for part in (mount.get("source"), mount.get("target")) if part]
    return ":".join([*parts, *(["ro"] if mount.get("read_only") else [])])


def still_shared(model: Mapping[str, Any], copy: str) -> tuple[str, ...]:
    """Return what a copy, as Compose resolves it, still shares with other stacks; empty when it shares nothing."""
    faults = []
    for kind in ("networks", "volumes"):
        for key, raw in (model.get(kind) or {}).items():
            settings = raw or {}
            if settings.get("external") or settings.get("name") != f"{copy}_{key}" or settings.get("ipam"):
                faults.append(f"{kind}: {key}")
    for name in model.get("services") or {}:
        service = _service(model, name)
        faults += [f"{name}: {key}" for key in reset_keys(service)]
        faults += [f"{name}: networks"] if copy_attachments(service) is not None else []
        faults += [
            f"{name}: volumes: {shown(mount)}"
            for mount in service.get("volumes") or ()
            if mount.get("type") == "bind" and not mount.get("read_only")
        ]
    return tuple(faults)


def _service(model: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return (model.get("services") or {}).get(name) or {}


def _networks(raw: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    networks = raw.get("networks") or {}
    return {name: (networks[name] or {}) if isinstance(networks, Mapping) else {} for name in networks}


def _devices(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the devices of the host: Compose writes them as a text or, since 2.24, as a mapping."""
    for device in raw.get("devices") or ():
        yield str(device.get("source", "")) if isinstance(device, Mapping) else str(device).partition(":")[0]
