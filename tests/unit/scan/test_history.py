"""Which versions of files the commits of a git history added."""

from tasks.scan.plan import git_history

NONE, ONE, TWO = "0" * 40, "1" * 40, "2" * 40


def raw(blob: str, path: bytes, mode: str = "100644", status: str = "A") -> bytes:
    return f":000000 {mode} {NONE} {blob} {status}".encode() + b"\0" + path + b"\0"


def log(*commits: tuple[str, bytes]) -> bytes:
    """Return the output of git log: a NUL ends each commit's line, each entry, and each path."""
    return b"".join(f"commit {name * 40}".encode() + b"\0\n" + text for name, text in commits)


def test_each_version_is_there_once_with_the_oldest_commit_that_brought_it() -> None:
    blobs = git_history.blobs(log(("b", raw(ONE, b"moved.env")), ("a", raw(ONE, b"a.env") + raw(TWO, b"b c"))), ())

    assert [(blob.id, blob.commit, blob.path) for blob in blobs] == [
        (ONE, "a" * 12, b"a.env"),
        (TWO, "a" * 12, b"b c"),
    ]


def test_present_and_deleted_versions_are_left_out() -> None:
    text = log(("a", raw(ONE, b"a") + raw(NONE, b"gone", mode="000000", status="D") + raw(TWO, b"x", mode="160000")))

    assert git_history.blobs(text, {ONE}) == ()


def test_a_path_that_looks_like_an_entry_or_a_commit_is_a_path() -> None:
    hostile = b"commit " + b"f" * 40
    blobs = git_history.blobs(log(("a", raw(ONE, hostile) + raw(TWO, b"\x1b[31m\n\xff"))), ())

    assert [blob.path for blob in blobs] == [hostile, b"\x1b[31m\n\xff"]


def test_no_path_leads_out_of_the_directory_it_is_copied_to() -> None:
    assert not any(map(git_history.is_safe_path, (b"../x", b"a/../../x", b"/etc/x", b"")))
    assert git_history.is_safe_path(b"a/..b/c")


def test_only_plain_files_are_listed() -> None:
    fields = [f"100644 {ONE} 0\ta".encode(), f"120000 {TWO} 0\tlink".encode(), f"160000 {TWO} 0\tsub".encode(), b""]

    assert git_history.regular_files(fields) == {b"a": ONE}
