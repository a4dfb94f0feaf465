"""What an environment is to Compose and the engine: the name of a project on an engine, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from .grammar import Fault


@dataclass(frozen=True)
class Identity:
    """The Compose project of an environment, the address of its engine, and the file that is to name the project.

    ``origin`` is the line that names it now, such as ``envs/dev.env:3``, or how Compose finds the name.
    """

    environment: str
    file: str
    project: str
    engine: str
    origin: str


def clash(one: Identity, others: Iterable[Identity]) -> Fault | None:
    """Return the fault of an environment that is, to Compose, the same as another one; None when there is none."""
    for other in others:
        same = (one.project, one.engine) == (other.project, other.engine) and one.project
        if same and one.environment != other.environment:
            first, second = sorted((one, other), key=lambda each: each.environment)
            return Fault(
                first.file,
                f"{first.environment} and {second.environment} ({second.file}) are one Compose project on the same "
                f"engine, {one.project} ({_origins(first, second)}): each would replace and remove the containers and "
                "volumes of the other",
                _hint(first, second),
            )
    return None


def _origins(first: Identity, second: Identity) -> str:
    return first.origin if first.origin == second.origin else f"{first.origin}, {second.origin}"


def _hint(first: Identity, second: Identity) -> str:
    names = " or ".join(f"COMPOSE_PROJECT_NAME={each.project}-{each.environment.lower()}" for each in (first, second))
    return f"in the profile of the one that does not run yet write {names}; or DOCKER_HOST, if it has its own engine"
