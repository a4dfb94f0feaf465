"""Says in words how the configuration of a container differs from the one that it should have.

The words are keys of the Compose file and the names below them, never values: a value may be a secret.
"""

from collections.abc import Mapping
from typing import Any

from ...model.record import Record

# https://docs.docker.com/reference/compose-file/services/ - Compose's hash leaves these out, or a plan has a cause of
# its own for them: the image is compared by content, the replicas by counting containers.
_ELSEWHERE = frozenset({"build", "depends_on", "image", "profiles", "pull_policy", "scale"})
_ELSEWHERE_IN = {"deploy": frozenset({"replicas"})}
_WORDS = {"networks": "network"}
CHANGED = "configuration changed"


class MadeWith(Record):
    """The configuration that a container was created with.

    - ``service``: its service in the rendered model; a secret that has changed since is a placeholder.
    - ``reference``: the image name at that time, "" when it is not known.
    - ``partly``: read from the engine, which shows only some keys of a service; other keys may have changed as well.
    """

    service: Mapping[str, Any]
    reference: str = ""
    partly: bool = False


def differences(made: MadeWith, wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a service that differ from its container's, such as ``environment MODE, LOG_LEVEL``.

    Mappings are compared key by key, lists as a whole. ``wanted`` is the service as it should be, in the container's
    spelling (see ``spelling``).
    """
    keys = tuple(made.service) if made.partly else tuple(dict.fromkeys((*wanted, *made.service)))
    parts = (_of(key, made.service.get(key), wanted.get(key)) for key in keys if _counts(key))
    words = tuple(word for word in parts if word)
    return tuple(f"{CHANGED}: {word}" for word in words) if made.partly else words


def _counts(key: str) -> bool:
    return key not in _ELSEWHERE and not key.startswith("x-")


def _of(key: str, before: Any, now: Any) -> str:
    label = _WORDS.get(key, key)
    if not isinstance(before or {}, Mapping) or not isinstance(now or {}, Mapping):
        return label if (before or None) != (now or None) else ""
    then, today, missing = before or {}, now or {}, object()
    without = _ELSEWHERE_IN.get(key, frozenset())
    names = [name for name in dict.fromkeys((*today, *then)) if name not in without]
    differing = [str(name) for name in names if then.get(name, missing) != today.get(name, missing)]
    return f"{label} {', '.join(differing)}" if differing else ""
