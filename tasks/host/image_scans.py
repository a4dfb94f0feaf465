"""Scans the images of a project: packages, what programs are made of, secrets in any layer."""

from collections.abc import Sequence
from pathlib import Path

from ..plan import trivy as planner
from ..plan.errors import CheckError
from ..plan.finding import Scan
from ..plan.registry import environment
from ..plan.trivy import Outcome, Report, Subject
from . import advisories, trivy
from .image_files import Ended, Job, run_all
from .output import note
from .project import Project
from .reports import Run, read_json, read_report, write_json

_STORE = "scanned-images"


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on: the images, the database, the tool. Raises RefusedError as ``check`` does."""
    database, state = advisories.state(project.profile, project.settings.root)
    images = {f"image {', '.join(one.services)}": one.id for one in found_on_engine(project)}
    about = f"{database.digest} {database.updated}{' old' if state else ''}" if database else state
    tool = trivy.stamp(trivy.executable(project.profile, project.settings.root))
    return {**images, "advisories": about, planner.TOOL: tool}


def check(project: Project, run: Run) -> list[Scan]:
    """Scan every image of the profile, its own and others'; what was scanned before is not scanned again.

    Raises RefusedError when an image is not on the engine.
    """
    database, state = advisories.state(project.profile, project.settings.root)
    subjects = found_on_engine(project)
    tool, digest = trivy.executable(project.profile, project.settings.root), database.digest if database else ""
    stamp = trivy.stamp(tool)
    places = {one: store(project) / f"{planner.key(one.id, digest, stamp)}.json" for one in subjects}
    outcomes = {one: _known(places[one], one, bool(database)) for one in subjects}
    left = [one for one, outcome in outcomes.items() if outcome.report is None]
    directory = database.directory if database else ""
    fresh = _scan(project, tool, left, directory)
    if project.runner.dry:
        return []
    # What holds Java archives cannot be looked up without their index: its secrets can.
    java = [one for one, outcome in fresh.items() if outcome.gap]
    again = _scan(project, tool, java, "")
    for one, outcome in again.items():
        fresh[one] = planner.without_index(outcome.report) if outcome.report else outcome
    for one, outcome in fresh.items():
        if outcome.report:
            about = advisories.described(database)
            write_json(places[one], planner.stored(one.id, outcome.report, about))
    if database and state:
        note(f"the vulnerability database is old: {state}")
    return planner.scans({**outcomes, **fresh}, database.updated if database else "", state)


def found_on_engine(project: Project) -> tuple[Subject, ...]:
    """Return the images of the profile; raises RefusedError when one is not on the engine."""
    return planner.subjects(project.stack, project.images(project.stack), project.profile.environment)


def store(project: Project) -> Path:
    """Return the directory that keeps what images were found to hold."""
    return project.settings.reports_dir / _STORE


def _known(path: Path, subject: Subject, database: bool) -> Outcome:
    report = planner.restored(read_json(path), subject.id)
    if report and database and report.vulnerabilities is None:
        return planner.without_index(report)
    return Outcome(report)


def _scan(project: Project, tool: str, subjects: Sequence[Subject], database: str) -> dict[Subject, Outcome]:
    limit, env, settings = project.profile.duration("SCAN_TIMEOUT"), environment(project.profile), trivy.plain()
    by_name = {one.id: one for one in subjects}

    def job(one: Subject) -> Job:
        return Job(
            one.id,
            lambda directory: (
                planner.save(one.id, directory, env, project.cwd),
                planner.scan(tool, directory, database, settings),
            ),
        )

    def collect(_: Job, directory: Path, ended: Ended) -> Outcome:
        if database and planner.needs_java_index(ended.text):
            return Outcome(gap=ended.text)
        if ended.code:
            return planner.failed(ended.code, ended.text, limit)
        try:
            return Outcome(_read(directory, bool(database)))
        except CheckError as error:
            return Outcome(fault=error.message)

    found = run_all(project, [job(one) for one in subjects], limit, collect)
    return {by_name[name]: outcome for name, outcome in found.items()}


def _read(directory: Path, vulnerabilities: bool) -> Report:
    data = read_report(directory / planner.REPORT, planner.TOOL)
    if data is None:
        raise CheckError(f"{planner.TOOL} wrote no report")
    return planner.parse(data, vulnerabilities)
