"""What was found when the last release was scanned, to tell what is new since."""

from ..plan.scan import SCHEMA, known
from . import reports
from .output import note
from .project import Project
from .records import current
from .reports import Run
from .scan_reports import DOCUMENT


def find(project: Project, run: Run) -> frozenset[tuple[str, str]] | None:
    """Return what the findings of the last release are known by, None (which is said) when no report has them."""
    last = current(project)
    if last is None or not last.commit:
        note("--new: there is no release of this environment: every finding counts as new")
        return None
    name, release = f"release {last.id} ({last.version})", (SCHEMA, project.stack.project, last.commit)
    for path in sorted(project.settings.reports_dir.glob(f"*/{DOCUMENT}"), reverse=True):
        document = reports.read_json(path)
        if path.parent.name == run.id or path.parent.is_symlink() or not isinstance(document, dict):
            continue
        wanted = (document.get("schema"), document.get("project"), document.get("commit"))
        dirty = str(document.get("version", "")).endswith("-dirty")
        if wanted == release and not dirty and (found := known(document)) is not None:
            note(f"--new: compared with the scan of {name}, run {path.parent.name}")
            return found
    note(f"--new: there is no report of a scan of {name}: every finding counts as new")
    return None
