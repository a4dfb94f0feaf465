"""Where the pages of the monitoring are."""

import webbrowser
from collections.abc import Iterable

from ..host.output import emit, emit_json, note
from ..host.project import Project
from ..model.engine.facts import MONITORS_LABEL, Container
from ..model.errors import RefusedError
from ..model.ssh import forward


def by_service(containers: Iterable[Container]) -> dict[str, str]:
    """Return the address of each running service that publishes a port, on the engine's host."""
    found = {}
    for container in containers:
        for port in container.ports if container.state == "running" else ():
            found[container.service] = f"http://127.0.0.1:{port.partition('->')[0].rpartition(':')[2]}"
    return dict(sorted(found.items()))


def open_(project: Project, browser: str, json: bool) -> None:
    """Print where the pages are, and for an engine elsewhere the command that brings them here.

    ``browser`` names a service whose page is opened. Raises RefusedError when nothing runs, or not that service.
    """
    environment = project.profile.environment
    found = by_service(project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}"))
    if not found:
        raise RefusedError(f"nothing monitors {environment}", f"inv monitor.up --env {environment}")
    remote = project.address if project.address.startswith("ssh://") else ""
    tunnel = forward(remote, [int(url.rpartition(":")[2]) for url in found.values()]).shell() if remote else ""
    if json:
        document = {"schema": "slipway/monitor.open/v1", "environment": environment, "addresses": found}
        emit_json({**document, "tunnel": tunnel})
    else:
        for service, url in found.items():
            emit(f"{service:<14}{url}")
    if tunnel and not json:
        note(f"they are on the host of {remote}; this brings them here, until Ctrl-C:")
        emit(tunnel)
    if browser:
        _show(browser, found)


def _show(service: str, found: dict[str, str]) -> None:
    if service not in found:
        raise RefusedError(f"{service} has no page", f"there are: {', '.join(found)}")
    if not webbrowser.open(found[service]):
        raise RefusedError(f"no browser can be opened here: {found[service]}", "open the address yourself")
