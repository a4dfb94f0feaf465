"""Scans the images of a project: packages, what programs are made of, secrets in any layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..plan import trivy as planner
from ..plan.command import Command
from ..plan.errors import CheckError
from ..plan.finding import Scan
from ..plan.trivy import Outcome, Report, Subject
from . import advisories, scan_tools
from .image_files import Ended, run_all
from .output import note
from .project import Project
from .reports import Run, read_json, read_report, write_json

_STORE = "scanned-images"
_RULES = Path(__file__).with_name("secret_rules.yaml")


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on: the images, the database, the tool. Raises RefusedError as ``check`` does."""
    database, state = advisories.state(project.profile, project.settings.root)
    images = {f"image {', '.join(one.services)}": one.id for one in found_on_engine(project)}
    about = f"{database.digest} {database.updated}{' old' if state else ''}" if database else state
    tool = scan_tools.stamp(scan_tools.locate(project.profile, project.settings.root, "trivy"))
    return {**images, "advisories": about, planner.TOOL: tool}


def check(project: Project, run: Run) -> list[Scan]:
    """Scan every image of the profile, its own and others'; what was scanned before is not scanned again.

    Raises RefusedError when an image is not on the engine.
    """
    basis, subjects = _Basis(project), found_on_engine(project)
    outcomes = {one: basis.known(one) for one in subjects}
    left = [one for one, outcome in outcomes.items() if outcome.report is None]
    directory = basis.database.directory if basis.database else ""
    fresh = _scan(project, basis.tool, left, directory)
    if project.runner.dry:
        return []
    # What holds Java archives cannot be looked up without their index: its secrets can.
    java = [one for one, outcome in fresh.items() if outcome.gap]
    for one, outcome in _scan(project, basis.tool, java, "").items():
        fresh[one] = planner.without_index(outcome.report) if outcome.report else outcome
    for one, outcome in fresh.items():
        if outcome.report:
            write_json(basis.path(one), planner.stored(one.id, outcome.report, advisories.described(basis.database)))
    if basis.database and basis.state:
        note(f"the vulnerability database is old: {basis.state}")
    return basis.scans({**outcomes, **fresh})


def ready(project: Project, force: bool) -> None:
    """Raise RefusedError when an image is not on the engine; with ``force`` forget what was found in the images."""
    basis = _Basis(project)
    for one in found_on_engine(project):
        if force:
            basis.path(one).unlink(missing_ok=True)


def kept(project: Project, subjects: Sequence[Subject]) -> tuple[list[Scan], list[Subject]]:
    """Return what earlier scans found in images, with the database and the tool of now, and the images without one."""
    basis = _Basis(project)
    outcomes = {one: basis.known(one) for one in subjects}
    return basis.scans(outcomes), [one for one, outcome in outcomes.items() if outcome.report is None]


class _Basis:
    """What results depend on beside the image: the database and the tool; and where results are stored by that."""

    def __init__(self, project: Project) -> None:
        root = project.settings.root
        self.database, self.state = advisories.state(project.profile, root)
        self.tool = scan_tools.locate(project.profile, root, "trivy")
        self._stamp = scan_tools.stamp(self.tool)
        self._store = project.settings.reports_dir / _STORE

    def path(self, subject: Subject) -> Path:
        """Return where the result of an image is stored."""
        digest = self.database.digest if self.database else ""
        return self._store / f"{planner.key(subject.id, digest, self._stamp)}.json"

    def known(self, subject: Subject) -> Outcome:
        """Return the stored result of an image, one without a report when there is none."""
        report = planner.restored(read_json(self.path(subject)), subject.id)
        if report and self.database and report.vulnerabilities is None:
            return planner.without_index(report)
        return Outcome(report)

    def scans(self, outcomes: Mapping[Subject, Outcome]) -> list[Scan]:
        """Return what became of images as scans."""
        return planner.scans(outcomes, self.database.updated if self.database else "", self.state)


def found_on_engine(project: Project) -> tuple[Subject, ...]:
    """Return the images of the profile; raises RefusedError when one is not on the engine."""
    return planner.subjects(project.stack, project.images(project.stack), project.profile.environment)


def _scan(project: Project, tool: str, subjects: Sequence[Subject], database: str) -> dict[Subject, Outcome]:
    limit, settings = project.profile.duration("SCAN_TIMEOUT"), scan_tools.plain()

    def work(directory: str) -> tuple[Command, ...]:
        return (planner.scan(tool, directory, database, str(_RULES), settings),)

    def collect(_: Subject, directory: Path, ended: Ended) -> Outcome:
        if database and planner.needs_java_index(ended.text):
            return Outcome(gap=ended.text)
        if ended.code:
            return planner.failed(ended.code, ended.text, limit)
        try:
            return Outcome(_read(directory, ended.text, bool(database)))
        except CheckError as error:
            return Outcome(fault=error.message)

    return run_all(project, subjects, work, collect)


def _read(directory: Path, log: str, vulnerabilities: bool) -> Report:
    data = read_report(directory / planner.REPORT, planner.TOOL)
    if data is None:
        raise CheckError(f"{planner.TOOL} wrote no report")
    return planner.parse(data, log, vulnerabilities)
