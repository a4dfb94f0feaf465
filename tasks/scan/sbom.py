"""Writes the bills of materials of ``image.sbom``, and returns their digests for a release's record."""

from collections.abc import Iterable
from pathlib import Path

from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..host.reports import read_json, read_report, write_json
from ..model.command import Command
from ..model.errors import CheckError
from ..release.plan.release import Pinned
from . import tools
from .image_archive import CommandsEnd, run_all
from .images import images_on_engine
from .plan import images, sbom
from .plan.images import Subject
from .plan.sbom import Bill, Document

_DIRECTORY, _INDEX = "sbom", "index.json"


def write(project: Project, json: bool) -> None:
    """Write the documents of every image of the profile and report them.

    Documents of the same image by the same tool are kept. Raises CheckError when an image has no documents.
    """
    subjects = images_on_engine(project)
    tool = tools.locate(project.profile, project.settings.root, "trivy")
    stamp = tools.stamp(tool)
    before = {bill.image: bill for bill in _unchanged_bills(project) if bill.tool == stamp}
    known = ((subject, before[subject.id]) for subject in subjects if subject.id in before)
    kept = {subject.id: bill for subject, bill in known if bill.services == subject.services}
    generated = _generate(project, tool, stamp, [subject for subject in subjects if subject.id not in kept])
    if project.runner.dry:
        return
    bills = [bill for subject in subjects if isinstance(bill := kept.get(subject.id) or generated[subject], Bill)]
    document = sbom.index(project.profile.environment, bills)
    write_json(_directory(project) / _INDEX, document)
    if json:
        emit_json(document)
    else:
        emit_table(("SERVICE", "IMAGE", "PACKAGES", "FILE", "DIGEST"), sbom.rows(bills))
    if faults := [fault for fault in generated.values() if isinstance(fault, str)]:
        raise CheckError(f"no documents of {'; '.join(faults)}", "the documents of the other images are written")


def evidence(project: Project, pinned: Iterable[Pinned]) -> dict[str, str]:
    """Return what a release records about the documents of these images: digests by name; {} when some are missing."""
    try:
        digests = sbom.digests(_unchanged_bills(project), [image.id for image in pinned])
    except OSError as error:
        note(f"the release records no bill of materials: {error.filename}: {error.strerror}")
        return {}
    return {f"sbom {name}": digest for name, digest in digests.items()}


def _directory(project: Project) -> Path:
    return project.settings.reports_dir / _DIRECTORY / project.profile.environment


def _unchanged_bills(project: Project) -> tuple[Bill, ...]:
    """Return the bills whose documents all exist and are unchanged since they were written."""
    return tuple(
        bill
        for bill in sbom.bills(read_json(_directory(project) / _INDEX))
        if all(_digest(project, document) == document.digest for document in bill.documents)
    )


def _digest(project: Project, document: Document) -> str:
    try:
        data = read_report(project.settings.reports_dir / document.file, document.file)
    except CheckError:
        return ""
    return sbom.digest(data) if data is not None else ""


def _generate(project: Project, tool: str, stamp: str, subjects: list[Subject]) -> dict[Subject, Bill | str]:
    limit, settings = project.profile.duration("SCAN_TIMEOUT"), tools.clean_environment()

    def work(directory: str) -> tuple[Command, ...]:
        return tuple(images.document(tool, directory, kind, settings) for kind in sbom.KINDS)

    def collect(subject: Subject, directory: Path, ended: CommandsEnd) -> Bill | str:
        if ended.code:
            return f"{subject.reference}: {images.failed(ended.code, ended.text, limit).fault}"
        try:
            return _save(project, subject, stamp, directory)
        except CheckError as error:
            return error.message

    return run_all(project, subjects, work, collect)


def _save(project: Project, subject: Subject, stamp: str, directory: Path) -> Bill:
    image = project.engine.image(subject.id)
    target = _directory(project)
    target.mkdir(parents=True, exist_ok=True)
    documents, packages = [], 0
    for kind in sbom.KINDS:
        data = read_report(directory / kind, subject.reference) or b""
        text, packages = sbom.reproducible(kind, data, subject, image.created if image else "")
        path = target / sbom.file_name(subject, kind)
        temporary = path.with_name(f".{path.name}")
        temporary.write_bytes(text)
        temporary.replace(path)
        name = str(path.relative_to(project.settings.reports_dir))
        documents.append(Document(kind, name, sbom.digest(text)))
    return Bill(subject.services, subject.reference, subject.id, packages, stamp, tuple(documents))
