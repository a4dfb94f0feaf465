"""Temporary directories of scans, which are removed afterwards."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..host.processes import GONE, mark, state
from ..host.project import Project
from ..host.reports import Run

_PREFIX = ".scan-"
_OWNER_FILE = "holder"  # contains the mark of the process that uses the directory


@contextlib.contextmanager
def scratch(project: Project, run: Run) -> Iterator[Path]:
    """Yield a new directory that only this user can read, and remove it however the block ends.

    Directories of processes that were killed are removed first.
    """
    place = project.settings.reports_dir
    place.mkdir(parents=True, exist_ok=True)
    _remove_stale(place)
    top = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{run.id}-", dir=place))
    try:
        (top / _OWNER_FILE).write_text(mark(), encoding="utf-8")
        inside = top / "files"
        inside.mkdir()
        yield inside
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _remove_stale(place: Path) -> None:
    for path in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if state((path / _OWNER_FILE).read_text(encoding="utf-8")) == GONE:
                shutil.rmtree(path, ignore_errors=True)
