"""Finds out what a container was created with if its configuration has changed since: from the record or the engine."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..host.project import Project, model
from ..model.engine.facts import Container
from ..model.errors import SlipwayError
from ..release import redactions, store
from ..release.plan import release
from .plan.configuration import MadeWith
from .plan.desired import Desired
from .plan.difference import configured_otherwise

_FILE = "hashes.json"


def hashes_file(project: Project) -> dict[str, bytes]:
    """Return the file for a release's record that has the configuration hashes of each service's containers."""
    hashes: dict[str, list[str]] = {}
    for container in project.engine.containers(project.stack.project):
        if not container.oneoff and container.config_hash not in hashes.setdefault(container.service, []):
            hashes[container.service].append(container.config_hash)
    return {_FILE: json.dumps(hashes).encode()}


def created_with(project: Project, desired: Desired, containers: Iterable[Container]) -> dict[str, MadeWith]:
    """Return what containers were created with, by id, for those whose configuration has changed."""
    other = [
        container
        for container in containers
        if not container.oneoff
        and container.service in desired.stack.services
        and configured_otherwise(container, desired.wanted(container.service))
    ]
    recorded = _recorded(project) if other else {}
    return {
        container.id: recorded.get((container.service, container.config_hash)) or _shown(project, desired, container)
        for container in other
    }


def _recorded(project: Project) -> dict[tuple[str, str], MadeWith]:
    """Return the configurations that the serving release has recorded, by service and configuration hash."""
    last = release.serving(store.history(project))
    if last is None:
        return {}
    try:
        files = project.engine.data.files(f"{release.repository(project.stack.project)}:{last.id}")
    except SlipwayError:
        return {}  # another process has just removed the record; only the explanation is less exact
    hashes: Mapping[str, list[str]] = json.loads(files.get(_FILE, b"{}"))
    if not hashes:
        return {}  # an earlier version of Slipway recorded it
    services = redactions.with_unchanged_secrets(project, model(files["model.yaml"].decode()), last)["services"]
    return {
        (name, config_hash): MadeWith(services[name], last.images[name].reference if name in last.images else "")
        for name, service_hashes in hashes.items()
        if name in services
        for config_hash in service_hashes
    }


def _shown(project: Project, desired: Desired, container: Container) -> MadeWith:
    """Return the environment and command of a container as the engine shows them, without those of the image."""
    wanted: Mapping[str, Any] = desired.model["services"][container.service]
    environment, command = project.engine.started_with(container.id)
    of_image, by_image = project.engine.started_with(container.image_id)
    named = wanted.get("environment") or {}
    given = {
        name: value.replace("$", "$$")
        for name, value in environment.items()
        # Compose adds the proxy variables of ~/.docker/config.json, which are in no Compose file.
        if name in named or (of_image.get(name) != value and not name.lower().endswith("_proxy"))
    }
    # A variable that is declared without a value, and has none, is no difference.
    unset = {name: None for name, value in named.items() if value is None and name not in given}
    words = [word.replace("$", "$$") for word in command]
    shown_command = None if wanted.get("command") is None and command == by_image else words
    reference = container.image_reference
    return MadeWith(
        {"environment": {**given, **unset}, "command": shown_command},
        "" if reference.startswith("sha256:") else reference,
        partly=True,
    )
