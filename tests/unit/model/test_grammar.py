"""What the profile grammar accepts, and what it says about the rest."""

import pytest

from tasks.model.profile.grammar import Entry, assignment_line, parse

ACCEPTED = {
    b"A=b": "b",
    b"A=": "",
    b"A=  ": "",
    b"  A=b\t": "b",
    b"export A=b": "b",
    b"A=b # why": "b",
    b"A=b#c": "b#c",
    b"A=a=b": "a=b",
    b"A=docker-compose.yml:docker-compose.dev.yml": "docker-compose.yml:docker-compose.dev.yml",
    b"A=*/5": "*/5",
    b"A=a~": "a~",
    "A=é".encode(): "é",
    b"A=''": "",
    b"A='a b'": "a b",
    b"A='pa$word' # it's": "pa$word",
    b"A='a\\b'": "a\\b",
    b"A='a # b'": "a # b",
    b'A="it\'s"': "it's",
    b'A="say \\"a\\\\b\\""': 'say "a\\b"',
}

REFUSED = {
    b"A=$HOME": "A: unquoted '$': write A='…'",
    b"A=a b": "A: blank in an unquoted value: write A='…'",
    b"A=it's": 'A: unquoted "\'": write A="…"',
    b"A=a\\b": "A: unquoted '\\\\': write A='…'",
    b"A=a;b": "A: unquoted ';': write A='…'",
    b"A=~/x": "A: '~' that the shell would replace",
    b"A=x:~/y": "A: '~' that the shell would replace",
    b"A=b\t# c": "A: tab before the comment: write a space before #",
    b"A= # c": "A: blank after '='",
    b"A =b": "A: blank before '=': write A=value",
    b"A= b": "A: blank after '='",
    b"A\tB=c": "tab in the key",
    b"A B=c": "blank in the key",
    b"=c": "no key before '='",
    b"A-B=c": "'A-B' is not a variable name",
    b"1A=c": "'1A' is not a variable name",
    b"A": "no '=': write A=value",
    b"A: b": "no '=': write A=value",
    b"export A": "no '=': write A=value",
    b"A='b": "A: unterminated quote: end the value with ' on the same line",
    b'A="b': 'A: unterminated quote: end the value with " on the same line',
    b"A='b'c": "A: text right after the closing quote",
    b"A='b' c": "A: text after the closing quote",
    b"A='${B}'": "A: '${' in quotes: python-dotenv would replace it",
    b"A='a\\\\b'": "A: backslash before a backslash or at the end",
    b"A='a\\'": "A: backslash before a backslash or at the end",
    b'A="$B"': "A: '$' in \"…\": the shell would replace it; write '…'",
    b'A="`b`"': "A: backquote in \"…\": the shell would run it; write '…'",
    b'A="a\\nb"': "A: backslash in \"…\": write '…', or double every backslash",
    b"A=b\r": "CRLF line end: save the file with LF line ends",
    b"A=\x07": "control character U+0007: remove it",
    b"# \x1b[2J": "control character U+001B: remove it",
    b"\xef\xbb\xbfA=b": "byte order mark at the start",
    b"A=\xff": "byte 0xff is not UTF-8",
    b"A=\0": "NUL byte: this is a binary file",
    b"IFS=x": "IFS: this name belongs to the shell",
    b"_=x": "_: this name belongs to the shell",
    b"PATH=x": "PATH: this name belongs to the shell",
    b"BASH_ENV=x": "BASH_ENV: this name belongs to the shell",
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_an_accepted_line_has_the_value_that_all_readers_agree_on(text: bytes) -> None:
    parsed = parse("f.env", text)
    assert not parsed.faults
    assert [entry.value for entry in parsed.entries] == [ACCEPTED[text]]


@pytest.mark.parametrize("text", REFUSED)
def test_a_refused_line_is_reported_with_how_to_write_it(text: bytes) -> None:
    (fault,) = parse("f.env", b"# first\n" + text if not text.startswith(b"\xef") else text).faults
    assert fault.where == ("f.env:1" if text.startswith(b"\xef") else "f.env:2")
    assert fault.message.startswith(REFUSED[text])


def test_a_duplicate_key_names_the_line_of_the_first() -> None:
    parsed = parse("f.env", b"A=1\nB=2\nA=3\n")
    assert [str(fault) for fault in parsed.faults] == ["f.env:3: A: already set on line 1: keep one of the two"]


def test_all_faults_of_a_file_are_reported_in_the_order_of_its_lines() -> None:
    parsed = parse("f.env", b"A=$x\nB=ok\nC=a b\nA\n")
    assert [fault.where for fault in parsed.faults] == ["f.env:1", "f.env:3", "f.env:4"]
    assert [entry.key for entry in parsed.entries] == ["B"]


def test_crlf_is_one_fault_however_many_lines_have_it() -> None:
    parsed = parse("f.env", b"A=1\r\nB=2\r\nC=a b\r\n")
    assert [str(fault) for fault in parsed.faults] == [
        "f.env:1: CRLF line end (and on 2 more): save the file with LF line ends",
        "f.env:3: C: blank in an unquoted value: write C='…'",
    ]


def test_a_refused_value_is_never_repeated() -> None:
    for text in (
        b"PASSWORD=hunter2 x",
        b"PASSWORD='hunter2",
        b"PASSWORD=hunter2$",
        b'PASSWORD="hunter2`"',
        b"P D=hunter2",
    ):
        (fault,) = parse("f.env", text).faults
        assert "hunter2" not in str(fault)


def test_a_multi_line_value_is_refused_where_it_begins() -> None:
    first, *_ = parse("f.env", b"A='one\ntwo'\n").faults
    assert str(first) == "f.env:1: A: unterminated quote: end the value with ' on the same line"


@pytest.mark.parametrize(
    "value",
    ["", "b", "a b", "a # b", "#b", "pa$word", "it's", 'say "x"', 'it\'s "here"', "back\\slash", "~", "ä ö", " b "],
)
def test_a_value_is_written_as_it_is_read(value: str) -> None:
    assert parse("", assignment_line("A", value).encode()).entries == (Entry("A", value, 1),)


@pytest.mark.parametrize("value", ["two\nlines", "it's ${HOME}", "a\x1bb"])
def test_a_value_that_the_grammar_has_no_line_for_is_not_written(value: str) -> None:
    assert assignment_line("A", value) == ""


def test_a_key_of_the_shell_is_not_written() -> None:
    assert assignment_line("HOME", "/srv") == ""
