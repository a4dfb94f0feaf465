"""Checks that the monitoring of a stack sees: its targets, its rules, its dashboards, and the tests of its alerts."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..host.output import emit_json, emit_table, note
from ..host.profile import yaml_text
from ..host.project import Project
from ..model.engine.facts import monitoring_project
from ..model.errors import CheckError, InputError
from ..model.units import parse_duration, show_duration
from ..telemetry.plan.servers import with_known_servers
from ..telemetry.prometheus import Prometheus
from . import compose_file, generated, objectives
from .plan import check, dashboards, rules
from .plan.check import Checked
from .plan.targets import Watched, watched

_PATIENCE = 60.0  # seconds
_LOOK = 1.0  # seconds between two looks
_RECENT = 300.0  # seconds; older series are of containers that are gone


class Checks:
    """The checks of one monitoring."""

    def __init__(self, project: Project, seen: Watched, prometheus: Prometheus) -> None:
        self._seen, self._prometheus = seen, prometheus
        configuration = compose_file.configuration(project)
        directory = configuration / "prometheus"
        written = rules.parse(
            {**documents(directory / "rules"), **documents(generated.directory(project) / "prometheus")}
        )
        self._rules = rules.applicable(written, check.jobs(seen))
        self._all = written
        self._tests = documents(directory / "tests")
        self._levels = objectives.of_project(project)
        metrics = (service.slipway.metrics for service in seen.scraped())
        boards = dashboards.applicable(_boards(configuration / "grafana" / "dashboards"), check.jobs(seen))
        absent = dashboards.usual_metrics(one for one in metrics if one)
        self._panels = dashboards.queries(boards, absent=absent)

    def run(self) -> tuple[Checked, ...]:
        """Return what is found now; raises RefusedError when Prometheus does not answer."""
        return tuple(self._found())

    def _found(self) -> Iterator[Checked]:
        start = time.time() - _RECENT
        yield from check.checked_targets(self._seen, self._prometheus.targets())
        yield from check.checked_rules(self._all, self._prometheus.rules())
        readings = rules.readings(self._rules)
        yield from check.checked_series(readings, lambda selector: self._prometheus.exists(selector, start))
        yield from check.checked_objectives(self._levels, self._bounds())
        yield from check.checked_panels(self._panels, lambda expression: bool(self._prometheus.query(expression)))
        yield from check.checked_tests(self._all, self._tests)

    def _bounds(self) -> dict[str, set[str]]:
        """Return the bounds of the buckets that each objective of latency is measured by, by its id."""
        histograms = {level.id: level.histogram for level in self._levels if level.histogram}
        return {
            name: {one.labels["le"] for one in self._prometheus.query(f"group by (le) ({histogram.buckets})")}
            for name, histogram in histograms.items()
        }


def run(project: Project, wait: str, json: bool) -> None:
    """Check the monitoring and report; raises CheckError when something is not seen.

    Right after its start that takes a while, since services have to be found and a rate needs two samples: it is looked
    again for ``wait``, "" for a minute.
    """
    patience = parse_duration(wait, "--wait") if wait else _PATIENCE
    prometheus = Prometheus.of(project)
    seen = watched(with_known_servers(project.model), project.model)
    checked = _patiently(Checks(project, seen, prometheus), patience)
    faults = check.failures(checked)
    if json:
        emit_json(_document(project, checked))
    else:
        emit_table(("CHECK", "FOUND", "OUTCOME"), check.summary(checked))
        for fault in faults:
            note(f"{fault.kind} {fault.name}: {fault.reason}")
    if faults:
        names = ", ".join(dict.fromkeys(fault.name for fault in faults[:5]))
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise CheckError(
            f"the monitoring of {project.profile.environment} does not see everything: {names}{more}",
            f"inv monitor.open --env {project.profile.environment} shows where Prometheus says more",
        )


def _patiently(checks: Checks, patience: float) -> tuple[Checked, ...]:
    deadline = time.monotonic() + patience
    checked, told = checks.run(), False
    while check.failures(checked) and time.monotonic() < deadline:
        if not told:
            note(f"looking for {show_duration(patience)} at most until everything is seen")
            told = True
        time.sleep(_LOOK)
        checked = checks.run()
    return checked


def documents(directory: Path) -> dict[str, Any]:
    """Return the YAML documents of a directory by the names of their files, without their ending."""
    documents: dict[str, Any] = {}
    for path in sorted(directory.glob("*.yml")):
        try:
            documents[path.stem] = yaml_text.load(path.read_text(encoding="utf-8"))
        except yaml_text.FAULTS as error:
            raise InputError(
                f"{path}: no YAML: {' '.join(str(error).split())}", "promtool check rules shows it"
            ) from None
    return documents


def _boards(directory: Path) -> dict[str, Any]:
    """Return the dashboards of a directory by the names of their files, without their ending."""
    boards: dict[str, Any] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            boards[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: no JSON: {error}", "export the dashboard again") from None
    return boards


def _document(project: Project, checked: tuple[Checked, ...]) -> Mapping[str, Any]:
    return {
        "schema": "slipway/monitor.check/v1",
        "environment": project.profile.environment,
        "project": monitoring_project(project.stack.project),
        "outcome": "failed" if check.failures(checked) else "passed",
        "checks": [
            {"kind": one.kind, "name": one.name, "outcome": one.outcome, "reason": one.reason} for one in checked
        ],
    }
