"""Carries out RELOAD: a running service checks its changed configuration and reads it on a signal."""

from collections.abc import Callable

from ..model.engine.facts import Container
from ..model.errors import CommandError, DeployError
from .notes import Notes
from .placed_files import PlacedFiles, unfinished_stamps
from .plan.desired import Desired
from .plan.operation import Operation


class ServiceReload:
    """Reloads services; ``docker`` runs a Docker command with the given words and raises CommandError."""

    def __init__(self, desired: Desired, notes: Notes, placed: PlacedFiles, docker: Callable[..., None]) -> None:
        self._desired, self._notes, self._placed, self._docker = desired, notes, placed, docker

    def reload(self, operation: Operation, containers: tuple[Container, ...]) -> None:
        """Exchange the files in a service's volumes, check them in each container, and send the reload signal.

        Raises DeployError when a check fails; the files are put back before.
        """
        settings = self._desired.stack.service(operation.subject).slipway.reload
        if settings is None:
            return
        state = self._notes.state
        before = {container.id: state.stamps.get(container.id) for container in containers}
        exchanges = self._placed.exchanges(operation.subject, containers, state)
        self._notes.stamps(unfinished_stamps(state, exchanges, containers, self._desired))
        try:
            self._placed.exchange(exchanges)
            for container in containers if settings.check else ():
                self._docker("exec", container.name, *settings.check)
        except CommandError as error:
            self._placed.undo(exchanges)
            self._notes.stamps(before)
            raise DeployError(
                f"{operation.subject} does not accept its configuration: {error.message}", error.hint
            ) from None
        for container in containers:
            self._docker("kill", f"--signal={settings.signal}", container.name)
        self._notes.reloaded(containers)
