"""Scans the images of a project with trivy: packages, Go modules in programs, secrets in any layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..host.output import note
from ..host.project import Project
from ..host.reports import Run, read_json, read_report, write_json
from ..model.command import Command
from ..model.errors import CheckError
from ..model.finding import Scan
from . import tools, vulnerability_db
from .image_archive import CommandsEnd, run_all
from .plan import images
from .plan.images import ImageReport, Outcome, Subject

_STORE = "scanned-images"
_RULES = Path(__file__).with_name("secret_rules.yaml")


def parts(project: Project) -> dict[str, str]:
    """Return what the scan's result depends on: images, database, tool. Raises RefusedError as ``check`` does."""
    database, state = vulnerability_db.state(project.profile, project.settings.root)
    image_ids = {f"image {', '.join(subject.services)}": subject.id for subject in images_on_engine(project)}
    advisories = f"{database.digest} {database.updated}{' old' if state else ''}" if database else state
    tool = tools.stamp(tools.locate(project.profile, project.settings.root, "trivy"))
    return {**image_ids, "advisories": advisories, images.TOOL: tool}


def check(project: Project, run: Run) -> list[Scan]:
    """Scan every image of the profile, built and pulled; results of earlier scans are reused.

    Raises RefusedError when an image is not on the engine.
    """
    store, subjects = _ResultStore(project), images_on_engine(project)
    outcomes = {subject: store.load(subject) for subject in subjects}
    unscanned = [subject for subject, outcome in outcomes.items() if outcome.report is None]
    directory = store.database.directory if store.database else ""
    new = _scan(project, store.tool, unscanned, directory)
    if project.runner.dry:
        return []
    # Without the Java index trivy fails on images with Java archives: scan those again, for secrets only.
    java = [subject for subject, outcome in new.items() if outcome.gap]
    for subject, outcome in _scan(project, store.tool, java, "").items():
        new[subject] = images.without_index(outcome.report) if outcome.report else outcome
    for subject, outcome in new.items():
        if outcome.report:
            about = vulnerability_db.describe(store.database)
            write_json(store.path(subject), images.stored(subject.id, outcome.report, about))
    if store.database and store.state:
        note(f"the vulnerability database is old: {store.state}")
    return store.scans({**outcomes, **new})


def prepare(project: Project, force: bool) -> None:
    """Raise RefusedError when an image is not on the engine; with ``force`` delete the images' stored results."""
    store = _ResultStore(project)
    for subject in images_on_engine(project):
        if force:
            store.path(subject).unlink(missing_ok=True)


def stored_scans(project: Project, subjects: Sequence[Subject]) -> tuple[list[Scan], list[Subject]]:
    """Return the scans from stored results of the present database and tool, and the images without such a result."""
    store = _ResultStore(project)
    outcomes = {subject: store.load(subject) for subject in subjects}
    return store.scans(outcomes), [subject for subject, outcome in outcomes.items() if outcome.report is None]


class _ResultStore:
    """The database and the tool that results depend on, and the stored results of exactly these."""

    def __init__(self, project: Project) -> None:
        root = project.settings.root
        self.database, self.state = vulnerability_db.state(project.profile, root)
        self.tool = tools.locate(project.profile, root, "trivy")
        self._stamp = tools.stamp(self.tool)
        self._directory = project.settings.reports_dir / _STORE

    def path(self, subject: Subject) -> Path:
        """Return the file that stores the result of an image."""
        digest = self.database.digest if self.database else ""
        return self._directory / f"{images.key(subject.id, digest, self._stamp)}.json"

    def load(self, subject: Subject) -> Outcome:
        """Return the stored result of an image; the outcome has no report when none is stored."""
        report = images.restored(read_json(self.path(subject)), subject.id)
        if report and self.database and report.vulnerabilities is None:
            return images.without_index(report)
        return Outcome(report)

    def scans(self, outcomes: Mapping[Subject, Outcome]) -> list[Scan]:
        """Return the outcomes of images as a scan for vulnerabilities and a scan for secrets."""
        return images.scans(outcomes, self.database.updated if self.database else "", self.state)


def images_on_engine(project: Project) -> tuple[Subject, ...]:
    """Return the images of the profile; raises RefusedError when an image is not on the engine."""
    return images.subjects(project.stack, project.images(project.stack), project.profile.environment)


def _scan(project: Project, tool: str, subjects: Sequence[Subject], database: str) -> dict[Subject, Outcome]:
    limit, settings = project.profile.duration("SCAN_TIMEOUT"), tools.clean_environment()

    def work(directory: str) -> tuple[Command, ...]:
        return (images.scan(tool, directory, database, str(_RULES), settings),)

    def collect(_: Subject, directory: Path, ended: CommandsEnd) -> Outcome:
        if database and images.needs_java_index(ended.text):
            return Outcome(gap=ended.text)
        if ended.code:
            return images.failed(ended.code, ended.text, limit)
        try:
            return Outcome(_read(directory, ended.text, bool(database)))
        except CheckError as error:
            return Outcome(fault=error.message)

    return run_all(project, subjects, work, collect)


def _read(directory: Path, log: str, vulnerabilities: bool) -> ImageReport:
    data = read_report(directory / images.REPORT, images.TOOL)
    if data is None:
        raise CheckError(f"{images.TOOL} wrote no report")
    return images.parse(data, log, vulnerabilities)
