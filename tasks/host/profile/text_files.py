"""Writes small text files atomically."""

import errno
import os
import tempfile
from pathlib import Path

from ...model.errors import InputError


def replace_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a file atomically, with ``mode`` or that of the file that is there; a symbolic link stays one.

    Raises OSError for what is no regular file: a file in the place of /dev/null would break the whole machine.
    """
    if mode is None:
        mode = path.stat().st_mode & 0o777
    target = path.resolve()
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
