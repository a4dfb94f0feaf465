from tasks.model.finding import Finding, merged, printable


def test_of_duplicate_findings_the_worse_severity_is_kept_and_the_worst_come_first() -> None:
    findings = [
        Finding("CVE-1", "low", "trivy", "app: zlib 1.2", "as one tool sees it"),
        Finding("CVE-1", "high", "govulncheck", "app: zlib 1.2", "as another does"),
        Finding("DL3006", "critical", "hadolint", "Dockerfile:1", "no tag"),
        Finding("CVE-1", "low", "trivy", "web: zlib 1.2", "another place"),
    ]
    assert [(finding.id, finding.severity, finding.where) for finding in merged(findings)] == [
        ("DL3006", "critical", "Dockerfile:1"),
        ("CVE-1", "high", "app: zlib 1.2"),
        ("CVE-1", "low", "web: zlib 1.2"),
    ]


def test_control_characters_of_a_scanner_are_escaped() -> None:
    assert printable("a\x1b[2Jb\r\nc\u202ed ü 漢") == "a\\x1b[2Jb\\r\\nc\\u202ed ü 漢"
