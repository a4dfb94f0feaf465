"""Reads YAML with the parser of libyaml, where PyYAML has it: it takes a tenth of the time of PyYAML's own."""

from collections.abc import Callable
from typing import Any

import yaml  # type: ignore[import-untyped]

FAULTS = (yaml.YAMLError, ValueError, RecursionError)
"""What ``load`` and ``load_all`` raise for a text that is not valid."""
MappingNode, ScalarNode, SequenceNode = yaml.MappingNode, yaml.ScalarNode, yaml.SequenceNode
_OWN = yaml.SafeLoader
_FAST = getattr(yaml, "CSafeLoader", _OWN)

Adapted = Callable[[Any], Any]
"""Returns the loader to use, from the safe loader that it is to be made from; called for each text."""


def _plain(loader: Any) -> Any:
    return loader


def load(text: str, adapted: Adapted = _plain) -> Any:
    """Return the data of a text with one document; raises one of ``FAULTS``."""
    return _read(text, adapted, lambda text, loader: yaml.load(text, loader))  # noqa: S506 - a safe one


def load_all(text: str, adapted: Adapted = _plain) -> list[Any]:
    """Return the documents of a text as data; raises one of ``FAULTS``."""
    documents: list[Any] = _read(text, adapted, lambda text, loader: list(yaml.load_all(text, loader)))
    return documents


def _read(text: str, adapted: Adapted, read: Callable[[str, Any], Any]) -> Any:
    try:
        return read(text, adapted(_FAST))
    except FAULTS:
        return read(text, adapted(_OWN))  # it says what is wrong in more words, and takes some texts more


def nodes(text: str) -> Any:
    """Return the root node of a text with one document, whose nodes know their lines; raises one of ``FAULTS``."""
    return _read(text, _plain, lambda text, loader: yaml.compose(text, loader))
