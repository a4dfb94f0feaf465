"""Builds stand-ins for base images, for an engine that reaches no registry."""

from collections.abc import Sequence
from pathlib import Path

from ..host import machine
from ..host.output import note
from ..host.project import Project, model
from ..host.runner import capture
from ..model.compose import compose
from ..model.errors import InputError, RefusedError
from ..model.stack.stack import Stack, parse
from ..model.version import UNVERSIONED
from . import sources
from .build import carry_out
from .plan import build

# A project of its own: all environments share its images, and `clean` of an environment must not remove them.
_PROJECT = "slipway-bases"
_MONITORING, _MONITORING_OVERRIDE = "docker-compose.monitoring-bases.yml", "docker-compose.monitoring.yml"


def stack(project: Project, file: str) -> Stack:
    """Return the stack whose services build stand-ins; raises InputError when Compose does not accept the file."""
    machine.refuse_unfit_tools()
    words = ("--project-name", _PROJECT, "config")
    result = capture(compose(project.profile, *words, cwd=project.cwd, files=(file,)))
    if result.exit_code != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"Compose does not accept {file}: {last}", "correct it, or BASE_IMAGES_FILE of the profile")
    return parse(model(result.stdout))


def missing(project: Project, stand_ins: Stack) -> tuple[str, ...]:
    """Return the services whose stand-in the engine has not got."""
    return tuple(name for name, service in stand_ins.services.items() if project.engine.image(service.image) is None)


def make(project: Project, stand_ins: Stack, services: Sequence[str] = (), no_cache: bool = False) -> None:
    """Build the stand-ins of the named services, all when none is named."""
    inputs = sources.inputs(stand_ins.built(services), project.engine)
    options = build.Options(services=tuple(services), no_cache=no_cache)
    carry_out(project, build.plan(stand_ins, project.profile, UNVERSIONED, inputs, options, project.cwd))


def provide(project: Project, directory: Path, services: Sequence[str] = ()) -> tuple[str, ...]:
    """Build the stand-ins that services of the monitoring need and the engine has not got.

    ``directory`` is that of the monitoring's Compose file. Returns the Compose files to lay over it, which put the
    stand-ins in place: none where a registry is reached, or where ``directory`` has no stand-ins beside it. Raises
    RefusedError when the stand-ins that these are made from are missing.
    """
    folder = directory.parent / "airgap"
    file, override = folder / _MONITORING, folder / _MONITORING_OVERRIDE
    if project.profile.text("BASE_IMAGES") != "local" or not file.is_file():
        return ()
    stand_ins = stack(project, str(file))
    wanted = [name for name in missing(project, stand_ins) if not services or name in services]
    if wanted:
        _refuse_without_foundation(project, stand_ins, wanted)
        note(f"building stand-ins for images that no registry gives here: {', '.join(wanted)}")
        make(project, stand_ins, wanted)
    return (str(override),)


def _refuse_without_foundation(project: Project, stand_ins: Stack, names: Sequence[str]) -> None:
    inputs = sources.inputs(stand_ins.built(names), project.engine)
    images = {
        image for name in names for image in inputs[name].dockerfile.images(stand_ins.service(name).recipe().target)
    }
    if absent := sorted(image for image in images if project.engine.image(image) is None):
        raise RefusedError(
            f"the stand-ins of the monitoring are made from images that are missing: {', '.join(absent)}",
            "inv image.bases",
        )
