"""Writes a directory that is made by a task as a whole, and leaves alone what it has not made."""

from collections.abc import Mapping
from pathlib import Path

from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..model.errors import InputError, RefusedError
from ..model.record import Record

_SHOWN = 5


class FilesWritten(Record):
    """What writing did: how many files were written anew, removed, and found as they should be."""

    written: int
    removed: int
    kept: int


class MadeDirectory:
    """A directory in which every file has the ``mark`` of the task that makes it."""

    def __init__(self, directory: Path, mark: str, task: str) -> None:
        self.directory, self._mark, self._task = directory, mark, task

    def files(self) -> dict[str, str]:
        """Return the texts of the files by their paths; raises RefusedError for files that are not of the task."""
        if self.directory.is_symlink() or (self.directory.exists() and not self.directory.is_dir()):
            raise InputError(f"--out {self.directory}: not a directory", "name one that is, or that is not there yet")
        found, foreign = {}, []
        for path in sorted(self.directory.rglob("*")) if self.directory.is_dir() else ():
            name = str(path.relative_to(self.directory))
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                foreign.append(name)
            elif path.is_file():
                text = _text(path)
                found[name] = text
                foreign += [] if self._mark in text else [name]
        if foreign:
            more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
            raise RefusedError(
                f"{self.directory}: {self._task} did not write {', '.join(foreign[:_SHOWN])}{more}",
                "name another directory with --out, or take these files away",
            )
        return found

    def write(self, project: Project, wanted: Mapping[str, str]) -> FilesWritten:
        """Write the files that are not as they should be, and remove those that should not be there any more.

        In a dry run only show which. Raises RefusedError as ``files`` does, before anything is written, and when the
        directory cannot be written.
        """
        there = self.files()
        changed = {name: text for name, text in wanted.items() if there.get(name) != text}
        gone = [name for name in there if name not in wanted]
        if project.runner.dry:
            for verb, names in (("write", changed), ("remove", gone)):
                for name in names:
                    project.runner.show(f"{verb} {self.directory / name}")
            return FilesWritten(0, 0, len(there))
        try:
            self._replace(changed)
            self._remove(gone)
        except OSError as error:
            raise RefusedError(
                f"{error.filename or self.directory}: {error.strerror}", "name a directory that can be written"
            ) from None
        return FilesWritten(len(changed), len(gone), len(wanted) - len(changed))

    def _replace(self, changed: Mapping[str, str]) -> None:
        for parent in sorted({(self.directory / name).parent for name in changed}):
            parent.mkdir(parents=True, exist_ok=True)
        for name, text in changed.items():
            replace_text(self.directory / name, text, 0o644)

    def _remove(self, gone: list[str]) -> None:
        for name in gone:
            (self.directory / name).unlink()
        for parent in sorted({(self.directory / name).parent for name in gone}, reverse=True):
            if parent != self.directory and not any(parent.iterdir()):
                parent.rmdir()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
