"""What ``image.sbom`` does, and what a release tells of its documents."""

from collections.abc import Iterable
from pathlib import Path

from ..plan import sbom as planner
from ..plan import trivy as scan_planner
from ..plan.command import Command
from ..plan.errors import CheckError
from ..plan.release import Pinned
from ..plan.sbom import Bill, Document
from ..plan.trivy import Subject
from . import image_scans, scan_tools
from .image_files import Ended, run_all
from .output import emit_json, emit_table, note
from .project import Project
from .reports import read_json, read_report, write_json

_DIRECTORY, _INDEX = "sbom", "index.json"


def write(project: Project, json: bool) -> None:
    """Write the documents of every image of the profile and report them; raises CheckError when one has none."""
    subjects = image_scans.found_on_engine(project)
    tool = scan_tools.locate(project.profile, project.settings.root, "trivy")
    stamp = scan_tools.stamp(tool)
    before = {one.image: one for one in _whole(project) if one.tool == stamp}
    kept = {one.id: before[one.id] for one in subjects if one.id in before and before[one.id].services == one.services}
    made = _make(project, tool, stamp, [one for one in subjects if one.id not in kept])
    if project.runner.dry:
        return
    found = [bill for one in subjects if isinstance(bill := kept.get(one.id) or made[one], Bill)]
    document = planner.index(project.profile.environment, found)
    write_json(_directory(project) / _INDEX, document)
    if json:
        emit_json(document)
    else:
        emit_table(("SERVICE", "IMAGE", "PACKAGES", "FILE", "DIGEST"), planner.rows(found))
    if faults := [one for one in made.values() if isinstance(one, str)]:
        raise CheckError(f"no documents of {'; '.join(faults)}", "those of the other images are written")


def evidence(project: Project, images: Iterable[Pinned]) -> dict[str, str]:
    """Return what a release of these images records of their documents; nothing when they cannot be read."""
    try:
        found = planner.digests(_whole(project), [one.id for one in images])
    except OSError as error:
        note(f"the release records no bill of materials: {error.filename}: {error.strerror}")
        return {}
    return {f"sbom {name}": digest for name, digest in found.items()}


def _directory(project: Project) -> Path:
    return project.settings.reports_dir / _DIRECTORY / project.profile.environment


def _whole(project: Project) -> tuple[Bill, ...]:
    """Return the bills whose documents are there as they were written."""
    return tuple(
        one
        for one in planner.bills(read_json(_directory(project) / _INDEX))
        if all(_digest(project, each) == each.digest for each in one.documents)
    )


def _digest(project: Project, one: Document) -> str:
    try:
        data = read_report(project.settings.reports_dir / one.file, one.file)
    except CheckError:
        return ""
    return planner.digest(data) if data is not None else ""


def _make(project: Project, tool: str, stamp: str, subjects: list[Subject]) -> dict[Subject, Bill | str]:
    limit, settings = project.profile.duration("SCAN_TIMEOUT"), scan_tools.plain()

    def work(directory: str) -> tuple[Command, ...]:
        return tuple(scan_planner.document(tool, directory, kind, settings) for kind in planner.KINDS)

    def collect(subject: Subject, directory: Path, ended: Ended) -> Bill | str:
        if ended.code:
            return f"{subject.reference}: {scan_planner.failed(ended.code, ended.text, limit).fault}"
        try:
            return _kept(project, subject, stamp, directory)
        except CheckError as error:
            return error.message

    return run_all(project, subjects, work, collect)


def _kept(project: Project, subject: Subject, stamp: str, directory: Path) -> Bill:
    image = project.engine.image(subject.id)
    target = _directory(project)
    target.mkdir(parents=True, exist_ok=True)
    documents, packages = [], 0
    for kind in planner.KINDS:
        data = read_report(directory / kind, subject.reference) or b""
        text, packages = planner.written(kind, data, subject, image.created if image else "")
        path = target / planner.file_name(subject, kind)
        fresh = path.with_name(f".{path.name}")
        fresh.write_bytes(text)
        fresh.replace(path)
        name = str(path.relative_to(project.settings.reports_dir))
        documents.append(Document(kind, name, planner.digest(text)))
    return Bill(subject.services, subject.reference, subject.id, packages, stamp, tuple(documents))
