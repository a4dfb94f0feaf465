"""The vulnerability database: imported whole or not at all. It is a fixture (see tests/e2e/advisories)."""

import io
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .advisories import Fixture
from .advisories.project import Planted, make
from .advisories.publish import publish
from .registries import IMAGE, build_image, registry
from .starting import Started
from .support import docker


@pytest.fixture
def shop(tmp_path: Path) -> Planted:
    """A project whose database is its own."""
    return make(tmp_path, "scan-db")


@pytest.fixture
def archive(tmp_path: Path, advisories: Fixture) -> Path:
    """The database as it is published."""
    path = tmp_path / "db.tar.gz"
    path.write_bytes(advisories.archive())
    return path


@pytest.fixture(scope="module")
def registry_image() -> Iterator[None]:
    build_image()
    yield
    docker("image", "rm", IMAGE, check=False)


def shown(shop: Planted) -> dict[str, object]:
    """Return what `scan.db` reports of the database, without its age, which grows."""
    return {key: value for key, value in shop.json("scan.db")["advisories"].items() if key != "age"}


def test_there_is_none_and_that_is_said(shop: Planted) -> None:
    assert shop.json("scan.db")["advisories"] is None
    assert "no vulnerability database" in shop.inv("scan.db").stderr


def test_an_archive_is_imported_and_shown(shop: Planted, archive: Path) -> None:
    shop.inv("scan.db", "--import", str(archive))

    document = shop.json("scan.db")
    assert (document["advisories"]["version"], document["advisories"]["old"]) == (2, False)
    assert document["advisories"]["source"] == str(archive)
    assert document["directory"] == str(shop.project_dir.parent / "cache" / "slipway" / "trivy-db")


def test_a_directory_is_imported_where_the_profile_says(shop: Planted, advisories: Fixture, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "trivy.db").write_bytes(advisories.data)
    (source / "metadata.json").write_bytes(advisories.metadata(days=9))

    shop.inv("scan.db", "--import", str(source), SCAN_DB_DIR=str(tmp_path / "kept"))

    result = shop.inv("scan.db", SCAN_DB_DIR=str(tmp_path / "kept"))
    assert "its advisories are 9 days old (SCAN_DB_MAX_AGE)" in result.stderr
    assert "old" not in shop.inv("scan.db", SCAN_DB_DIR=str(tmp_path / "kept"), SCAN_DB_MAX_AGE="30d").stderr


def test_a_registry_of_our_own_serves_it(
    shop: Planted, advisories: Fixture, tmp_path: Path, registry_image: None
) -> None:
    with registry(tmp_path) as place:
        name = publish(place, "trivy-db", "2", advisories.archive())
        shop.inv("scan.db", "--import", name)
        before = shown(shop)
        assert before["source"] == name
        # The artifact is not a database: the database that was imported stays.
        broken = publish(place, "trivy-db", "3", b"garbage")
        said = shop.inv("scan.db", "--import", broken, code=3).stderr
        assert f"the vulnerability database could not be downloaded from {broken}" in said
    assert "could not be downloaded" in shop.inv("scan.db", "--import", name, code=3).stderr
    assert shown(shop) == before


def cut(data: bytes) -> bytes:
    """Return the first half of some bytes."""
    return data[: len(data) // 2]


def packed(**files: bytes) -> bytes:
    """Return an archive of files; ``_`` in a name stands for a dot."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def test_a_broken_file_leaves_the_old_database(shop: Planted, advisories: Fixture, archive: Path) -> None:
    shop.inv("scan.db", "--import", str(archive))
    before = shown(shop)
    said = advisories.metadata()
    other = archive.with_name("other.tar.gz")
    for data, reason in (
        (cut(archive.read_bytes()), "is not a complete archive"),
        (b"garbage", "is not a complete archive"),
        (b"", "is not a complete archive"),
        (packed(trivy_db=advisories.data), "there is no metadata.json in it"),
        (packed(metadata_json=said), "there is no trivy.db in it"),
        (packed(trivy_db=advisories.data, metadata_json=b"{}"), "metadata.json is not that of"),
        (packed(trivy_db=b"\0" * 65536, metadata_json=said), "trivy.db is not a vulnerability database"),
        # The scanner itself accepts this file, and finds nothing with it.
        (packed(trivy_db=advisories.data[:20000], metadata_json=said), "trivy.db is cut short"),
        (packed(trivy_db=advisories.data[:8192] + b"\xff" * (len(advisories.data) - 8192), metadata_json=said), "read"),
    ):
        other.write_bytes(data)
        assert reason in shop.inv("scan.db", "--import", str(other), code=2).stderr
    assert shown(shop) == before
    kept = (shop.project_dir.parent / "cache" / "slipway" / "trivy-db").glob("[!.]*")
    assert len(list(kept)) == 2  # the database, and the link to it
    assert shop.temporary == []


def test_imports_at_the_same_time_leave_a_whole_database(shop: Planted, archive: Path) -> None:
    command, environment = shop.command("scan.db", "--import", str(archive)), shop.environment()
    running = [Started(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(4)]

    assert [process.wait(60) for process in running] == [0] * 4
    assert shown(shop)["source"] == str(archive)


def test_a_database_that_was_changed_afterwards_is_not_used(shop: Planted, archive: Path) -> None:
    shop.inv("scan.db", "--import", str(archive))
    path = next(shop.project_dir.parent.glob("cache/slipway/trivy-db/*/db/trivy.db"))
    path.write_bytes(path.read_bytes()[:20000])

    assert "is not the database that was imported" in shop.inv("scan.db", code=2).stderr


def test_an_import_that_is_stopped_leaves_nothing(shop: Planted, tmp_path: Path) -> None:
    fake = tmp_path / "tools" / "trivy"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nexec sleep 600\n")
    fake.chmod(0o755)
    command = shop.command("scan.db", "--update")
    environment = shop.environment(SCAN_TOOLS=str(fake.parent))
    with Started(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "began").exists() and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list((shop.project_dir.parent / "cache" / "slipway" / "trivy-db").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--import", "nosuch.tar.gz"), "neither a file nor a reference"),
        (("--import", "a b"), "neither a file nor a reference"),
        (("--import", "x", "--update"), "two sources"),
    ],
)
def test_bad_arguments_are_bad_input(shop: Planted, words: tuple[str, ...], reason: str) -> None:
    assert reason in shop.inv("scan.db", *words, code=2).stderr
