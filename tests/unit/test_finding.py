from tasks.plan.finding import Finding, merged, printable


def test_the_worse_of_two_reports_of_the_same_thing_stays_and_the_worst_come_first() -> None:
    twice = [
        Finding("CVE-1", "low", "trivy", "app: zlib 1.2", "as one tool sees it"),
        Finding("CVE-1", "high", "govulncheck", "app: zlib 1.2", "as another does"),
        Finding("DL3006", "critical", "hadolint", "Dockerfile:1", "no tag"),
        Finding("CVE-1", "low", "trivy", "web: zlib 1.2", "another place"),
    ]
    assert [(one.id, one.severity, one.where) for one in merged(twice)] == [
        ("DL3006", "critical", "Dockerfile:1"),
        ("CVE-1", "high", "app: zlib 1.2"),
        ("CVE-1", "low", "web: zlib 1.2"),
    ]


def test_what_a_scanner_quotes_never_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\r\nc\u202ed ü 漢") == "a\\x1b[2Jb\\r\\nc\\u202ed ü 漢"
