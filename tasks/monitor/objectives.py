"""The rules that are made for a project: for its objectives, and for services whose metrics have names of their own."""

from pathlib import Path
from typing import Any

from ..host.profile.yaml_text import FAULTS, load, load_all
from ..host.project import Project
from ..model.errors import InputError
from .plan import burn_rates, openslo, own_names, rules
from .plan.slo import ServiceLevel, levels, refuse_twice


def of_project(project: Project) -> tuple[ServiceLevel, ...]:
    """Return the objectives of a project, those of services and those in OpenSLO files.

    Raises InputError for an objective that is not valid, or a file that cannot be read.
    """
    found = list(levels(project.stack))
    for name in project.stack.openslo:
        found += openslo.levels(_documents(project.settings.project_dir / name, name), name)
    refuse_twice(found)
    return tuple(found)


def rule_files(project: Project, directory: Path) -> dict[str, str]:
    """Return the files of rules to generate by name, none where the project needs none.

    ``directory`` has the usual rules. Raises InputError as ``of_project`` does.
    """
    metrics = (service.slipway.metrics for service in project.stack.services.values())
    usual = rules.parse({"services": load((directory / "services.yml").read_text(encoding="utf-8"))})
    made = {
        f"{rules.OBJECTIVES}.yml": burn_rates.rules(of_project(project)),
        f"{rules.OWN_NAMES}.yml": own_names.rules(usual, (one for one in metrics if one)),
    }
    return {name: text for name, text in made.items() if text}


def _documents(path: Path, name: str) -> list[Any]:
    try:
        return load_all(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"x-slipway.openslo: {name}: {error.strerror}", f"it is looked for at {path}") from None
    except FAULTS as error:
        raise InputError(f"{name}: {str(error).splitlines()[0]}", "correct the YAML") from None
