"""The database of vulnerabilities: is it one, is it whole, how old is it."""

import json

import pytest

from tasks.plan.advisories import Database, fault, fetch, is_reference, known, metadata, old, refuse_broken
from tasks.plan.errors import InputError

NOW = "2026-05-20T06:00:00Z"
FOUND = Database("/cache/x", 2, "2026-05-06T06:00:00Z", "", NOW, "sha256:a", 65536, "db.tar.gz")


def fnv(data: bytes) -> int:
    """Return the sum that ends a meta page."""
    found = 14695981039346656037
    for byte in data:
        found = (found ^ byte) * 1099511628211 % 2**64
    return found


def page(transaction: int, pages: int) -> bytes:
    """Return a meta page of a database file."""
    fields = [(0xED0CDAED, 4), (2, 4), (4096, 4), (0, 4), (3, 8), (0, 8), (2, 8), (pages, 8), (transaction, 8)]
    data = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return (bytes(16) + data + fnv(data).to_bytes(8, "little")).ljust(4096, b"\0")


def test_a_whole_file_is_one() -> None:
    refuse_broken(page(6, 8) + page(7, 9), 9 * 4096, "db")


def test_a_file_that_is_cut_short_is_refused_by_the_newer_page() -> None:
    with pytest.raises(InputError, match="cut short: 32768 of 36864 bytes"):
        refuse_broken(page(6, 8) + page(7, 9), 8 * 4096, "db")


def test_one_broken_page_of_two_is_no_broken_file() -> None:
    refuse_broken(bytes(4096) + page(7, 9), 9 * 4096, "db")


@pytest.mark.parametrize("header", [b"", b"text", bytes(8192), page(6, 8)[:40], page(6, 8).replace(b"\x08", b"\x09")])
def test_what_is_no_such_file_is_refused(header: bytes) -> None:
    with pytest.raises(InputError, match="is not a vulnerability database"):
        refuse_broken(header, 1 << 20, "db")


def test_the_age_is_read_from_what_the_scanner_writes() -> None:
    found = metadata(json.dumps({"Version": 2, "UpdatedAt": "2026-05-06T08:00:00.123456789+02:00"}), "db")

    assert found == {"version": 2, "updated": "2026-05-06T06:00:00Z", "next_update": ""}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not that of a vulnerability database"),
        ("[]", "not that of a vulnerability database"),
        ('{"Version": 2}', "not that of a vulnerability database"),
        ('{"Version": 3, "UpdatedAt": "2026-05-06T06:00:00Z"}', "of schema 3, and the scanner reads 2"),
        ('{"Version": 2, "UpdatedAt": "0"}', "does not say how old"),
    ],
)
def test_metadata_of_something_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        metadata(text, "db")


def test_a_database_gets_old() -> None:
    assert FOUND.age(NOW) == 14 * 86400
    assert old(FOUND, NOW, 7 * 86400) == "its advisories are 14 days old (SCAN_DB_MAX_AGE)"
    assert old(FOUND, NOW, 14 * 86400) == ""
    assert old(FOUND, "2026-05-06T18:00:00Z", 3600) == "its advisories are 12 hours old (SCAN_DB_MAX_AGE)"


def test_a_note_about_a_database_is_read_again() -> None:
    assert known(json.dumps(FOUND.document()), "/cache/x") == FOUND
    assert known("{}", "/cache/x") is None
    assert known("[]", "/cache/x") is None


@pytest.mark.parametrize("text", ["ghcr.io/aquasecurity/trivy-db:2", "localhost:5000/db", "a/b@sha256:" + "0" * 64])
def test_what_names_something_in_a_registry(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize("text", ["", "db.tar.gz", "/tmp/db", "--cache-dir", "a b/c", "../db/x", "https://a/b"])
def test_what_names_nothing_in_a_registry(text: str) -> None:
    assert not is_reference(text)


def test_the_official_database_is_fetched_without_a_name() -> None:
    assert "--db-repository" not in fetch("trivy", "", "/d", {}, 60).argv
    assert fetch("trivy", "a/b:2", "/d", {}, 60).argv[-2:] == ("--db-repository", "a/b:2")


def test_the_scanners_last_word_is_one_line() -> None:
    assert fault("x\n2026-05-06T06:00:00Z\tFATAL\tFatal error\trun error: init error: DB error: no space\n") == (
        "init error: DB error: no space"
    )
    assert fault("1 FATAL Fatal error 1 error occurred:\n\t* Get x: no such host\n\n") == "Get x: no such host"
    assert fault("") == "it does not say why"
    assert len(fault("x" * 900)) == 300
