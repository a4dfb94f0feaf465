"""What a fault is to the program in the helper container."""

from typing import Any, Protocol


class FaultError(Exception):
    """The fault cannot be made here; the text says why."""


class Fault(Protocol):
    """A fault. ``end`` undoes it, also one that was made by half, and may be called twice."""

    def begin(self) -> None:
        """Make the fault; raises FaultError when that cannot be done."""

    def last(self, seconds: float) -> None:
        """Let the fault last."""

    def end(self) -> None:
        """Undo the fault."""


class Container(Protocol):
    """The container that a fault is about, through the engine's socket."""

    def ask(self, method: str, what: str, body: object = None) -> Any:
        """Return what the engine answers, None when the container is gone; raises FaultError when it refuses."""

    def seen(self) -> dict[str, Any]:
        """Return what ``docker inspect`` shows, empty when the container is gone."""

    def running(self) -> dict[str, Any]:
        """Return the same of a container that runs; raises FaultError for another."""
