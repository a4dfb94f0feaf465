"""New volumes as Docker makes them: a directory with what the image has at that path, owned by the container's user.

Kubernetes mounts an empty volume over the files of the image. Docker copies them into a new volume first
(https://docs.docker.com/engine/storage/volumes/#mounting-a-volume-over-existing-data). So an init container of the
same image and user makes the directory that the service mounts, once; it belongs to the user, as servers such as
PostgreSQL want it, and has no ``lost+found``.
"""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ....model.record import Record
from ..data.expansion import literal

DIRECTORY = "data"
"""The directory in a volume that a service mounts: empty at first, which the root of a file system is not."""
_PLACE = "/.slipway"

# As Docker does, it fills a directory that is empty, also when another service has been there before. A new one gets
# its name when it is complete: a container that ended half way begins again.
_MADE = """\
set -eu
fill() {
    if [ -d "$1" ] && [ -n "$(ls -A "$1")" ]; then return; fi
    new="$1.${HOSTNAME:-new}"
    rm -rf "$new"
    mkdir -p "$new"
    if [ -d "$2" ]; then cp -a "$2/." "$new/" || echo "not all of $2 could be copied" >&2; fi
    if [ -n "$3" ]; then chmod "$3" "$new"; fi
    if [ -n "$4" ]; then finish "$new"; fi
    if [ -d "$1" ]; then cp -a "$new/." "$1/" || true; rm -rf "$new"; else mv "$new" "$1"; fi
}
"""


class NewDirectory(Record):
    """A directory that a Pod needs in a volume: ``volume`` is the Pod's name of it.

    ``copied`` is the path of the image whose files it begins with, "" for none; ``mode`` the permissions, "" for those
    of the path; ``after`` a shell command that changes the new files, where ``$1`` is the directory.
    """

    volume: str
    copied: str = ""
    mode: str = ""
    after: str = ""


def init_container(name: str, directories: Iterable[NewDirectory]) -> Mapping[str, Any]:
    """Return the fields of the Pod with an init container that makes directories; nothing without any.

    It has no image: ``complete`` gives it that of the service.
    """
    wanted = tuple(directories)
    if not wanted:
        return {}
    mounts = {each.volume: {"name": each.volume, "mountPath": f"{_PLACE}/{each.volume}"} for each in wanted}
    script = _MADE + "".join(_lines(each) for each in wanted)
    container = {"name": name, "command": ["/bin/sh", "-c", literal(script)], "volumeMounts": [*mounts.values()]}
    return {"initContainers": [container]}


def _lines(directory: NewDirectory) -> str:
    place = f"{_PLACE}/{directory.volume}/{DIRECTORY}"
    words = (shlex.quote(word) for word in (directory.copied, directory.mode, "yes" if directory.after else ""))
    before = f"finish() {{ {directory.after}; }}\n" if directory.after else ""
    return f"{before}fill {place} {' '.join(words)}\n"


# What a container that works for another one has in common with it.
_SHARED = ("image", "imagePullPolicy", "securityContext", "resources")


def complete(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Pod in which init containers without an image run that of the service, confined alike."""
    if not pod.get("initContainers"):
        return dict(pod)
    service = pod["containers"][0]
    shared = {key: service[key] for key in _SHARED if key in service}
    inits = [each if "image" in each else {**shared, **each} for each in pod["initContainers"]]
    return {**pod, "initContainers": inits}
