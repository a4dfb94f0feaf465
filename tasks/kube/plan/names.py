"""The names of services on Kubernetes: valid DNS labels that do not collide."""

import re
from collections.abc import Iterable

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern

LONGEST = 63  # https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
_LABEL = lazy_pattern(rf"[a-z](?:[a-z0-9-]{{0,{LONGEST - 2}}}[a-z0-9])?", re.ASCII)


def label(name: str) -> str:
    """Return the DNS label that is nearest to a name: lower case, digits and ``-``, first a letter."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    return cleaned if cleaned[:1].isalpha() else f"s-{cleaned}".strip("-")


def of_services(names: Iterable[str]) -> dict[str, str]:
    """Return the name on Kubernetes of each service; raises InputError where two become one, or one is too long."""
    found: dict[str, str] = {}
    for name in names:
        short = label(name)
        if len(short) > LONGEST:
            raise InputError(f"services.{name}: longer than {LONGEST} characters", "Kubernetes takes no longer name")
        if short in found:
            raise InputError(
                f"services.{found[short]} and services.{name}: both are {short} on Kubernetes", "rename one of them"
            )
        found[short] = name
    return {name: short for short, name in found.items()}


def by_label(names: Iterable[str]) -> dict[str, str]:
    """Return the service of each name on Kubernetes; raises InputError as ``of_services`` does."""
    return {short: name for name, short in of_services(names).items()}


def is_label(name: str) -> bool:
    """Whether a name can be that of a Service as it is; DNS does not look at the case of letters."""
    return _LABEL.fullmatch(name.lower()) is not None
