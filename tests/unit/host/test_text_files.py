"""Text files that are written as a whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from tasks.host.profile.text_files import replace_text


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_gets_its_text_and_mode_and_nothing_else_is_left(tmp_path: Path) -> None:
    replace_text(tmp_path / "a", "ä\r\n", 0o640)
    replace_text(tmp_path / "a", "b\n")
    assert (names(tmp_path), (tmp_path / "a").read_bytes()) == (["a"], b"b\n")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("old")
    (tmp_path / "link").symlink_to("real/a")
    replace_text(tmp_path / "link", "new", 0o644)
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real" / "a").read_text()) == (True, "new")


def test_what_another_writer_of_this_process_has_begun_is_left_to_it(tmp_path: Path) -> None:
    begun = tmp_path / f".a.{os.getpid()}"
    begun.write_text("half")
    replace_text(tmp_path / "a", "whole", 0o644)
    assert ((tmp_path / "a").read_text(), begun.read_text()) == ("whole", "half")
    assert names(tmp_path) == [begun.name, "a"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file") as raised:
        replace_text(tmp_path / "pipe", "text", 0o644)
    assert raised.value.errno == errno.EINVAL
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_text(tmp_path / "directory", "text", 0o644)
    assert names(tmp_path) == ["directory", "pipe"]
