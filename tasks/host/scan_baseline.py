"""What was found when the last release was scanned, to tell what is new since."""

from ..plan.errors import RefusedError
from ..plan.release import serving
from ..plan.scan import SCHEMA, known
from . import reports
from .output import note
from .project import Project
from .records import history
from .reports import Run
from .scan_reports import DOCUMENT


def find(project: Project, run: Run) -> frozenset[tuple[str, str]] | None:
    """Return what the findings of the last release are known by, None (which is said) when no report has them."""
    commit, name = _release(project)
    if not commit:
        note("--new: there is no release of this environment: every finding counts as new")
        return None
    for path in sorted(project.settings.reports_dir.glob(f"*/{DOCUMENT}"), reverse=True):
        document = reports.read_json(path)
        if path.parent.name == run.id or path.parent.is_symlink() or not isinstance(document, dict):
            continue
        wanted = (document.get("schema"), document.get("project"), document.get("commit"))
        dirty = str(document.get("version", "")).endswith("-dirty")
        if wanted == (SCHEMA, project.stack.project, commit) and not dirty and (found := known(document)) is not None:
            note(f"--new: compared with the scan of {name}, run {path.parent.name}")
            return found
    note(f"--new: there is no report of a scan of {name}: every finding counts as new")
    return None


def _release(project: Project) -> tuple[str, str]:
    """Return the commit and the name of the release that serves, empty without one or without an engine."""
    try:
        one = serving(history(project))
    except RefusedError:
        return "", ""
    return (one.commit, f"release {one.id} ({one.version})") if one else ("", "")
