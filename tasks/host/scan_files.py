"""Directories that a scan works in and that are gone afterwards."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .processes import GONE, mark, state
from .project import Project
from .reports import Run

_PREFIX = ".scan-"
_HOLDER = "holder"


@contextlib.contextmanager
def scratch(project: Project, run: Run) -> Iterator[Path]:
    """Make a directory that only we can read, and remove it however the block ends.

    What a process that was killed left behind is removed by the next.
    """
    place = project.settings.reports_dir
    place.mkdir(parents=True, exist_ok=True)
    _remove_stale(place)
    top = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{run.id}-", dir=place))
    try:
        (top / _HOLDER).write_text(mark(), encoding="utf-8")
        inside = top / "files"
        inside.mkdir()
        yield inside
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _remove_stale(place: Path) -> None:
    for path in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if state((path / _HOLDER).read_text(encoding="utf-8")) == GONE:
                shutil.rmtree(path, ignore_errors=True)
