"""Files of metrics for the node exporter: in the volume that monitoring reads, and in a directory of this machine.

There is a file for each thing that is told at a moment of its own; together they are what is known of an environment.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ..host.output import WARNING, note
from ..host.project import Project
from ..model.engine.facts import MONITORS_LABEL, monitoring_project
from ..model.errors import RefusedError, SlipwayError

OUTCOME, LOCK, DRIFT, BACKUP, DATABASE, GITOPS = (
    "", "-lock", "-drift", "-backup", "-vulnerability-database", "-gitops",
)  # fmt: skip
_EXPORTER, _TARGET = "node-exporter", "/textfile"


class Textfiles:
    """The files of an environment: in a directory ("": none), and in a volume, with an image to reach it by."""

    def __init__(self, project: Project, directory: str, volume: tuple[str, str] | None) -> None:
        self.project, self._directory, self._volume = project, directory, volume
        self.labels = {"project": project.stack.project, "environment": project.profile.environment}

    def apart(self) -> "Textfiles":
        """Return the same files, reached by a connection of its own, for another thread."""
        return Textfiles(self.project.apart(), self._directory, self._volume)

    def put(self, texts: Mapping[str, str]) -> None:
        """Replace files, by what they tell; raises RefusedError when nothing can be written."""
        files = {f"slipway-{self.project.stack.project}{told}.prom": text for told, text in texts.items()}
        for name, text in files.items() if self._directory else ():
            _write_file(Path(self.project.settings.root, self._directory), name, text)
        if self._volume:
            _fill(self.project, self._volume, files)


def find(project: Project) -> Textfiles | None:
    """Return the files of an environment, None where nobody reads them.

    They are in DEPLOY_METRICS_DIR, and in the volume that the node exporter of the stack's monitoring reads.
    """
    directory, volume = project.profile.text("DEPLOY_METRICS_DIR"), None
    with contextlib.suppress(SlipwayError):  # the engine is away, which the task itself will say
        volume = _volume(project)
    return Textfiles(project, directory, volume) if directory or volume else None


def _volume(project: Project) -> tuple[str, str] | None:
    """Return the volume that the node exporter reads, and its image; None where the stack is not monitored."""
    for container in project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}"):
        if container.service == _EXPORTER:
            for name, target in container.mounted:
                if target == _TARGET:
                    return name, container.image_id
    return None


def warned(files: Textfiles, texts: Mapping[str, str]) -> None:
    """Replace files; where that cannot be done, it is a warning, since the work of the task is done."""
    try:
        files.put(texts)
    except SlipwayError as error:
        note(f"monitoring was not told: {error.message}", WARNING)


def _write_file(directory: Path, name: str, text: str) -> None:
    """Write a file under another name, and rename it: the exporter never reads half of it."""
    aside = directory / f".{name}.{os.getpid()}"
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(directory / name)
    except OSError as error:
        raise RefusedError(
            f"{directory}: {error.strerror or error}", "DEPLOY_METRICS_DIR is a directory that this user may write to"
        ) from None


def _fill(project: Project, volume: tuple[str, str], files: Mapping[str, str]) -> None:
    import io  # only where something is told
    import tarfile

    from ..host.engine.container_files import VolumeFiles

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text.encode()), 0o644, int(time.time())
            tar.addfile(entry, io.BytesIO(text.encode()))
    owner = {"com.docker.compose.project": monitoring_project(project.stack.project)}
    VolumeFiles(project.engine, volume[1], owner).put(volume[0], archive.getvalue())
