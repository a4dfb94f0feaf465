"""Names tasks: makes one for each environment out of a task with the option ``--env``, and gathers them."""

import inspect
from collections.abc import Callable
from typing import Any

from invoke import Collection, Task, task

_LISTS = ("service", "platform")


class Namespace(Collection):
    """Tasks under a common name; Invoke copies all of what a module names, though nobody changes it."""

    def __deepcopy__(self, _memo: dict[int, object]) -> "Namespace":
        return self


def for_environment(body: Callable[..., None], name: str, doc: str, help: dict[str, str]) -> "Task[Any]":
    """Return the task that runs ``body`` for the environment ``name``: the same options, without ``env``."""

    def run(c: Any, **options: Any) -> None:
        body(c, env=name, **options)

    signature = inspect.signature(body)
    kept = [parameter for key, parameter in signature.parameters.items() if key != "env"]
    run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    run.__doc__ = doc
    lists = [parameter.name for parameter in kept if parameter.name in _LISTS]
    texts = {key: text for key, text in help.items() if key != "env"}
    made: Task[Any] = task(name=name, help=texts, iterable=lists, auto_shortflags=False)(run)
    return made
