"""Writes small text files atomically."""

import errno
import os
import stat
import tempfile
from pathlib import Path

from ...model.errors import InputError


def replace_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a file atomically, with ``mode`` or that of the file that is there; a symbolic link stays one.

    Raises OSError for what is no regular file: a file in the place of /dev/null would break the whole machine.
    """
    if mode is None:
        mode = path.stat().st_mode & 0o777
    target = path.resolve() if path.is_symlink() else path
    if not _replaceable(target):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    descriptor, temporary = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            os.fchmod(descriptor, mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _replaceable(target: Path) -> bool:
    """Whether there is nothing, a regular file, or a directory, which the caller is told of when it is replaced."""
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _temporary(target: Path) -> tuple[int, Path]:
    """Return the descriptor and the path of a new file beside another one.

    Its name is drawn only where that of this process is taken, as by another thread: drawing costs more than writing.
    """
    path = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path
    except FileExistsError:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        return descriptor, Path(name)


def write_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a new file atomically; raises InputError when it exists already."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        os.link(temporary, path)
    except FileExistsError as error:
        raise InputError(f"{path.name} exists already", "edit it, or choose another name") from error
    finally:
        Path(temporary).unlink()
