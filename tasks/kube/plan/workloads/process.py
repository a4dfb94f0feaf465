"""What a container runs: command, entrypoint, directory and terminal.

Compose's ``entrypoint`` is ``command`` of a container on Kubernetes, and its ``command`` is ``args``. Where only the
entrypoint is given, both leave out the image's own command. ``entrypoint: ""`` takes the image's entrypoint away, which
Kubernetes has no words for: then the command of the Compose file, else that of the image, is the whole command.
https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
"""

from collections.abc import Mapping
from typing import Any

from ....model.stack.stack import Service, unescaped
from ..outcome import KeyOutcome, ignored, refused, translated
from ..part import Part
from ..source import ImageFacts, KubeSource
from .words import of_model, words

_SAME = {"tty": "tty", "stdin_open": "stdin"}
_IGNORED = {
    "init": "the program itself is the first process of its container; if it leaves zombies behind, "
    "start it by an init in the image",
    "logging": "the kubelet keeps what containers write to stdout and stderr",
    "attach": "it is about the terminal of `docker compose up`",
    "profiles": "services of profiles that are not active are not translated",
}
KEYS = frozenset({"command", "entrypoint", "working_dir", *_SAME, *_IGNORED})


def part(source: KubeSource, service: Service) -> Part:
    """Return what the container runs; refused where an image's own command is needed and not known."""
    raw = unescaped(source.raw(service.name))
    where = f"services.{service.name}"
    container, outcomes = _command(source.raw(service.name), source.image(service.name), where)
    if raw.get("working_dir"):
        container["workingDir"] = str(raw["working_dir"])
        outcomes.append(translated(f"{where}.working_dir", "containers[].workingDir"))
    for key, into in _SAME.items():
        if raw.get(key):
            container[into] = True
            outcomes.append(translated(f"{where}.{key}", f"containers[].{into}"))
    outcomes += [ignored(f"{where}.{key}", reason) for key, reason in _IGNORED.items() if raw.get(key)]
    return Part(container=container, outcomes=tuple(outcomes))


def _command(raw: Mapping[str, Any], image: ImageFacts, where: str) -> tuple[dict[str, Any], list[KeyOutcome]]:
    """Return what runs; ``raw`` is as Compose prints it, because an escaped text is no secret's placeholder."""
    entrypoint, command = raw.get("entrypoint"), raw.get("command")
    container: dict[str, Any] = {}
    outcomes: list[KeyOutcome] = []
    whole = entrypoint is not None and not entrypoint
    if entrypoint:
        container["command"] = of_model(entrypoint)
        outcomes.append(translated(f"{where}.entrypoint", "containers[].command"))
    elif whole:
        outcomes.append(_without_entrypoint(container, of_model(command) if command else words(image.command), where))
    if command and not whole:
        container["args"] = of_model(command)
    if command:
        outcomes.append(translated(f"{where}.command", "containers[].command" if whole else "containers[].args"))
    elif command is not None:
        outcomes.append(ignored(f"{where}.command", "without words the image's own command runs, as without the key"))
    return container, outcomes


def _without_entrypoint(container: dict[str, Any], whole: list[str], where: str) -> KeyOutcome:
    if not whole:
        return refused(
            f"{where}.entrypoint",
            "it takes the image's entrypoint away, and no command is known that is left",
            f"say what runs: {where}.command",
        )
    container["command"] = whole
    return translated(f"{where}.entrypoint", "containers[].command")
