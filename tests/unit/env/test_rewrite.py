"""Lines of a profile that its readers would read differently, written in the one form that they agree on."""

import pytest

from tasks.env.plan.rewrite import faulty_keys, rewriting
from tasks.model.profile.grammar import parse


@pytest.mark.parametrize(
    ("line", "value", "written"),
    [
        ("GREETING=hello world", "hello world", "GREETING='hello world'"),
        ("GREETING = hello", "hello", "GREETING=hello"),
        ("GREETING: hello", "hello", "GREETING=hello"),
        ("GREETING=hello world # to everyone", "hello world", "GREETING='hello world' # to everyone"),
        ('GREETING="a # $b"', "a # x", "GREETING='a # x'"),
        ("PASS=pa$word", "pa", "PASS=pa"),
        ("PASS=it's $1", "it's $1", ""),  # no form holds both ' and $
        ("HOMES=~/x", "~/x", "HOMES='~/x'"),
    ],
)
def test_a_line_gets_the_form_that_all_readers_agree_on(line: str, value: str, written: str) -> None:
    key = line.split("=")[0].split(":")[0].strip()
    assert faulty_keys(line) == {1: key}
    new = rewriting(line + "\n", {key: value})
    assert new.text == (written or line) + "\n"
    assert new.changes == (((1, f"{key}: rewritten"),) if written else ())
    if written:
        assert parse("", new.text.encode()).entries[0].value == value


def test_of_repeated_keys_the_last_stays_as_in_compose() -> None:
    new = rewriting("A=1\nB=2\nA=3\n", {"A": "3"})
    assert new.text == "B=2\nA=3\n"
    assert new.changes == ((1, "A: removed, line 3 sets it again"),)


def test_line_ends_and_a_byte_order_mark_are_changed_for_the_whole_file() -> None:
    new = rewriting("\ufeffA=1\r\nB=2\r\n", {})
    assert new.text == "A=1\nB=2\n"
    assert new.changes == ((1, "byte order mark removed"), (1, "line ends are LF now"))


def test_what_is_valid_and_what_compose_does_not_set_stays() -> None:
    text = "# a comment\n\nA=1 # one\nnot an assignment\nPATH=/bin\n"
    assert rewriting(text, {"PATH": "/bin"}).text == text
    assert rewriting(text, {"PATH": "/bin"}).changes == ()
