"""The vulnerability database: its metadata, whether its file is complete, how old it is."""

import json

import pytest

from tasks.model.errors import InputError
from tasks.scan.plan.vulnerability_db import (
    AdvisoryDatabase,
    age_warning,
    fault,
    fetch,
    is_reference,
    metadata,
    read_description,
    refuse_broken,
)

NOW = "2026-05-20T06:00:00Z"
DATABASE = AdvisoryDatabase("/cache/x", 2, "2026-05-06T06:00:00Z", "", NOW, "sha256:a", 65536, "db.tar.gz")


def fnv(data: bytes) -> int:
    """Return the checksum at the end of a meta page."""
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def page(transaction: int, pages: int) -> bytes:
    """Return a meta page of a database file."""
    fields = [(0xED0CDAED, 4), (2, 4), (4096, 4), (0, 4), (3, 8), (0, 8), (2, 8), (pages, 8), (transaction, 8)]
    data = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return (bytes(16) + data + fnv(data).to_bytes(8, "little")).ljust(4096, b"\0")


def test_a_complete_database_file_is_accepted() -> None:
    refuse_broken(page(6, 8) + page(7, 9), 9 * 4096, "db")


def test_a_file_that_is_cut_short_is_refused_by_the_newer_page() -> None:
    with pytest.raises(InputError, match="cut short: 32768 of 36864 bytes"):
        refuse_broken(page(6, 8) + page(7, 9), 8 * 4096, "db")


def test_one_valid_meta_page_of_two_is_enough() -> None:
    refuse_broken(bytes(4096) + page(7, 9), 9 * 4096, "db")


@pytest.mark.parametrize("header", [b"", b"text", bytes(8192), page(6, 8)[:40], page(6, 8).replace(b"\x08", b"\x09")])
def test_a_file_that_is_no_database_is_refused(header: bytes) -> None:
    with pytest.raises(InputError, match="is not a vulnerability database"):
        refuse_broken(header, 1 << 20, "db")


def test_the_time_of_the_advisories_is_read_from_the_metadata() -> None:
    read = metadata(json.dumps({"Version": 2, "UpdatedAt": "2026-05-06T08:00:00.123456789+02:00"}), "db")

    assert read == {"version": 2, "updated": "2026-05-06T06:00:00Z", "next_update": ""}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not that of a vulnerability database"),
        ("[]", "not that of a vulnerability database"),
        ('{"Version": 2}', "not that of a vulnerability database"),
        ('{"Version": 3, "UpdatedAt": "2026-05-06T06:00:00Z"}', "of schema 3; trivy reads schema 2"),
        ('{"Version": 2, "UpdatedAt": "0"}', "does not say how old"),
    ],
)
def test_metadata_of_something_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        metadata(text, "db")


def test_a_database_is_old_past_its_limit() -> None:
    assert DATABASE.age(NOW) == 14 * 86400
    assert age_warning(DATABASE, NOW, 7 * 86400) == "its advisories are 14 days old (SCAN_DB_MAX_AGE)"
    assert age_warning(DATABASE, NOW, 14 * 86400) == ""
    assert age_warning(DATABASE, "2026-05-06T18:00:00Z", 3600) == "its advisories are 12 hours old (SCAN_DB_MAX_AGE)"


def test_the_stored_description_of_a_database_is_read_again() -> None:
    assert read_description(json.dumps(DATABASE.document()), "/cache/x") == DATABASE
    assert read_description("{}", "/cache/x") is None
    assert read_description("[]", "/cache/x") is None


@pytest.mark.parametrize("text", ["ghcr.io/aquasecurity/trivy-db:2", "localhost:5000/db", "a/b@sha256:" + "0" * 64])
def test_a_reference_to_a_registry_is_recognised(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize("text", ["", "db.tar.gz", "/tmp/db", "--cache-dir", "a b/c", "../db/x", "https://a/b"])
def test_other_texts_are_no_reference_to_a_registry(text: str) -> None:
    assert not is_reference(text)


def test_without_a_reference_the_official_database_is_fetched() -> None:
    assert "--db-repository" not in fetch("trivy", "", "/d", {}, 60).argv
    assert fetch("trivy", "a/b:2", "/d", {}, 60).argv[-2:] == ("--db-repository", "a/b:2")


def test_the_reason_of_a_failure_is_one_line() -> None:
    assert fault("x\n2026-05-06T06:00:00Z\tFATAL\tFatal error\trun error: init error: DB error: no space\n") == (
        "init error: DB error: no space"
    )
    assert fault("1 FATAL Fatal error 1 error occurred:\n\t* Get x: no such host\n\n") == "Get x: no such host"
    assert fault("") == "it does not say why"
    assert len(fault("x" * 900)) == 300
