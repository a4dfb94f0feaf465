"""The networks of a stack that its monitoring is in: it leaves one that a deploy replaces, and joins the new one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..host.engine.resources import Resources
from ..model.engine.facts import JOINS_LABEL, MONITORS_LABEL

if TYPE_CHECKING:
    from ..host.engine.client import Engine


# They connect anew for each question, and would lose what they have in memory. What an exporter has connected before
# hangs: nothing closes a connection whose network is gone.
_STAY = ("prometheus", "jaeger")


def leaving(engine: "Engine", project: str, network: str) -> Iterator[tuple[str, ...]]:
    """Yield the ``docker`` commands, without that word, that take a project's monitoring out of a network."""
    for container in engine.labelled(f"{MONITORS_LABEL}={project}"):
        if network in container.networks:
            yield ("network", "disconnect", "--force", network, container.name)


def joining(engine: "Engine", project: str) -> Iterator[tuple[str, ...]]:
    """Yield those that put the monitoring into the networks that it is to be in, as far as they exist.

    What keeps connections open is started again.
    """
    wanted = {
        container: engine.label(container.id, JOINS_LABEL).split()
        for container in engine.labelled(f"{MONITORS_LABEL}={project}")
    }
    there = Resources(engine).networks({name for names in wanted.values() for name in names}) if wanted else {}
    for container, names in wanted.items():
        missing = [name for name in names if name in there and name not in container.networks]
        for name in missing:
            yield ("network", "connect", f"--alias={container.service}", name, container.name)
        if missing and container.service not in _STAY:
            yield ("restart", container.name)
