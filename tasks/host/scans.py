"""Scans a project: every kind in a process of its own beside the others, judged by one gate, told in one report."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Context

from ..plan import scan as planner
from ..plan.command import Command
from ..plan.errors import CheckError, RefusedError, SlipwayError, StoppedError
from ..plan.finding import INVALID, Scan
from ..plan.scan import Accepted, Report
from ..plan.testing import key
from . import accepted_files, reports, scan_baseline, scan_reports
from .output import emit_json, note
from .project import Project
from .reports import Run

_LOOK = 0.05  # seconds between two looks at the processes
_KEPT = 10  # results that are remembered of each kind


@dataclass(frozen=True)
class Kind:
    """One kind of scan: what it does, and what its result depends on."""

    check: Callable[[Project, Run], Sequence[Scan]]
    parts: Callable[[Project], Mapping[str, str]]
    # Looks whether it can begin at all, and forgets what it remembers by itself when it is told to.
    ready: Callable[[Project, bool], object] = lambda _project, _force: None
    # Gives the process that checks what is known already.
    hand_over: Callable[[Project, Run], object] = lambda _project, _run: None


def _code() -> Kind:
    from . import code_scans

    return Kind(code_scans.check, code_scans.parts, hand_over=code_scans.hand_over)


def _images() -> Kind:
    from . import image_scans

    return Kind(image_scans.check, image_scans.parts, image_scans.ready)


def _dockerfiles() -> Kind:
    from . import dockerfile_scans

    return Kind(dockerfile_scans.check, dockerfile_scans.parts)


def _secrets() -> Kind:
    from . import secret_scans

    return Kind(secret_scans.check, secret_scans.parts)


# Each imports its module only when it is wanted. A further kind is a line here and a word in plan.scan.KINDS.
KINDS: Mapping[str, Callable[[], Kind]] = {
    "code": _code,
    "dockerfiles": _dockerfiles,
    "images": _images,
    "secrets": _secrets,
}


def run(c: Context, env: str, kinds: Sequence[str], new: bool, force: bool, json: bool) -> None:
    """Scan and report it; raises CheckError when the gate is closed, RefusedError when something was not checked."""
    project = Project(c, env)
    _ = project.stack  # a Compose file that is not understood makes no run
    accepted = accepted_files.read(project)
    chosen = [name for name in kinds if name in KINDS]
    if project.runner.dry:
        for name in chosen:
            project.runner.run(_command(project, name, reports.planned_run(project.settings)))
        return
    for name in chosen:
        KINDS[name]().ready(project, force)
    made = reports.new_run(project.settings)
    base = scan_baseline.find(project) if new else None
    found = look(project, made, chosen, force)
    report = judge(project, found, accepted, base.known if base else None, new)
    facts = {**_facts(project, made, chosen), "new_since": base.document() if base else None}
    document = scan_reports.write(report, made, facts)
    if json:
        emit_json(document)
    else:
        scan_reports.show(report, set(kinds) == set(planner.KINDS), base.text if base else "")
    _end(report, made)


def judge(
    project: Project,
    found: Sequence[Scan],
    accepted: Sequence[Accepted],
    before: frozenset[str] | None = None,
    new: bool = False,
) -> Report:
    """Return what the gate of the profile says of what was found."""
    return planner.judge(found, planner.gate(project.profile), accepted, reports.now()[:10], before, new)


def _facts(project: Project, run: Run, kinds: Sequence[str]) -> dict[str, Any]:
    version = project.version
    return {
        "environment": project.profile.environment,
        "project": project.stack.project,
        "version": version.text,
        "commit": version.commit,
        "run": run.id,
        "created": reports.now(),
        "kinds": list(kinds),
    }


def _end(report: Report, run: Run) -> None:
    hint = f"reports of this run: {run.directory}"
    if report.outcome == planner.FAILED:
        raise CheckError(f"the gate is closed: {'; '.join(report.reasons)}", hint)
    if report.outcome != planner.PASSED:
        raise RefusedError("; ".join(report.reasons), f"get what is missing, or set SCAN_OFFLINE=allow; {hint}")
    for reason in report.reasons:
        note(f"{reason}: let through by SCAN_OFFLINE=allow")


def look(project: Project, run: Run, kinds: Sequence[str], force: bool = False) -> list[Scan]:
    """Return what the scanners found, in the order of ``kinds``; what holds from an earlier run is not done again."""
    cache = _Cache(project)
    keys = {name: cache.key(name) for name in kinds}
    found: dict[str, tuple[Scan, ...]] = {}
    for name in kinds:
        kept = cache.find(name, keys[name]) if not force else None
        if kept:
            found[name] = kept[1]
            note(f"{name}: nothing has changed since run {kept[0]}")
    todo = [name for name in kinds if name not in found]
    fresh = _Processes(project, run).run(todo) if todo else {}
    for name, (scans, kept_for_next) in fresh.items():
        found[name] = scans
        # What changed while it was looked at is kept by nobody.
        if kept_for_next and planner.holds(scans) and keys[name] and cache.key(name) == keys[name]:
            cache.add(name, keys[name], run.id, scans)
    return [one for name in kinds for one in found[name]]


def _command(project: Project, name: str, run: Run) -> Command:
    words = (name, project.profile.environment, run.id, str(run.directory), str(_target(run, name)))
    root = str(project.settings.root)
    return Command((sys.executable, "-m", "tasks.host.scan_process", *words), cwd=root, reason=f"scan: {name}")


def _target(run: Run, name: str) -> Path:
    return run.path(f"scan-{name}") / "result.json"


class _Processes:
    """The kinds of one run, each in a process of its own: signals reach it where it waits, and it cleans up."""

    def __init__(self, project: Project, run: Run) -> None:
        self._project, self._run = project, run

    def run(self, names: Sequence[str]) -> dict[str, tuple[tuple[Scan, ...], bool]]:
        """Return what each kind came to, and whether that may be kept."""
        running: dict[int, str] = {}
        found = {}
        with self._project.runner.beside() as children:
            for name in names:
                directory = self._run.suite(f"scan-{name}")
                KINDS[name]().hand_over(self._project, self._run)
                command = _command(self._project, name, self._run)
                running[children.start(command, directory / "scan.out", directory / "scan.log")] = name
                note(f"{name}: scanning")
            while running:
                for number, name in list(running.items()):
                    code = children.ended(number)
                    if code is not None:
                        del running[number]
                        found[name] = self._result(name, code)
                time.sleep(_LOOK)
        return found

    def _result(self, name: str, code: int) -> tuple[tuple[Scan, ...], bool]:
        document = reports.read_json(_target(self._run, name)) if code == 0 else None
        scans = planner.scans(document)
        if scans and isinstance(document, dict):
            return scans, bool(document.get("keep"))
        log = self._run.relative(self._run.path(f"scan-{name}") / "scan.log")
        reason = f"its process ended with exit code {code} and without a result, see {log}"
        return (Scan(name, "", INVALID, reason=reason),), False


class _Cache:
    """The results that are remembered: a file for each kind under the reports directory."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def key(self, name: str) -> str:
        """Return the key of all that a result depends on, "" when some of it cannot be known."""
        from .testing import code_digest

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
        document = reports.read_json(self._path(name))
        found = document.get("entries") if isinstance(document, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def find(self, name: str, wanted: str) -> tuple[str, tuple[Scan, ...]] | None:
        """Return the run and the results that hold for a key."""
        for one in self._entries(name):
            if wanted and one.get("key") == wanted and (scans := planner.scans(one)):
                return str(one.get("run")), scans
        return None

    def add(self, name: str, wanted: str, run: str, scans: Sequence[Scan]) -> None:
        """Remember results."""
        fresh = {"key": wanted, "run": run, "scans": [planner.scan_document(one) for one in scans]}
        others = [one for one in self._entries(name) if one.get("key") != wanted]
        reports.write_json(self._path(name), {"entries": [fresh, *others][:_KEPT]})
