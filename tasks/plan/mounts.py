"""What a service refers to beside its image and its configuration: secrets, configs and bind mounts.

Compose's own hash of a service covers none of their contents (docker/compose#11900, #13045). Their identity is their
content: never a path, an inode or a time, so a fresh clone with the same bytes is the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECRET, CONFIG, BIND = "secret", "config", "bind"
GONE = "gone"  # what a container sees of a directory that was replaced: nobody can say what
FILE, TEXT, VARIABLE = "file", "text", "variable"  # where the content is


@dataclass(frozen=True)
class Reference:
    """One thing that a service refers to.

    ``name`` is what people call it, ``source`` a path, a text or the name of a variable as ``held`` says, ``target``
    where the container finds it. ``writable``: the container may change it. ``live``: the service reads changes itself.
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
        """Whether its content must not be kept."""
        return self.kind == SECRET


@dataclass(frozen=True)
class Content:
    """What a reference stands for: a ``digest`` of its content, "" when that cannot be known.

    ``place`` identifies the file or directory that a bind mount is bound to (device and inode): it only tells what
    need not be read again.
    """

    digest: str = ""
    place: str = ""


def references(model: Mapping[str, Any], service: str, live: Iterable[str] = ()) -> tuple[Reference, ...]:
    """Return what a service of a rendered model refers to, in the model's order; ``live`` are sources read live."""
    raw = (model.get("services") or {}).get(service) or {}
    found: list[Reference] = []
    for kind, key in ((SECRET, "secrets"), (CONFIG, "configs")):
        declared = model.get(key) or {}
        for entry in raw.get(key) or ():
            name = str(entry["source"])
            held, source = _held(declared.get(name) or {})
            target = str(entry.get("target") or name)
            place = target if target.startswith("/") else f"/run/secrets/{target}" if kind == SECRET else f"/{target}"
            if held:
                found.append(Reference(kind, f"{kind} {name}", held, source, place))
    known = (*live, *_watched(raw))
    for entry in raw.get("volumes") or ():
        if entry.get("type") != BIND or not entry.get("source"):
            continue
        source = str(entry["source"])
        found.append(
            Reference(
                BIND,
                f"{source} at {entry['target']}",
                FILE,
                source,
                str(entry["target"]).rstrip("/") or "/",
                writable=not entry.get("read_only"),
                live=any(_below(source, one) for one in known),
                created=bool((entry.get("bind") or {}).get("create_host_path")),
            )
        )
    return tuple(found)


def _held(declared: Mapping[str, Any]) -> tuple[str, str]:
    """Return where the content of a secret or config is, and its source; nothing for an external one."""
    if declared.get("file"):
        return FILE, str(declared["file"])
    if declared.get("content") is not None:
        return TEXT, str(declared["content"])
    return (VARIABLE, str(declared["environment"])) if declared.get("environment") else ("", "")


def _watched(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that ``docker compose watch`` syncs: https://docs.docker.com/reference/compose-file/develop/."""
    return tuple(str(one["path"]) for one in (raw.get("develop") or {}).get("watch") or () if one.get("path"))


def _below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def redirected(model: Mapping[str, Any], places: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return a model in which references lead elsewhere; ``places`` are paths by service and target."""
    services, configs = {}, dict(model.get("configs") or {})
    for name, raw in (model.get("services") or {}).items():
        made = dict(raw)
        if raw.get("volumes"):
            made["volumes"] = [_led(one, places.get((name, _target(one)), "")) for one in raw["volumes"]]
        for one in references(model, name):
            path = places.get((name, one.target))
            if path and one.kind == CONFIG:
                key = one.name.removeprefix(f"{CONFIG} ")
                configs[key] = {**configs[key], "file": path}
        services[name] = made
    return {**model, "services": services, **({"configs": configs} if configs else {})}


def _target(entry: Any) -> str:
    return str(entry.get("target")).rstrip("/") or "/" if isinstance(entry, dict) else ""


def _led(entry: Any, path: str) -> Any:
    return {**entry, "source": path} if path and isinstance(entry, dict) and entry.get("type") == BIND else entry
