"""A directory that a task makes: what is there already, and whose it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.host.runner import Runner
from tasks.kube.written import FilesWritten, MadeDirectory
from tasks.model.errors import InputError, RefusedError

MARK = "# made\n"


def project(dry: bool = False) -> Any:
    return SimpleNamespace(runner=Runner(dry=dry))


def made(directory: Path) -> MadeDirectory:
    return MadeDirectory(directory, MARK, "inv kube.render")


def texts(**files: str) -> dict[str, str]:
    return {name.replace("__", "/"): MARK + text for name, text in files.items()}


def test_what_is_as_it_should_be_is_not_written_again(tmp_path: Path) -> None:
    made(tmp_path).write(project(), texts(a="1", sub__b="2"))
    before = (tmp_path / "sub/b").stat()
    assert made(tmp_path).write(project(), texts(a="3", sub__b="2")) == FilesWritten(written=1, removed=0, kept=1)
    assert (tmp_path / "sub/b").stat().st_ino == before.st_ino
    assert (tmp_path / "a").read_text() == f"{MARK}3"


def test_what_is_not_made_any_more_goes_with_its_directory(tmp_path: Path) -> None:
    made(tmp_path).write(project(), texts(a="1", sub__b="2"))
    assert made(tmp_path).write(project(), texts(a="1")) == FilesWritten(written=0, removed=1, kept=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["file", "binary", "link"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, kind: str) -> None:
    made(tmp_path).write(project(), texts(a="1"))
    path = tmp_path / "mine"
    if kind == "link":
        path.symlink_to(tmp_path / "a")
    else:
        path.write_bytes(b"mine" if kind == "file" else b"\xff\x00")
    with pytest.raises(RefusedError, match="did not write mine"):
        made(tmp_path).write(project(), texts(a="2"))
    assert (tmp_path / "a").read_text() == f"{MARK}1"


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="not a directory"):
        made(tmp_path / "out").write(project(), texts(a="1"))


def test_a_dry_run_shows_what_it_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path).write(project(), texts(a="1", b="2"))
    made(tmp_path).write(project(dry=True), texts(a="3", c="4"))
    shown = capsys.readouterr().out.replace(str(tmp_path), "OUT").splitlines()
    assert shown == ["# write OUT/a", "# write OUT/c", "# remove OUT/b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
