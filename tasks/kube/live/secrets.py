"""The Secret of a project on a cluster: made from files and values of the machine that deploys, through stdin only."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...host.project import Project
from ...model.errors import InputError, RefusedError
from ...model.profile.profile import Profile
from ...model.secret import reveal
from ..plan.data.held import FILE, VARIABLE, SecretOrigin, secret_name
from ..plan.live import secret_versions
from ..plan.live.secret_versions import StoredSecret
from .cluster import Cluster

_APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=slipway", "--filename", "-")


class ProjectSecret:
    """The Secret of a project: what it holds on the cluster, and what it should hold."""

    def __init__(
        self,
        cluster: Cluster,
        wanted: Mapping[str, SecretOrigin],
        before: Mapping[str, Any] | None,
        looking: bool = False,
    ) -> None:
        """Raises RefusedError where a file or a variable that holds a value does not exist.

        ``before`` is the Secret as it is on the cluster, None where there is none. ``looking``: nothing is going to be
        written, so what this machine does not have counts as unchanged.
        """
        self._cluster = cluster
        self.name = secret_name(cluster.name)
        self.before = secret_versions.stored(before)
        values: dict[str, bytes] = {}
        for key, origin in wanted.items():
            try:
                values[key] = _value(cluster.project, key, origin)
            except (RefusedError, InputError):
                if not looking:
                    raise
                values[key] = base64.b64decode(self.before.data.get(key, ""))
        self.after = secret_versions.updated(self.before, values)

    @property
    def changed(self) -> tuple[str, ...]:
        """The keys whose values differ on the cluster."""
        return secret_versions.changed(self.before, self.after)

    def write(self) -> None:
        """Bring today's values to the cluster; nothing where they are there already."""
        if self.changed:
            self._apply(self.after)

    def put_back(self) -> None:
        """Bring the earlier values back: what served before goes on with them."""
        if self.changed and self.before.there:
            self._apply(self.before)

    def _apply(self, secret: StoredSecret) -> None:
        # Never by the runner that prints commands: the text has the values.
        text = json.dumps(secret_versions.manifest(self.name, self._cluster.name, secret))
        command = self._cluster.kubectl(*_APPLY, stdin=text)
        result = self._cluster.tried(command)
        if result.exit_code:
            raise self._cluster.fault(result, command)


def _value(project: Project, key: str, origin: SecretOrigin) -> bytes:
    if origin.kind == FILE:
        try:
            return Path(origin.source).read_bytes()
        except OSError as error:
            raise RefusedError(
                f"secret {key}: {origin.source} cannot be read: {error.strerror}", "make the file, and deploy again"
            ) from None
    return (
        _variable(project.profile, origin.source) if origin.kind == VARIABLE else _written(project, origin)
    ).encode()


def _variable(profile: Profile, name: str) -> str:
    if name not in profile.values:
        raise InputError(
            f"{name} is not set in the profile {profile.environment}, and holds a secret", f"set it: {name}=…"
        )
    return reveal(profile.values[name].value)


def _written(project: Project, origin: SecretOrigin) -> str:
    """Return the value that the Compose files have literally, by its path: ``web.environment.API_TOKEN``."""
    value: object = project.model["services"]
    for step in _steps(origin.source, project.model["services"]):
        value = value[step] if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def _steps(path: str, services: Mapping[str, object]) -> tuple[str, ...]:
    """Return the keys of a path; a service's name may have a dot, and so may a variable's."""
    name = next((one for one in sorted(services, key=len, reverse=True) if path.startswith(f"{one}.")), "")
    section, _, key = path.removeprefix(f"{name}.").partition(".")
    return (name, section, key)
