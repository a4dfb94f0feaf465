"""Brings the monitoring of a stack up: a Compose project of its own, in the networks of what it watches."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..build import sources, stand_ins
from ..build.build import carry_out, with_aliases
from ..build.plan import build as build_plan
from ..host.engine.resources import Resources
from ..host.output import add_mask, emit_json, note
from ..host.project import Project
from ..host.reasons import error_explainer
from ..host.story.story import step
from ..host.story.telling import Ending, story
from ..model.command import Command
from ..model.engine.facts import MONITORS_LABEL, Container, monitoring_project
from ..model.errors import RefusedError
from ..model.secret import mask
from ..model.stack.stack import Stack, parse
from ..model.story.events import StoryBegun
from ..model.version import UNVERSIONED
from ..telemetry.plan.servers import with_known_servers
from . import addresses, compose_file, generated, objectives, users
from .plan import composition
from .plan.exporters import Exporter, rounds
from .plan.targets import Watched, joined, watched
from .secret_files import SecretFiles, alert_address

_PATIENCE = 180  # seconds until all containers are healthy
UNCHANGED, STARTED = "unchanged", "started"


@dataclass(frozen=True)
class Monitoring:
    """The monitoring as it is to be: its model, the Compose file it was made from, and what it watches."""

    seen: Watched
    file: Path
    model: Mapping[str, Any]
    secrets: tuple[composition.SecretVolume, ...]

    @property
    def stack(self) -> Stack:
        """The model, typed."""
        return parse(self.model)

    def exporter_names(self) -> dict[str, Exporter]:
        """Return the exporters by the services of the monitoring that they are."""
        return {exporter.name: exporter for exporter in self.seen.exporters}


def up(project: Project, json_: bool = False) -> None:
    """Bring the monitoring up and wait until it is healthy; what has not changed stays.

    Raises RefusedError when the stack was never deployed, or when another project has the name of the monitoring.
    """
    seen = watched(with_known_servers(project.model), project.model)
    _refuse_without_networks(project, seen)
    before = _containers(project)
    begun = StoryBegun("monitor.up", monitoring_project(seen.project), project.profile.environment)
    with story(project, begun) as ending:
        for line in seen.notes:
            note(line)
        monitoring = compose(project, seen)
        _build(project, monitoring)
        _start(project, monitoring)
        if project.runner.dry:
            return
        after = _containers(project)
        outcome = UNCHANGED if _ids(before) == _ids(after) else STARTED
        _tell(project, ending, outcome, after)
    if json_:
        emit_json(_document(project, outcome, after))


def compose(project: Project, seen: Watched) -> Monitoring:
    """Return the monitoring as it is to be; writes the build context that is made from the stack."""
    file, url = compose_file.find(project), alert_address(project)
    add_mask(lambda text: mask(text, (url,) if url else ()))
    rules = objectives.rule_files(project, compose_file.configuration(project) / "prometheus" / "rules")
    directory = str(generated.write(project, seen, rules))
    groups = rounds(seen.exporters)
    overrides = stand_ins.provide(project, file.parent, _needed(seen))
    models = [
        (
            compose_file.read(
                project,
                file,
                overrides,
                composition.variables(project.profile, seen, directory, bool(url), group, project.address),
            ),
            group,
        )
        for group in groups
    ]
    dashboards = project.profile.text("BASE_IMAGES") != "local"
    if not dashboards:
        note("Grafana is left out: its image comes from a registry (BASE_IMAGES=local); monitor.check tries its panels")
    raw, secrets = composition.composition(seen, models, dashboards)
    return Monitoring(seen, file, raw, secrets)


def _needed(seen: Watched) -> tuple[str, ...]:
    """Return the services of the Compose file that will start, as far as they are optional there."""
    return (*composition.ALWAYS, *(exporter.base for exporter in seen.exporters))


def _build(project: Project, monitoring: Monitoring) -> None:
    """Build the images whose sources have changed; those of the stack's profile do not matter here."""
    stack = monitoring.stack
    inputs = sources.inputs(build_plan.selected(stack), project.engine)
    images = project.images(stack)

    def decide(aliases: Any) -> build_plan.BuildPlan:
        options = build_plan.Options()
        cwd = str(monitoring.file.parent)
        return build_plan.plan(stack, project.profile, UNVERSIONED, inputs, options, cwd, images, aliases=aliases)

    carry_out(project, with_aliases(project, decide))


def _start(project: Project, monitoring: Monitoring) -> None:
    files = SecretFiles(project, monitoring.stack, monitoring.secrets)
    seen = monitoring.seen
    changed: tuple[str, ...] = ()
    if project.runner.dry:
        project.runner.show(
            f"put secrets into volumes of the engine: {', '.join(one.name for one in monitoring.secrets)}"
        )
    else:
        with step("secrets"):
            files.prepare(monitoring.exporter_names(), seen.stack, alert_address(project))
            changed = files.write()
    for exporter in users.with_users(seen.exporters):
        with step(f"user in {exporter.service}"):
            users.make(project, seen.stack, exporter, files.passwords.get(exporter.name, ""), monitoring.file.parent)
    with step("start, wait until healthy"):
        words = ("up", "--detach", "--wait", f"--wait-timeout={_PATIENCE}", "--no-build", "--remove-orphans")
        _compose(project, monitoring, (*words, "--quiet-pull"))
        if changed:  # programs read their secrets when they start
            _compose(project, monitoring, ("restart", *changed))


def _compose(project: Project, monitoring: Monitoring, words: Iterable[str]) -> None:
    text = json.dumps(monitoring.model, ensure_ascii=False)
    made = compose_file.command(project, tuple(words), {}, ("-",), monitoring.file.parent)
    command: Command = replace(made, stdin=text)
    project.runner.run(command, error_explainer(project, command))


def _containers(project: Project) -> tuple[Container, ...]:
    """Return the containers of the monitoring; raises RefusedError when its name is another project's."""
    name = monitoring_project(project.stack.project)
    ours = project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}")
    known = {container.id for container in ours}
    if others := [one.name for one in project.engine.containers(name) if one.id not in known]:
        raise RefusedError(
            f"the Compose project {name} exists, and is not the monitoring of {project.stack.project}: "
            f"{', '.join(others[:3])}",
            "give one of the two projects another name (COMPOSE_PROJECT_NAME)",
        )
    return ours


def _ids(containers: Iterable[Container]) -> set[tuple[str, str]]:
    return {(container.id, container.state) for container in containers}


def _refuse_without_networks(project: Project, seen: Watched) -> None:
    names = {name for networks in joined(seen).values() for name in networks}
    if project.runner.dry:
        return
    if missing := sorted(names - Resources(project.engine).networks(names).keys()):
        environment = project.profile.environment
        raise RefusedError(
            f"{seen.project} is not there to be watched: it has no network {', '.join(missing)}",
            f"deploy it first: inv deploy.{environment}",
        )


def _tell(project: Project, ending: Ending, outcome: str, containers: tuple[Container, ...]) -> None:
    name = monitoring_project(project.stack.project)
    ending.heading = f"{name} runs, unchanged" if outcome == UNCHANGED else f"{name} is up"
    ending.summary = [("page", f"{url} {service}") for service, url in addresses.by_service(containers).items()]
    ending.summary.append(("next", f"inv monitor.check --env {project.profile.environment}"))


def _document(project: Project, outcome: str, containers: tuple[Container, ...]) -> dict[str, Any]:
    return {
        "schema": "slipway/monitor.up/v1",
        "environment": project.profile.environment,
        "project": monitoring_project(project.stack.project),
        "outcome": outcome,
        "addresses": addresses.by_service(containers),
        "services": [
            {"service": one.service, "container": one.name, "state": one.state, "health": one.health}
            for one in containers
        ],
    }
