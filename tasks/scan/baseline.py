"""Finds the findings of the last release's scan, to tell which findings are new since then."""

from ..host import reports
from ..host.output import note
from ..host.project import Project
from ..release.store import current
from .plan import baseline
from .plan.baseline import Base
from .plan.gate import SCHEMA
from .reports import DOCUMENT


def find(project: Project) -> Base:
    """Return, and print, what to compare with: the record of the serving release, else the reports on this machine."""
    last = current(project)
    base = baseline.choose_base(last, _reported(project, last.commit) if last else None)
    note(f"--new: {base.text}")
    return base


def evidence(project: Project, commit: str) -> dict[str, str]:
    """Return what a release records about the scans of its commit, {} when there was no scan."""
    fingerprints = _reported(project, commit)
    return {} if fingerprints is None else {baseline.EVIDENCE: baseline.pack(fingerprints)}


def _reported(project: Project, commit: str) -> frozenset[str] | None:
    if not commit:
        return None
    paths = sorted(project.settings.reports_dir.glob(f"*/{DOCUMENT}"), reverse=True)
    documents = (reports.read_json(path) for path in paths if not path.parent.is_symlink())
    return baseline.commit_fingerprints(documents, SCHEMA, project.stack.project, commit)
