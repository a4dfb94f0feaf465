"""chaos.run: finds an experiment, runs it in an environment, and writes its journal."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke import Context

from ..host import lock
from ..host.forwarding import stop_on_signals
from ..host.output import emit_json, mask_secrets, note
from ..host.profile.settings import process_env
from ..host.project import Project, model
from ..host.reports import new_run
from ..model.errors import CheckError, InputError
from ..model.quoting import json_text
from ..model.units import show_duration
from . import active, alerts
from .conduct import COMPLETED, FAILED, Conductor
from .inject import Allowed, checked, others
from .measure import Measuring
from .plan import safety
from .plan.alerts import why_not as why_not_alerted
from .plan.experiment import PROCESS, Experiment, addresses, check_faults, extension, fault_of_host, read, words
from .plan.masked import masked
from .providers import Providers

_DIRECTORY, _SUFFIXES = "chaos", (".yaml", ".yml", ".json")
_JOURNAL = "journal.json"


def library(project_dir: Path) -> dict[str, Path]:
    """Return the experiments of a project by their names: the files in its directory ``chaos``."""
    directory = project_dir / _DIRECTORY
    files = sorted(directory.iterdir()) if directory.is_dir() else []
    return {path.stem: path for path in files if path.suffix in _SUFFIXES and path.is_file()}


def run(c: Context, what: str, env: str, python: bool, allowed: Allowed, json: bool) -> None:
    """Run an experiment and report how it ended; raises CheckError when the hypothesis was not met, or deviated."""
    project = checked(c, "chaos.run", env, allowed)
    variables = surroundings(project)
    experiment = found(project, what, variables, python)
    if project.clustered:
        from ..kube.live import leases

        leases.use(project)
    safety.refuse_during_deploy(*lock.left(project), allowed.deploy or experiment.during_deploy)
    if project.runner.dry:
        _show(project, experiment)
        return
    if of_host := fault_of_host(experiment):
        safety.refuse_host(of_host, others(project), allowed.host)
    active.sweep(project)
    directory = new_run(project.settings).suite(_DIRECTORY)
    stop_on_signals()
    journal = conducted(project, experiment, variables, directory / _JOURNAL)
    path = project.settings.shown(directory / _JOURNAL)
    if json:
        emit_json({"schema": "slipway/chaos.run/v1", "environment": env, "journal": path, **summary(journal)})
    if reason := why_not(journal):
        raise CheckError(f"{experiment.title}: {reason}", f"the journal: {path}")
    note(f"{experiment.title}: as expected after {show_duration(journal['duration'])}; {path}")


def found(project: Project, what: str, variables: Mapping[str, str], python: bool = False) -> Experiment:
    """Return an experiment, by its file or its name; raises InputError for one that could not work here."""
    known = library(project.settings.project_dir)
    path = known.get(what) or Path(what)
    if not path.is_file():
        raise InputError(
            f"there is no experiment {what!r}", f"name a file, or one of: {', '.join(known) or 'none in this project'}"
        )
    document = _document(path, what)
    experiment = read(document, what, {**os.environ, **variables}, python)
    check_faults(experiment, project.profile.environment, tuple(project.stack.services), what)
    if experiment.alert:
        alerts.refuse_unknown(project, experiment.alert, what)
    return experiment


def _document(path: Path, what: str) -> Any:
    try:
        return model(path.read_text(encoding="utf-8"))
    except Exception as error:  # of the parser, and of text that is none
        raise InputError(f"{what}: is neither YAML nor JSON: {str(error).splitlines()[0]}", "correct it") from None


def is_about_deploys(path: Path) -> bool:
    """Whether an experiment says that it is about deploys; what is no experiment says nothing."""
    try:
        document = _document(path, path.name)
    except InputError:
        return False
    return isinstance(document, dict) and bool(extension(document).get("during-deploy"))


def is_about_host(path: Path) -> bool:
    """Whether an experiment makes a fault that the whole host has; what is no experiment makes none."""
    try:
        document = _document(path, path.name)
        known = document.get("configuration") or {} if isinstance(document, dict) else {}
        variables = {str(one.get("key")): "" for one in known.values() if isinstance(one, Mapping)}
        return bool(fault_of_host(read(document, path.name, variables, python=True)))
    except InputError:
        return False


def surroundings(project: Project) -> dict[str, str]:
    """Return the variables of an experiment: its environment, its files, and where services are on a local engine."""
    known: dict[str, list[str]] = {}
    here = not project.clustered and project.engine.local()
    for container in project.engine.containers(project.stack.project) if here else ():
        if container.state == "running" and not container.oneoff:
            known.setdefault(container.service, []).extend(container.addresses)
    return {
        **process_env(project.settings),
        "SLIPWAY_ENV": project.profile.environment,
        "COMPOSE_PROJECT_NAME": project.stack.project,
        "CHAOS_COMPOSE_FILE": project.profile.text("COMPOSE_FILE"),
        "CHAOS_BACKUPS": str(project.settings.backups_dir / project.stack.project),
        **addresses(known),
    }


def conducted(project: Project, experiment: Experiment, variables: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Carry an experiment out and return its journal, which is written however it ends.

    Where its alert is asked for, its faults last until that fires. Raises RefusedError for one that fires already.
    """
    alert = alerts.check(project, experiment.alert) if experiment.alert else None
    if alert and alert.asked:
        experiment = experiment.lasting(alerts.LASTS)
    conductor = Conductor(experiment, Providers(variables, str(project.settings.root)), alert)
    measuring = Measuring(experiment)
    try:
        with measuring:
            return conductor.run()
    finally:
        told = {**measuring.document(), "environment": project.profile.environment}
        if alert:
            told |= {"alert": alert.document(), **({"lasts": alerts.LASTS} if alert.asked else {})}
        conductor.journal["extensions"] = [told]
        journal = masked(conductor.journal, mask_secrets)
        path.write_text(f"{json_text(journal, 1)}\n", encoding="utf-8")


def summary(journal: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a journal says in short."""
    met = {
        when: state["steady_state_met"] if (state := journal["steady_states"][when]) else None
        for when in ("before", "after")
    }
    return {
        "title": journal["experiment"]["title"],
        "status": journal["status"],
        "deviated": journal["deviated"],
        "steady_state_met": met,
        "seconds": round(journal["duration"], 2),
        "alert": extension(journal).get("alert"),
    }


def why_not(journal: Mapping[str, Any]) -> str:
    """Return why an experiment did not go as expected, "" when it did."""
    if journal["status"] == FAILED:
        return "the hypothesis is not met before anything was done: the method did not run"
    if journal["status"] != COMPLETED:
        return "an action failed, and the rest of the method was not done"
    if reason := why_not_alerted(extension(journal).get("alert") or {}):
        return reason
    return "the hypothesis is not met afterwards, or a probe saw what is not tolerated" if journal["deviated"] else ""


def _show(project: Project, experiment: Experiment) -> None:
    project.runner.show(experiment.title)
    for part, activities in (
        ("steady state", experiment.probes), ("method", experiment.method), ("rollback", experiment.rollbacks)
    ):  # fmt: skip
        for activity in activities:
            provider = experiment.filled(activity)["provider"]
            said = " ".join(words(provider)) if provider["type"] == PROCESS else provider.get("url") or provider["func"]
            project.runner.show(f"{part}: {activity['type']} {activity['name']}: {said}")
    if experiment.alert:
        project.runner.show(f"alert: {experiment.alert}: waited for before the fault is ended, where it is monitored")
