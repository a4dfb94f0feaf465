"""Tells what operations of a plan wait for, and shows at once what containers that have failed wrote last."""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from ..host.project import Project
from ..host.readiness import show_unless_known
from ..host.story.looking import looking
from ..host.story.story import Step, current_step, current_story
from ..model.engine.facts import Container
from ..model.errors import SlipwayError
from ..model.stack.stack import Stack
from ..model.stack.verdict import has_failed
from .plan.operation import Operation

_LOOK = 1.0  # seconds between two looks at containers that Compose waits for


def titled(operation: Operation, stack: Stack) -> str:
    """Return what an operation does, for people."""
    return operation.title(stack.project, {name for name, service in stack.services.items() if service.health_check})


def plan_steps(operations: Iterable[Operation], stack: Stack) -> dict[int, int]:
    """Tell the operations that are to come; returns the numbers of their steps by those of the operations."""
    story, ordered = current_story(), list(operations)
    if story is None:
        return {}
    numbers = story.plan([titled(operation, stack) for operation in ordered])
    return {operation.number: number for operation, number in zip(ordered, numbers, strict=True)}


class HealthStory:
    """Tells what the health checks of containers answer while an operation waits for them."""

    def __init__(
        self, project: Project, stack: Stack, operation: Operation, limit: float, step: Step | None = None
    ) -> None:
        self._project, self._stack, self._operation, self._limit = project, stack, operation, limit
        self._shown: set[tuple[str, int]] = set()
        self._starting: Collection[Container] = ()
        self._told = current_story() is not None
        self._step = step or current_step()
        if limit:
            self._step.wait(limit)

    def see(self, containers: Iterable[Container]) -> None:
        """Take the containers as they are now; those that have failed are shown with their last words."""
        if not self._told:
            return
        mine = [container for container in containers if self._is_awaited(container)]
        failed = [container for container in mine if has_failed(container)]
        fresh = [container for container in failed if (container.id, container.exit_code) not in self._shown]
        self._shown |= {(container.id, container.exit_code) for container in fresh}
        if fresh:
            show_unless_known(self._project, self._stack, fresh)
        self._starting = [container for container in mine if container.health not in ("", "healthy")]
        self.ask()

    def look(self) -> None:
        """Take the containers as the engine has them now."""
        self.see(self._project.engine.containers(self._stack.project))

    def _is_awaited(self, container: Container) -> bool:
        names = self._operation.names
        return container.name in names if names else container.service in self._operation.services

    def ask(self) -> None:
        """Tell what the health checks have answered last."""
        if not self._told or not self._starting:
            return
        full = [self._project.engine.inspect(container.id) for container in self._starting]
        several = len(full) > 1
        answers = [
            f"{container.name}: {container.answer}" if several else container.answer
            for container in full
            if container is not None and container.answer and container.health != "healthy"
        ]
        self._step.wait(self._limit, f"last answer: {'; '.join(answers)}" if answers else "")


@contextmanager
def watching(project: Project, stack: Stack, operation: Operation) -> Iterator[None]:
    """Tell, while a command in the block waits for containers, what their health checks answer and which have failed.

    Compose says neither. It looks once a second, in a thread and over a connection of its own.
    """
    if current_story() is None:
        yield
        return
    step, told = current_step(), list[HealthStory]()

    def look() -> None:
        with contextlib.suppress(SlipwayError):  # the command will say it
            if not told:
                told.append(HealthStory(project.apart(), stack, operation, 0.0, step))
            told[0].look()

    with looking(look, _LOOK):
        yield
