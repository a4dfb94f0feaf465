"""The findings of the last release, to tell which findings are new since."""

from typing import Any

from tasks.release.plan.release import Release, from_labels
from tasks.scan.plan import baseline
from tasks.scan.plan.baseline import fingerprint

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


def test_the_record_of_a_release_is_compared_with_without_any_report() -> None:
    base = baseline.choose_base(release(findings=baseline.pack({A, B})), None)
    assert base.known == {A, B}
    assert base.text == "new since release 7 (1.5.0), by its record"
    assert (base.document()["release"], base.document()["base"]) == (7, "release record")


def test_the_record_wins_over_reports_of_this_machine() -> None:
    assert baseline.choose_base(release(findings=baseline.pack({A})), frozenset({B})).known == {A}


def test_a_record_without_findings_can_be_compared_with() -> None:
    assert baseline.choose_base(release(findings=baseline.pack(())), None).known == frozenset()


def test_an_older_record_falls_back_to_the_reports_and_says_so() -> None:
    base = baseline.choose_base(release(scan="images"), frozenset({A}))
    assert base.known == {A}
    assert "reports of its scan on this machine" in base.text
    nothing = baseline.choose_base(release(), None)
    assert nothing.known is None
    assert "no scan is known: every finding counts as new" in nothing.text


def test_a_record_of_an_unknown_format_is_not_compared_with() -> None:
    for text in ("v2:0123456789ab", "v1:short", "nonsense"):
        assert baseline.unpack(text) is None


def test_without_a_release_everything_is_new() -> None:
    base = baseline.choose_base(None, None)
    assert base.known is None
    assert base.text.startswith("there is no release of this environment")
    assert base.document()["release"] is None


def test_of_the_reports_of_a_commit_the_newest_of_each_kind_counts() -> None:
    documents = [report(A), report("older"), report(B, kinds=["images", "code"]), report("other", commit="def")]
    assert baseline.commit_fingerprints(documents, "s", "shop", "abc") == {A, B}
    assert baseline.commit_fingerprints([report(A, version="1.5.0-dirty"), None], "s", "shop", "abc") is None


def test_a_report_of_only_new_findings_has_the_fingerprints_of_all() -> None:
    assert baseline.report_fingerprints({"findings": [], "fingerprints": [A]}) == {A}
    assert baseline.report_fingerprints({"findings": [{"id": "G204", "where": "src/a.go:99"}]}) == {A}
