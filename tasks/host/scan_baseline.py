"""What was found when the last release was scanned, to tell what is new since."""

from ..plan import baseline as planner
from ..plan.baseline import Base
from ..plan.scan import SCHEMA
from . import reports
from .output import note
from .project import Project
from .records import current
from .scan_reports import DOCUMENT


def find(project: Project) -> Base:
    """Return what findings are compared with (which is said): the record of the serving release, else reports here."""
    last = current(project)
    found = planner.base(last, _reported(project, last.commit) if last else None)
    note(f"--new: {found.text}")
    return found


def evidence(project: Project, commit: str) -> dict[str, str]:
    """Return what the record of a release carries of the scans of its commit, nothing when there was none."""
    found = _reported(project, commit)
    return {} if found is None else {planner.EVIDENCE: planner.packed(found)}


def _reported(project: Project, commit: str) -> frozenset[str] | None:
    if not commit:
        return None
    paths = sorted(project.settings.reports_dir.glob(f"*/{DOCUMENT}"), reverse=True)
    documents = (reports.read_json(path) for path in paths if not path.parent.is_symlink())
    return planner.reported(documents, SCHEMA, project.stack.project, commit)
