"""What refers to a service by a name that it can not have on Kubernetes."""

import re
from collections.abc import Iterable, Iterator, Mapping

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.stack import Service
from ..mentions import of_service, readable
from ..names import is_label, label
from ..outcome import KeyOutcome, refused
from ..part import Part
from ..source import KubeSource

KEYS: frozenset[str] = frozenset()

# A variable whose whole value is a host, by the end of its name.
_HOST_VARIABLE = lazy_pattern(r"(?:HOST|HOSTNAME|SERVER|SERVERS|ADDR|ADDRESS|ENDPOINT|URL|URI|DSN)$", re.IGNORECASE)


def part(source: KubeSource, service: Service) -> Part:
    """Return what names of services that change on Kubernetes mean to a service: each text of it that has one."""
    changed = source.once(_changed)
    if not changed:
        return Part()
    texts = (*of_service(f"services.{service.name}", source.raw(service.name)), *_mounted(source, service.name))
    return Part(outcomes=tuple(_references(texts, changed)))


def _changed(source: KubeSource) -> dict[str, str]:
    """Return the names of services that they can not have on Kubernetes, with those that they have there."""
    return {name: label(name) for name in source.stack.services if not is_label(name)}


def _mounted(source: KubeSource, name: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of the files and configs that a service reads, each with the key that mounts it."""
    raw = source.raw(name)
    for entry in raw.get("volumes") or ():
        file = source.files.get(str(entry.get("source") or ""))
        for content in file.files.values() if file else ():
            yield f"services.{name}.volumes.{entry.get('target')}", readable(content)
    for entry in raw.get("configs") or ():
        config = (source.model.get("configs") or {}).get(entry.get("source")) or {}
        yield f"configs.{entry.get('source')}.content", str(config.get("content") or "")


def _references(texts: Iterable[tuple[str, str]], changed: Mapping[str, str]) -> Iterator[KeyOutcome]:
    for key, text in texts:
        for old, new in changed.items():
            if old in text and names_host(text, old, key.rpartition(".")[2]):
                yield refused(
                    key,
                    f"it names {old}, and that service can only be called {new} on Kubernetes",
                    f"write {new} there, and give {old} the alias {new} (networks.NAME.aliases) for Compose",
                    accept="KUBE-NAMES",
                )


def names_host(text: str, name: str, variable: str = "") -> bool:
    """Whether a text names a service as a host: in a URL, with a port, or as the value of a ``variable`` for hosts."""
    host = re.escape(name)
    if re.search(rf"(?:://|@){host}(?![\w.-])|(?<![\w.-]){host}:\d", text):
        return True
    return bool(_HOST_VARIABLE.search(variable)) and name in re.split(r"[\s,;]+", text)
