"""The words of commands, as Kubernetes reads them."""

from collections.abc import Iterable

from ....model.stack.stack import unescaped
from ..data.expansion import literal
from ..data.placeholders import named, spelled


def words(value: Iterable[object]) -> list[str]:
    """Return the words of an image's command as strings that the kubelet leaves as they are."""
    return [literal(word) for word in plain(value)]


def of_model(value: Iterable[object]) -> list[str]:
    """Return the words of a command, as Compose prints them, as Kubernetes is to read them.

    A secret in them is a reference to a variable of the container, which the kubelet puts in.
    """
    return [spelled(word) if named(word) else literal(str(unescaped(word))) for word in plain(value)]


def plain(value: Iterable[object]) -> list[str]:
    """Return words as strings; ``true`` is no ``True``."""
    return [str(word).lower() if isinstance(word, bool) else str(word) for word in value]
