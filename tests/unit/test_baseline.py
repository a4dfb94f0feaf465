"""What a finding is compared with to tell whether it is new since the last release."""

from typing import Any

from tasks.plan import baseline
from tasks.plan.baseline import fingerprint
from tasks.plan.release import Release, from_labels

A, B = fingerprint("G204", "src/a.go:3"), fingerprint("CVE-2026-1", "web: zlib 1.3")


def release(**evidence: str) -> Release:
    """Return a release as its record is read back."""
    made = Release(7, "prod", "1.5.0", "abc", "2026-11-24T00:00:00Z", "ann", evidence=evidence)
    read = from_labels(made.labels("shop"))
    assert read is not None
    return read


def report(*known: str, **more: Any) -> dict[str, Any]:
    """Return a report of a scan."""
    about = {"schema": "s", "project": "shop", "commit": "abc", "version": "1.5.0", "kinds": ["code"]}
    return {**about, "fingerprints": list(known), **more}


def test_the_record_of_a_release_tells_what_its_scan_found_without_any_report() -> None:
    found = baseline.base(release(findings=baseline.packed({A, B})), None)
    assert found.known == {A, B}
    assert found.text == "new since release 7 (1.5.0), by its record"
    assert (found.document()["release"], found.document()["base"]) == (7, "release record")


def test_the_record_wins_over_reports_of_this_machine() -> None:
    assert baseline.base(release(findings=baseline.packed({A})), frozenset({B})).known == {A}


def test_a_scan_that_found_nothing_is_something_to_compare_with() -> None:
    assert baseline.base(release(findings=baseline.packed(())), None).known == frozenset()


def test_an_older_record_falls_back_to_the_reports_and_says_so() -> None:
    found = baseline.base(release(scan="images"), frozenset({A}))
    assert found.known == {A}
    assert "reports of its scan on this machine" in found.text
    nothing = baseline.base(release(), None)
    assert nothing.known is None
    assert "no scan is known: every finding counts as new" in nothing.text


def test_a_record_that_is_not_understood_is_not_compared_with() -> None:
    for text in ("v2:0123456789ab", "v1:short", "nonsense"):
        assert baseline.unpacked(text) is None


def test_without_a_release_everything_is_new() -> None:
    found = baseline.base(None, None)
    assert found.known is None
    assert found.text.startswith("there is no release of this environment")
    assert found.document()["release"] is None


def test_of_the_reports_of_a_commit_the_newest_of_each_kind_counts() -> None:
    documents = [report(A), report("older"), report(B, kinds=["images", "code"]), report("other", commit="def")]
    assert baseline.reported(documents, "s", "shop", "abc") == {A, B}
    assert baseline.reported([report(A, version="1.5.0-dirty"), None], "s", "shop", "abc") is None


def test_a_report_of_only_what_was_new_still_knows_all_that_was_found() -> None:
    assert baseline.known({"findings": [], "fingerprints": [A]}) == {A}
    assert baseline.known({"findings": [{"id": "G204", "where": "src/a.go:99"}]}) == {A}
