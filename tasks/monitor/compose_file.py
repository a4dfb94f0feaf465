"""Finds the Compose file of the monitoring, and reads it as Compose prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..host.project import Project, model
from ..host.runner import capture
from ..model.command import Command
from ..model.compose import compose
from ..model.engine.facts import monitoring_project
from ..model.errors import InputError
from ..model.secret import Secret

NAME = "docker-compose.monitoring.yml"
_DIRECTORY = "monitoring"


def find(project: Project) -> Path:
    """Return the Compose file: MONITORING_FILE, else the project's own, else the one that comes with Slipway.

    Raises InputError when MONITORING_FILE names none.
    """
    if named := project.profile.text("MONITORING_FILE"):
        path = Path(project.cwd, named)
        if not path.is_file():
            raise InputError(
                f"MONITORING_FILE: {named}: there is no such file in {project.settings.shown(Path(project.cwd))}",
                "name a Compose file, or leave it empty for the one that comes with Slipway",
            )
        return path
    own = Path(project.cwd, _DIRECTORY, NAME)
    return own if own.is_file() else project.settings.home / "docker_project" / _DIRECTORY / NAME


def configuration(project: Project) -> Path:
    """Return the directory with rules, their tests, and dashboards: the Compose file's, else that of Slipway."""
    own = find(project).parent
    return own if (own / "prometheus" / "rules").is_dir() else project.settings.home / "docker_project" / _DIRECTORY


def command(
    project: Project, words: Sequence[str], values: Mapping[str, str | Secret], files: Sequence[str], cwd: Path
) -> Command:
    """Return a ``docker compose`` command of the project that monitors, with these values to interpolate."""
    name = monitoring_project(project.stack.project)
    made = compose(project.profile, "--project-name", name, *words, cwd=str(cwd), files=tuple(files))
    return replace(made, env={**made.env, **values})


def read(project: Project, file: Path, overrides: Sequence[str], values: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the model of the monitoring; raises InputError with Compose's own words when it does not accept it."""
    done = capture(command(project, ("config",), values, (str(file), *overrides), file.parent))
    if done.exit_code != 0:
        lines = [line for line in done.stderr.splitlines() if "level=warning" not in line] or ["no message"]
        raise InputError(
            f"Compose does not accept {project.settings.shown(file)}: {project.profile.masked(lines[-1].strip())}",
            "correct it; `docker compose config` shows what it is about",
        )
    read_model: Mapping[str, Any] = model(done.stdout)
    return read_model
