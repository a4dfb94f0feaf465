"""What of a translation may not be rendered: keys that are refused, and secrets."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ....model.errors import InputError
from ....model.lazy_pattern import lazy_pattern
from ....model.stack.stack import Stack
from ...plan.outcome import IGNORED, REFUSED, KeyOutcome, order, position
from ...plan.source import Position
from .overlays import Object

_MARK = "${slipway:"
_PLACEHOLDER = lazy_pattern(r"\$\{slipway:([^}]*)\}")
_SHOWN = 20  # refused keys in a message


def settled(outcomes: Iterable[KeyOutcome], stack: Stack) -> tuple[KeyOutcome, ...]:
    """Return outcomes in the order of a report; what ``x-slipway.accept`` accepts is ignored, for the reason there."""
    return order(_settled(outcome, stack) for outcome in outcomes)


def _settled(outcome: KeyOutcome, stack: Stack) -> KeyOutcome:
    if outcome.kind != REFUSED or not outcome.accept:
        return outcome
    owners = [name for name in stack.services if f"{outcome.key}.".startswith(f"services.{name}.")]
    owner = stack.services[max(owners, key=len)] if owners else None  # a name may have a dot
    accepted = {**stack.accept, **(owner.slipway.accept if owner else {})}
    if outcome.accept not in accepted:
        return outcome
    return replace(outcome, kind=IGNORED, reason=f"{outcome.reason}; accepted: {accepted[outcome.accept]}", hint="")


def refused(outcomes: Iterable[KeyOutcome]) -> list[KeyOutcome]:
    """Return the outcomes for which nothing is rendered."""
    return [outcome for outcome in outcomes if outcome.kind == REFUSED]


def refusal(outcomes: Iterable[KeyOutcome], positions: Mapping[str, Position]) -> InputError | None:
    """Return the error with a line for each key that is refused; None when none is."""
    faults = refused(outcomes)
    if not faults:
        return None
    lines = [f"{place(fault, positions)}{fault.key}: {fault.reason}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"and {len(faults) - _SHOWN} keys more: inv kube.report")
    accept = f"; or x-slipway: {{accept: {{{faults[0].accept}: WHY}}}}" if faults[0].accept else ""
    return InputError("\n".join(lines), f"{faults[0].hint}{accept}")


def place(outcome: KeyOutcome, positions: Mapping[str, Position]) -> str:
    """Return where a key was written, followed by a colon and a blank; "" where that is not known."""
    found = position(outcome.key, positions)
    return f"{found}: " if found else ""


def refuse_secrets(objects: Iterable[Object]) -> None:
    """Raise InputError when an object would have the value of a secret in it: everybody who reads it would know it."""
    for one in objects:
        for path, text in _texts(one, "") if _marked(one) else ():
            if match := _PLACEHOLDER.search(text):
                raise InputError(
                    f"{one['kind']} {one['metadata']['name']}: {path.lstrip('.')} would show the secret {match[1]}",
                    "give it to the service as a variable of its own, or as a secret that is a file",
                )


def _marked(node: Any) -> bool:
    """Whether there is a placeholder somewhere: the paths of the texts are needed only then."""
    if isinstance(node, str):
        return _MARK in node
    if type(node) is dict or isinstance(node, Mapping):
        return any(map(_marked, node.values()))
    return isinstance(node, (list, tuple)) and any(map(_marked, node))


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _texts(value, f"{path}[{number}]")
    elif isinstance(node, str) and _MARK in node:
        yield path, node
