"""What a service refers to in addition to its image and configuration: secrets, configs and bind mounts.

Compose's hash of a service covers none of their contents (docker/compose#11900, #13045). They are compared by content,
never by path, inode or time, so that a fresh clone with the same bytes is no change.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.record import Record

SECRET, CONFIG, BIND = "secret", "config", "bind"
GONE = "gone"  # a container still has a directory mounted that was replaced or deleted: its content is unknown
FILE, TEXT, VARIABLE = "file", "text", "variable"  # where the content comes from


class Reference(Record):
    """A secret, config or bind mount of a service.

    - ``name``: how messages call it. ``target``: its path in the container.
    - ``source``: a path, a text or the name of a variable; ``held`` says which (FILE, TEXT, VARIABLE).
    - ``writable``: the container may change it. ``live``: the service reads changes itself.
    - ``created``: Docker creates the source as a directory if it is missing.
    """

    kind: str
    name: str
    held: str
    source: str
    target: str = ""
    writable: bool = False
    live: bool = False
    created: bool = False

    @property
    def secret(self) -> bool:
        """Whether it is a secret, whose content must never be stored."""
        return self.kind == SECRET


class Content(Record):
    """The content of a reference: its ``digest``, "" when it cannot be known.

    ``place`` is the device and inode of the file or directory; it only says whether a container still has the same one
    mounted. ``directory``: the digest covers everything in a directory.
    """

    digest: str = ""
    place: str = ""
    directory: bool = False


def references(model: Mapping[str, Any], service: str, live: Iterable[str] = ()) -> tuple[Reference, ...]:
    """Return the secrets, configs and bind mounts of a service; ``live`` are sources whose changes it reads itself."""
    raw = (model.get("services") or {}).get(service) or {}
    result: list[Reference] = []
    for kind, key in ((SECRET, "secrets"), (CONFIG, "configs")):
        declared = model.get(key) or {}
        for entry in raw.get(key) or ():
            name = str(entry["source"])
            held, source = _held(declared.get(name) or {})
            target = str(entry.get("target") or name)
            place = target if target.startswith("/") else f"/run/secrets/{target}" if kind == SECRET else f"/{target}"
            if held:
                result.append(Reference(kind, f"{kind} {name}", held, source, place))
    live_paths = (*live, *_watched(raw))
    for entry in raw.get("volumes") or ():
        if entry.get("type") != BIND or not entry.get("source"):
            continue
        source = str(entry["source"])
        result.append(
            Reference(
                BIND,
                f"{source} at {entry['target']}",
                FILE,
                source,
                str(entry["target"]).rstrip("/") or "/",
                writable=not entry.get("read_only"),
                live=any(_below(source, path) for path in live_paths),
                created=bool((entry.get("bind") or {}).get("create_host_path")),
            )
        )
    return tuple(result)


def _held(declared: Mapping[str, Any]) -> tuple[str, str]:
    """Return where the content of a secret or config comes from, and its source; empty strings if it is external."""
    if declared.get("file"):
        return FILE, str(declared["file"])
    if declared.get("content") is not None:
        return TEXT, str(declared["content"])
    return (VARIABLE, str(declared["environment"])) if declared.get("environment") else ("", "")


def _watched(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that ``docker compose watch`` syncs: https://docs.docker.com/reference/compose-file/develop/."""
    return tuple(str(rule["path"]) for rule in (raw.get("develop") or {}).get("watch") or () if rule.get("path"))


def _below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def with_other_sources(model: Mapping[str, Any], places: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return the model with other sources of bind mounts and configs: ``places`` has paths by service and target."""
    services, configs = {}, dict(model.get("configs") or {})
    for name, raw in (model.get("services") or {}).items():
        definition = dict(raw)
        if raw.get("volumes"):
            definition["volumes"] = [_led(entry, places.get((name, _target(entry)), "")) for entry in raw["volumes"]]
        for reference in references(model, name):
            path = places.get((name, reference.target))
            if path and reference.kind == CONFIG:
                key = reference.name.removeprefix(f"{CONFIG} ")
                configs[key] = {**configs[key], "file": path}
        services[name] = definition
    return {**model, "services": services, **({"configs": configs} if configs else {})}


def _target(entry: Any) -> str:
    return str(entry.get("target")).rstrip("/") or "/" if isinstance(entry, dict) else ""


def _led(entry: Any, path: str) -> Any:
    return {**entry, "source": path} if path and isinstance(entry, dict) and entry.get("type") == BIND else entry
