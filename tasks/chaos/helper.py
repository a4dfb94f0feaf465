"""The image of the helper containers: built on the engine from Debian packages when it is missing."""

import hashlib
from pathlib import Path

from ..host.output import note
from ..host.project import Project
from ..model.command import Command
from ..model.compose import docker_env
from ..model.errors import InputError, RefusedError

_REPOSITORY = "slipway-chaos"
_FILES = ("Dockerfile", "certificate_fault.py", "fault.py", "fault_protocol.py", "host_fault.py")
# The base that its Dockerfile names, and what stands in for it where no registry is reached (`inv image.bases`).
_BASE, _STAND_IN = "debian:trixie-slim", "slipway-base/debian:trixie"


def image(project: Project) -> str:
    """Return the name of the image: CHAOS_IMAGE, else that of the sources that come with Slipway, by their content."""
    if named := project.profile.text("CHAOS_IMAGE"):
        return named
    content = b"\0".join((_directory(project) / name).read_bytes() for name in _FILES)
    return f"{_REPOSITORY}:{hashlib.sha256(content).hexdigest()[:12]}"


def _directory(project: Project) -> Path:
    return project.settings.home / "docker_project" / "chaos" / "helper"


def provide(project: Project) -> str:
    """Return the name of the image, which is on the engine then; in a dry run the command that builds it is shown."""
    name = image(project)
    if project.engine.image(name):
        return name
    if project.profile.text("CHAOS_IMAGE"):
        raise InputError(f"CHAOS_IMAGE: {name}: the engine has no such image", f"bring it there: docker pull {name}")
    if not project.runner.dry:
        note("building the image of the helper containers (once)")
    project.runner.run(_build(project, name))
    return name


def _build(project: Project, name: str) -> Command:
    argv = ["docker", "build", "--quiet", f"--tag={name}", "--label=slipway.chaos.image=true"]
    if project.profile.text("BASE_IMAGES") == "local":
        if project.engine.image(_STAND_IN) is None:
            raise RefusedError(f"the helper is built on {_STAND_IN}, which the engine has not got", "inv image.bases")
        argv.append(f"--build-context={_BASE}=docker-image://{_STAND_IN}")
    argv.append(str(_directory(project)))
    reason = "the image of the helper containers"
    return Command(tuple(argv), env=docker_env(project.profile), reason=reason, sink="/dev/null")  # it prints an id
