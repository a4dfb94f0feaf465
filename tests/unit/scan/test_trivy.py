"""Image scans: which images, the trivy command, and how its report is read."""

import json
from typing import Any

import pytest
from support import image, stack

from tasks.model.errors import CheckError, RefusedError
from tasks.model.finding import CLEAN, CRITICAL, FOUND, HIGH, INVALID, SKIPPED, UNCHECKED, UNKNOWN
from tasks.scan.plan.images import (
    ImageReport,
    Outcome,
    Subject,
    evidence,
    failed,
    key,
    needs_java_index,
    parse,
    restored,
    scan,
    scans,
    stored,
    subjects,
    without_index,
)

UPDATED = "2026-05-06T06:00:00Z"
WEB = Subject("shop/web:1", "sha256:a", ("web", "worker"))
DB = Subject("postgres:17", "sha256:b", ("db",))


def answer(*results: dict[str, Any], **top: Any) -> bytes:
    """Return a report as trivy 0.76 prints it."""
    head = {"SchemaVersion": 2, "ArtifactType": "container_image", "ArtifactName": "image.tar"}
    return json.dumps({**head, "Trivy": {"Version": "0.76.0"}, "Results": list(results), **top}).encode()


def go(severity: str = "HIGH", fixed: str = "0.3.7") -> dict[str, Any]:
    """Return the result of a Go program with a vulnerable module."""
    vulnerability = {
        "VulnerabilityID": "CVE-2021-38561",
        "PkgName": "golang.org/x/text",
        "InstalledVersion": "v0.3.5",
        "FixedVersion": fixed,
        "Status": "fixed" if fixed else "will_not_fix",
        "Title": "out-of-bounds read",
        "Severity": severity,
    }
    packages = [{"Name": "golang.org/x/text"}, {"Name": "stdlib"}]
    return {"Target": "usr/bin/web", "Class": "lang-pkgs", "Packages": packages, "Vulnerabilities": [vulnerability]}


def secret(target: str) -> dict[str, Any]:
    """Return the result of a file with a key in it."""
    entry = {"RuleID": "aws-access-key-id", "Severity": "CRITICAL", "Title": "AWS Access Key ID", "StartLine": 3}
    return {"Target": target, "Class": "secret", "Secrets": [entry]}


def test_every_image_is_scanned_once_pulled_images_too() -> None:
    shop = stack(
        {
            "web": {"image": "shop/web:1", "build": {"context": "."}},
            "worker": {"image": "shop/web:1", "build": {"context": "."}},
            "db": {"image": "postgres:17"},
        }
    )

    images = subjects(shop, {"shop/web:1": image("sha256:a"), "postgres:17": image("sha256:b")}, "dev")

    assert set(images) == {WEB, DB}


def test_missing_images_are_one_line_that_says_how_to_get_them() -> None:
    shop = stack({"web": {"image": "shop/web:1", "build": {"context": "."}}, "db": {"image": "postgres:17"}})

    with pytest.raises(RefusedError) as caught:
        subjects(shop, {}, "staging")

    assert caught.value.message == "not on the engine: postgres:17, shop/web:1"
    assert caught.value.hint == "inv build --env staging && docker pull postgres:17"


def test_a_scan_downloads_nothing() -> None:
    words = scan("trivy", "/tmp/x", "/cache/db", "/rules.yaml", {"TRIVY_SEVERITY": ""}).argv

    assert {"--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check"} <= set(words)
    assert words[words.index("--scanners") + 1] == "vuln,secret"


def test_without_a_database_only_secrets_are_looked_for() -> None:
    words = scan("trivy", "/tmp/x", "", "/rules.yaml", {}).argv

    assert words[words.index("--scanners") + 1] == "secret"
    assert "--cache-dir" not in words


def test_a_vulnerable_module_is_a_finding_with_its_fix() -> None:
    report = parse(answer(go()))

    assert report.version == "0.76.0"
    assert report.packages == 2
    assert report.vulnerabilities is not None
    finding = report.vulnerabilities[0]
    assert (finding.id, finding.severity, finding.fixed_in) == ("CVE-2021-38561", HIGH, "0.3.7")
    assert finding.where == "golang.org/x/text v0.3.5 (usr/bin/web)"
    assert finding.advice == "update golang.org/x/text to 0.3.7 and build the image again"


def test_a_vulnerability_without_a_fixed_version_says_so() -> None:
    report = parse(answer(go("NEGLIGIBLE", "")))

    assert report.vulnerabilities is not None
    assert report.vulnerabilities[0].advice == "there is no fixed version (will not fix)"
    assert report.vulnerabilities[0].severity == UNKNOWN


def test_a_secret_in_a_file_and_in_the_configuration_is_found() -> None:
    report = parse(answer(secret("/app/key"), secret("image.tar")))

    assert [finding.where for finding in report.secrets] == ["/app/key:3", "image configuration"]
    assert report.secrets[0].severity == CRITICAL


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        answer(SchemaVersion=3),
        answer(ArtifactType="filesystem"),
        answer({"Vulnerabilities": [{}]}),
        answer(Results={"a": 1}),
        answer(Results=["a"]),
        b"[" * 100_000,
    ],
)
def test_other_data_than_a_report_of_trivy_is_refused(data: bytes) -> None:
    with pytest.raises(CheckError):
        parse(data)


def test_a_stored_result_is_read_again_for_the_same_image_only() -> None:
    report = parse(answer(go(), secret("/app/key")))
    data = json.loads(json.dumps(stored("sha256:a", report, {"updated": UPDATED})))

    assert restored(data, "sha256:a") == report
    assert restored(data, "sha256:b") is None
    assert restored({**data, "secrets": [{"id": 1}]}, "sha256:a") is None
    assert restored(None, "sha256:a") is None


def test_a_result_depends_on_image_database_and_tool() -> None:
    keys = {key(*parts) for parts in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x")]}

    assert len(keys) == 4


def test_findings_name_all_services_that_run_the_image() -> None:
    vulnerabilities, secrets = scans({WEB: Outcome(parse(answer(go(), secret("/k"))))}, UPDATED, "")

    assert (vulnerabilities.outcome, vulnerabilities.database, vulnerabilities.version) == (FOUND, UPDATED, "0.76.0")
    assert vulnerabilities.findings[0].where.startswith("web, worker: golang.org/x/text")
    assert (secrets.outcome, secrets.findings[0].where) == (FOUND, "web, worker: /k:3")


def test_a_failure_for_one_image_makes_the_scan_invalid() -> None:
    vulnerabilities, secrets = scans({WEB: Outcome(parse(answer(go()))), DB: failed(2, "x FATAL y", 60)}, UPDATED, "")

    assert (vulnerabilities.outcome, vulnerabilities.reason) == (INVALID, "postgres:17: exit code 2: y")
    assert len(vulnerabilities.findings) == 1
    assert secrets.outcome == INVALID


def test_without_a_database_only_secrets_can_be_clean() -> None:
    vulnerabilities, secrets = scans({WEB: Outcome(ImageReport("0.76.0", 0, None, ()))}, "", "no database")

    assert (vulnerabilities.outcome, vulnerabilities.reason, vulnerabilities.database) == (UNCHECKED, "no database", "")
    assert secrets.outcome == CLEAN


def test_an_old_database_is_reported_with_the_result() -> None:
    vulnerabilities, _ = scans(
        {WEB: Outcome(parse(answer({"Packages": [{}]})))}, UPDATED, "its advisories are 14 days old"
    )

    assert (vulnerabilities.outcome, vulnerabilities.reason) == (CLEAN, "its advisories are 14 days old")


def test_an_image_without_recognised_packages_is_reported() -> None:
    vulnerabilities, _ = scans({WEB: Outcome(parse(answer()))}, UPDATED, "")

    assert (vulnerabilities.outcome, vulnerabilities.reason) == (CLEAN, "no packages recognised in shop/web:1")


def test_java_archives_without_their_index_are_not_checked() -> None:
    assert needs_java_index("post analysis error: Unable to initialize the Java DB: Java DB update failed")
    vulnerabilities, secrets = scans({WEB: without_index(ImageReport("0.76.0", 1, None, ()))}, UPDATED, "")

    assert vulnerabilities.outcome == UNCHECKED
    assert "Java" in vulnerabilities.reason
    assert secrets.outcome == CLEAN


def test_a_stack_without_images_is_skipped() -> None:
    assert [scan.outcome for scan in scans({}, UPDATED, "")] == [SKIPPED, SKIPPED]


@pytest.mark.parametrize(("code", "words"), [(124, "SCAN_TIMEOUT"), (137, "memory"), (1, "exit code 1")])
def test_the_reason_of_a_failed_scan_is_reported(code: int, words: str) -> None:
    assert words in failed(code, "", 90).fault


def test_a_release_records_the_scanner_and_its_database() -> None:
    results = scans({WEB: Outcome(parse(answer()))}, UPDATED, "")

    assert evidence(results, [WEB]) == f"passed: 1 image, trivy 0.76.0, advisories of {UPDATED}"
    results = scans({WEB: Outcome(ImageReport("0.76.0", 0, None, ()))}, "", "no database")
    assert evidence(results, [WEB, DB]) == "passed: 2 images, trivy 0.76.0, vulnerabilities not checked"


def test_an_operating_system_that_trivy_does_not_know_is_not_checked() -> None:
    log = '2026-05-06T06:00:00Z\tWARN\tThis OS version is not on the EOL list\tfamily="debian" version="15"\n'
    data = answer({"Packages": [{}]}, Metadata={"OS": {"Family": "debian", "Name": "15.1"}})
    vulnerabilities, secrets = scans({WEB: Outcome(parse(data, log))}, UPDATED, "")

    assert (vulnerabilities.outcome, vulnerabilities.reason) == (
        UNCHECKED,
        "shop/web:1: debian 15.1 is not known to trivy",
    )
    assert secrets.outcome == CLEAN
    # Without a request for vulnerabilities this is no gap.
    assert parse(data, log, False).gap == ""


def test_an_operating_system_without_updates_is_reported() -> None:
    data = answer({"Packages": [{}]}, Metadata={"OS": {"Family": "debian", "Name": "9", "EOSL": True}})
    vulnerabilities, _ = scans({WEB: Outcome(parse(data))}, UPDATED, "")

    assert (vulnerabilities.outcome, vulnerabilities.reason) == (
        CLEAN,
        "shop/web:1: debian 9 gets no security updates any more",
    )
