"""The identity of an environment for Compose and the engine: the project name and the engine, nothing else."""

from collections.abc import Iterable

from ..record import Record
from .grammar import Fault


class Identity(Record):
    """The Compose project of an environment, the address of its engine, and the profile file that names the project.

    ``origin`` is where the name comes from: a line such as ``envs/dev.env:3``, or how Compose finds it.
    """

    environment: str
    file: str
    project: str
    engine: str
    origin: str


def clash(identity: Identity, others: Iterable[Identity]) -> Fault | None:
    """Return the fault when an environment has the project and the engine of another one; None when it has not."""
    for other in others:
        same = (identity.project, identity.engine) == (other.project, other.engine) and identity.project
        if same and identity.environment != other.environment:
            first, second = sorted((identity, other), key=lambda item: item.environment)
            return Fault(
                first.file,
                f"{first.environment} and {second.environment} ({second.file}) are one Compose project on the same "
                f"engine, {identity.project} ({_origins(first, second)}): each would replace and remove the "
                "containers and volumes of the other",
                _hint(first, second),
            )
    return None


def _origins(first: Identity, second: Identity) -> str:
    return first.origin if first.origin == second.origin else f"{first.origin}, {second.origin}"


def _hint(first: Identity, second: Identity) -> str:
    names = " or ".join(
        f"COMPOSE_PROJECT_NAME={identity.project}-{identity.environment.lower()}" for identity in (first, second)
    )
    return (
        f"write {names} in the profile of the environment that does not run yet; or DOCKER_HOST, if it has its own "
        "engine"
    )
