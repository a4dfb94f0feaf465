"""Digests of build contexts: content and mode count, times do not, and only what a stage takes."""

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from support import service

from tasks.build import digests
from tasks.build.digests import Digests
from tasks.build.plan.inputs import Inputs
from tasks.build.sources import inputs
from tasks.model.engine.facts import Image

LARGE = b"\0" * (5 * 2**20)


class Bases:
    """An engine that has some images."""

    def __init__(self, **images: Image) -> None:
        self._images = images

    def image(self, reference: str) -> Image | None:
        return self._images.get(reference)

    def asking(self, _asked: Iterable[Callable[[], object]]) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "context"
    (directory / "migrations").mkdir(parents=True)
    (directory / "migrations" / "1.sql").write_text("one")
    (directory / "settings").write_text("port = 1")
    dockerfile = "FROM base AS database\nCOPY settings /s\nFROM base AS migrate\nCOPY migrations /m\n"
    (directory / "Dockerfile").write_text(f"{dockerfile}FROM base AS all\nCOPY . .\n")
    return directory


def look(context: Path, *, base: Image | None = None, **build: Any) -> Inputs:
    web = service(build={"context": str(context), **build})
    return inputs([web], Bases(**({"base": base} if base else {})))["web"]  # type: ignore[arg-type]


def test_a_file_that_a_stage_does_not_take_does_not_change_it(context: Path) -> None:
    before = look(context)
    (context / "migrations" / "2.sql").write_text("two")
    after = look(context)
    assert after.digest("database") == before.digest("database")
    assert after.digest("migrate") != before.digest("migrate")
    assert after.digest("all") != before.digest("all")
    assert after.digest("no such stage") == after.contexts_digest != before.contexts_digest


@pytest.mark.parametrize("change", ["content", "mode", "Dockerfile"])
def test_what_a_stage_takes_changes_it(context: Path, change: str) -> None:
    before = look(context)
    if change == "mode":
        (context / "settings").chmod(0o600)
    else:
        file = context / ("settings" if change == "content" else "Dockerfile")
        file.write_text(f"{file.read_text()}# more\n")
    assert look(context).digest("database") != before.digest("database")


def test_where_a_link_leads_is_not_guessed(context: Path) -> None:
    (context / "real").write_text("port = 1")
    (context / "settings").unlink()
    (context / "settings").symlink_to("real")
    before = look(context)
    (context / "real").write_text("port = 2")
    assert look(context).digest("database") != before.digest("database")


@pytest.mark.parametrize(
    "base", [Image("sha256:1", triggers=True), None], ids=["it copies for what is built from it", "its name says so"]
)
def test_a_base_image_that_may_copy_itself_takes_everything(context: Path, base: Image | None) -> None:
    build = {} if base else {"additional_contexts": {"base": "docker-image://node:onbuild"}}
    before = look(context, base=base, **build)
    (context / "migrations" / "2.sql").write_text("two")
    assert look(context, base=base, **build).digest("database") != before.digest("database")


@pytest.mark.parametrize(
    ("line", "base", "same"),
    [
        ("FROM base", Image("sha256:1"), True),
        ("FROM base", Image("sha256:1", triggers=True), False),
        ("FROM base", None, False),  # only the registry could tell what it copies for what is built from it
        ("FROM scratch", None, True),
    ],
)
def test_a_stage_that_copies_nothing_is_believed_if_its_base_image_is_known(
    context: Path, line: str, base: Image | None, same: bool
) -> None:
    (context / "Dockerfile").write_text(f"{line} AS database\nUSER 70\nFROM base AS migrate\nCOPY migrations /m\n")
    before = look(context, base=base)
    (context / "migrations" / "2.sql").write_text("two")
    assert (look(context, base=base).digest("database") == before.digest("database")) is same


def test_a_base_image_is_known_by_its_content(context: Path) -> None:
    assert look(context, base=Image("sha256:1", content="c")).bases == {"base": "c"}
    assert look(context).bases == {"base": "base"}


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_the_same_content_checked_out_anew_is_the_same(context: Path, data: bytes) -> None:
    file = context / "data"
    file.write_bytes(data)
    before = look(context)
    other = context / "other"
    other.write_bytes(data)
    os.utime(other, (1, 1))
    other.replace(file)
    assert look(context) == before


def test_a_large_file_of_the_same_size_and_time_and_other_content_is_another(context: Path) -> None:
    file = context / "data"
    file.write_bytes(LARGE)
    os.utime(file, (1, 1))
    before = look(context)
    file.write_bytes(LARGE[:-1] + b"1")
    os.utime(file, (1, 1))
    assert look(context).digest("all") != before.digest("all")


def test_a_look_writes_nothing_into_the_context(context: Path) -> None:
    (context / "data").write_bytes(LARGE)

    def written() -> dict[Path, tuple[int, int, int]]:
        """Return what a write would change; a look may change the time of the last access."""
        stats = {path: path.stat() for path in context.rglob("*")}
        return {path: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats.items()}

    before = written()
    look(context)
    assert written() == before


def seen(file: Path, store: Path) -> bytes:
    """Return the digest of a file as a new process would read it, and store it."""
    digests_ = Digests(store)
    digest = digests_.digest(file, file.lstat())
    digests_.keep()
    return digest


def test_a_large_file_that_rests_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, store = tmp_path / "data", tmp_path / "cache" / "sources.json"
    file.write_bytes(LARGE)
    digest = seen(file, store)
    assert not store.exists()  # it is too young to be trusted
    monkeypatch.setattr(digests, "_RESTED", -(10**9))
    assert seen(file, store) == digest
    (key,) = json.loads(store.read_text())
    store.write_text(json.dumps({key: "ab" * 32}))
    assert seen(file, store) == b"\xab" * 32
    time.sleep(0.01)
    file.write_bytes(LARGE)
    assert seen(file, store) == digest


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": "zz"}'])
def test_a_store_that_is_not_understood_is_ignored(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_RESTED", -(10**9))
    file, store = tmp_path / "data", tmp_path / "sources.json"
    file.write_bytes(LARGE)
    store.write_text(text)
    assert seen(file, store)
    assert len(json.loads(store.read_text())) == 1


def test_without_a_place_for_the_store_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_RESTED", -(10**9))
    file = tmp_path / "data"
    file.write_bytes(LARGE)
    assert seen(file, Path("/dev/null/none/sources.json"))
