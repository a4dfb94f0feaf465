"""Scans a project, every kind in a process of its own and in parallel, judges the results, and reports them."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Context

from ..build.plan.stage_key import key
from ..host.output import emit_json, note
from ..host.profile.settings import process_env
from ..host.project import Project
from ..host.reports import Run, new_run, now, planned_run, read_json, write_json
from ..host.story.files import tell_last_line
from ..host.story.story import begin_step
from ..host.story.telling import story
from ..model.command import Command
from ..model.errors import CheckError, RefusedError, SlipwayError, StoppedError
from ..model.finding import INVALID, Scan
from ..model.story.events import DONE, StoryBegun
from . import accepted, baseline, production, reports
from .plan import gate
from .plan.gate import AcceptedFinding, ScanReport

_POLL_INTERVAL = 0.05  # seconds between two checks of the processes
_MAX_RESULTS = 10  # results of each kind that are cached


@dataclass(frozen=True)
class Kind:
    """A kind of scan: ``check`` runs it, ``parts`` returns what its result depends on."""

    check: Callable[[Project, Run], Sequence[Scan]]
    parts: Callable[[Project], Mapping[str, str]]
    # Raises RefusedError when the scan cannot begin; deletes its own stored results when the flag (force) is set.
    ready: Callable[[Project, bool], object] = lambda _project, _force: None
    # Writes facts that are known already for the process that runs ``check``.
    hand_over: Callable[[Project, Run], object] = lambda _project, _run: None


def _code() -> Kind:
    from . import code

    return Kind(code.check, code.parts, hand_over=code.hand_over)


def _images() -> Kind:
    from . import images

    return Kind(images.check, images.parts, images.prepare)


def _dockerfiles() -> Kind:
    from . import dockerfiles

    return Kind(dockerfiles.check, dockerfiles.parts)


def _secrets() -> Kind:
    from . import secrets

    return Kind(secrets.check, secrets.parts)


# Each imports its module only when the kind is wanted. A further kind is a line here and a word in plan.gate.KINDS.
KINDS: Mapping[str, Callable[[], Kind]] = {
    "code": _code,
    "dockerfiles": _dockerfiles,
    "images": _images,
    "secrets": _secrets,
}


def run(c: Context, env: str, kinds: Sequence[str], new: bool, force: bool, json: bool) -> None:
    """Scan and report; raises CheckError when the gate is closed, RefusedError when something was not checked."""
    project = Project(c, env or production.environment())
    _ = project.stack  # loads the Compose files: an error in them must come before a run's directory is made
    accepted_findings = accepted.read(project)
    chosen = [name for name in kinds if name in KINDS]
    if project.runner.dry:
        for name in chosen:
            project.runner.run(_command(project, name, planned_run(project.settings)))
        return
    if not env and "images" in chosen:
        production.build_missing(project)
    for name in chosen:
        KINDS[name]().ready(project, force)
    this_run = new_run(project.settings)
    base = baseline.find(project) if new else None
    scans = scan_kinds(project, this_run, chosen, force)
    report = judge(project, scans, accepted_findings, base.known if base else None, new)
    facts = {**_facts(project, this_run, chosen), "new_since": base.document() if base else None}
    document = reports.write(report, this_run, facts)
    if json:
        emit_json(document)
    else:
        reports.show(report, set(kinds) == set(gate.KINDS), base.text if base else "")
    _end(report, this_run)


def judge(
    project: Project,
    scans: Sequence[Scan],
    accepted: Sequence[AcceptedFinding],
    before: frozenset[str] | None = None,
    new: bool = False,
) -> ScanReport:
    """Return the report on scans by the gate of the profile; ``before`` and ``new`` as in ``plan.gate.judge``."""
    return gate.judge(scans, gate.gate(project.profile), accepted, now()[:10], before, new)


def _facts(project: Project, run: Run, kinds: Sequence[str]) -> dict[str, Any]:
    version = project.version
    return {
        "environment": project.profile.environment,
        "project": project.stack.project,
        "version": version.text,
        "commit": version.commit,
        "run": run.id,
        "created": now(),
        "kinds": list(kinds),
    }


def _end(report: ScanReport, run: Run) -> None:
    hint = f"reports of this run: {run.directory}"
    if report.outcome == gate.FAILED:
        raise CheckError(f"the gate is closed: {'; '.join(report.reasons)}", hint)
    if report.outcome != gate.PASSED:
        raise RefusedError("; ".join(report.reasons), f"provide what is missing, or set SCAN_OFFLINE=allow; {hint}")
    for reason in report.reasons:
        note(f"{reason}: allowed by SCAN_OFFLINE=allow")


def scan_kinds(project: Project, run: Run, kinds: Sequence[str], force: bool = False) -> list[Scan]:
    """Return the scans in the order of ``kinds``; cached results are reused unless ``force`` is set."""
    cache = _ScanCache(project)
    keys = {name: cache.key(name) for name in kinds}
    results: dict[str, tuple[Scan, ...]] = {}
    for name in kinds:
        cached = cache.find(name, keys[name]) if not force else None
        if cached:
            results[name] = cached[1]
            note(f"{name}: nothing has changed since run {cached[0]}")
    todo = [name for name in kinds if name not in results]
    new = _Processes(project, run).run(todo) if todo else {}
    for name, (scans, reusable) in new.items():
        results[name] = scans
        # Not cached when its inputs changed during the scan.
        if reusable and gate.can_be_reused(scans) and keys[name] and cache.key(name) == keys[name]:
            cache.add(name, keys[name], run.id, scans)
    return [scan for name in kinds for scan in results[name]]


def _command(project: Project, name: str, run: Run) -> Command:
    words = (name, project.profile.environment, run.id, str(run.directory), str(_target(run, name)))
    env, home = process_env(project.settings), str(project.settings.home)
    return Command((sys.executable, "-m", "tasks.scan.worker", *words), cwd=home, env=env, reason=f"scan: {name}")


def _target(run: Run, name: str) -> Path:
    return run.path(f"scan-{name}") / "result.json"


class _Processes:
    """The processes of a run, one for each kind; signals are forwarded to them, so that each cleans up."""

    def __init__(self, project: Project, run: Run) -> None:
        self._project, self._run = project, run

    def run(self, names: Sequence[str]) -> dict[str, tuple[tuple[Scan, ...], bool]]:
        """Return the scans of each kind, and whether they may be cached."""
        begun = StoryBegun("scan", self._project.stack.project, self._project.profile.environment)
        with story(self._project, begun, log=False):
            return self._run_all(names)

    def _run_all(self, names: Sequence[str]) -> dict[str, tuple[tuple[Scan, ...], bool]]:
        running: dict[int, str] = {}
        results, told, started = {}, {}, time.monotonic()
        with self._project.runner.in_parallel() as children:
            for name in names:
                directory = self._run.suite(f"scan-{name}")
                KINDS[name]().hand_over(self._project, self._run)
                command = _command(self._project, name, self._run)
                running[children.start(command, directory / "scan.out", directory / "scan.log")] = name
                told[name] = begin_step(f"scan {name}")
                told[name].advance("scanning")
            while running:
                for number, name in list(running.items()):
                    code = children.ended(number)
                    if code is None:
                        tell_last_line(told[name], self._run.path(f"scan-{name}") / "scan.log")
                        continue
                    del running[number]
                    results[name] = self._result(name, code)
                    told[name].result = f"{sum(len(scan.findings) for scan in results[name][0])} findings"
                    told[name].finish(DONE, time.monotonic() - started)
                time.sleep(_POLL_INTERVAL)
        return results

    def _result(self, name: str, code: int) -> tuple[tuple[Scan, ...], bool]:
        document = read_json(_target(self._run, name)) if code == 0 else None
        scans = gate.scans(document)
        if scans and isinstance(document, dict):
            return scans, bool(document.get("keep"))
        log = self._run.relative(self._run.path(f"scan-{name}") / "scan.log")
        reason = f"its process ended with exit code {code} and without a result, see {log}"
        return (Scan(name, "", INVALID, reason=reason),), False


class _ScanCache:
    """The cached results: a file for each kind under the reports directory."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def key(self, name: str) -> str:
        """Return a hash of everything that a result depends on, "" when some of it is unknown."""
        from ..host.own_code import code_digest

        try:
            return key({**KINDS[name]().parts(self._project), "slipway": code_digest()})
        except StoppedError:
            raise
        except SlipwayError:
            return ""

    def _path(self, name: str) -> Path:
        stem = f"{self._project.stack.project}-{self._project.profile.environment}-scan-{name}.json"
        return self._project.settings.reports_dir / "cache" / stem

    def _entries(self, name: str) -> list[dict[str, Any]]:
        document = read_json(self._path(name))
        entries = document.get("entries") if isinstance(document, dict) else None
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    def find(self, name: str, wanted: str) -> tuple[str, tuple[Scan, ...]] | None:
        """Return the id of the run and the results that are cached under a key, None when there are none."""
        for entry in self._entries(name):
            if wanted and entry.get("key") == wanted and (scans := gate.scans(entry)):
                return str(entry.get("run")), scans
        return None

    def add(self, name: str, wanted: str, run: str, scans: Sequence[Scan]) -> None:
        """Cache results under a key, as the newest of at most ``_MAX_RESULTS``."""
        new = {"key": wanted, "run": run, "scans": [gate.scan_document(scan) for scan in scans]}
        others = [entry for entry in self._entries(name) if entry.get("key") != wanted]
        write_json(self._path(name), {"entries": [new, *others][:_MAX_RESULTS]})
