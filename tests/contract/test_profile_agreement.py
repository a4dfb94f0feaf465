"""The profile grammar against the readers that it must agree with: python-dotenv, Compose and sh."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest
from dotenv import dotenv_values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.host.engine.cli_plugins import started_directly
from tasks.model.errors import InputError
from tasks.model.profile.grammar import parse
from tasks.model.profile.profile import Layer, resolve

# A home directory that no test text spells, so that an expanded ~ cannot go unseen.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nobody/home"}
BATCH = settings(max_examples=25, deadline=None)
FAST = settings(max_examples=300, deadline=None)

# Characters that have a meaning for some reader; random text would seldom contain them.
NASTY = [*"'\"\\$`#~=: \t{}()[]*?!;&|<>%@,-+_aA1\r\v\f\x85\xa0\u2028\ufeffé日😀", "${", "\\'", " #", "\t#", "''"]
EQUALS = ["=", "=", "=", "=", "=", "= ", " =", ":"]
TAILS = ["", "", "", " ", "\t", ' # it\'s "so"', "\t# $x", "#x", " \t#", "\t #"]
HEADS = ["", "", "", "", " ", "\t", "export ", " export\t", "export  "]
KEYS = ["A", "_b", "LONG_NAME2", "A.B", "2A", "É", ""]


def line_from(random: Random) -> str:
    """Return a random line that the grammar nearly refuses, or nearly accepts."""
    value = "".join(random.choices(NASTY, k=random.choice((0, 1, 1, 2, 2, 3, 5))))
    quote = random.choice(("", "'", '"'))
    closing = quote if random.random() < 0.95 else ""
    key = random.choices(KEYS, (20, 20, 20, 1, 1, 1, 1))[0]
    return f"{random.choice(HEADS)}{key}{random.choice(EQUALS)}{quote}{value}{closing}{random.choice(TAILS)}"


LINE = st.randoms(use_true_random=True).map(line_from)


def by_dotenv(path: Path) -> Mapping[str, str | None]:
    return dotenv_values(path)


def by_compose(path: Path, keys: Sequence[str]) -> Mapping[str, str]:
    """Return the value of each key as Compose interpolates it."""
    model = path.with_name("compose.yml")
    fields = "".join(f'  {key}: "${{{key}-not set}}"\n' for key in keys)
    model.write_text("name: agreement\nservices: {a: {image: scratch}}\nx-values:\n  _none: x\n" + fields)
    words = ("docker", "compose", "--env-file", str(path), "-f", str(model), "config", "--format", "json")
    done = subprocess.run(started_directly(words, ENVIRONMENT), env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    values = json.loads(done.stdout)["x-values"]
    return {key: values[key].replace("$$", "$") for key in keys}


def by_sh(path: Path, keys: Sequence[str]) -> Mapping[str, str]:
    """Return the values that sh exports; Python prints them, since `env` of some systems cannot separate by NUL."""
    show = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(k + b'=' + v for k, v in os.environb.items()))"
    script = 'set -a; . "$0" && exec "$1" -S -c "$2"'
    words = ["sh", "-c", script, str(path), sys.executable, show]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, check=False, cwd=path.parent)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    everything = dict(pair.split(b"=", 1) for pair in done.stdout.split(b"\0"))
    return {key: everything[key.encode()].decode() for key in keys}


def assert_read_alike(text: bytes) -> None:
    parsed = parse("f.env", text)
    assert not parsed.faults
    expected = {entry.key: entry.value for entry in parsed.entries}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "f.env")
        path.write_bytes(text)
        assert by_dotenv(path) == expected
        assert by_sh(path, list(expected)) == expected
        assert by_compose(path, list(expected)) == expected


def accepted(lines: Sequence[str]) -> bytes:
    """Return a file of the lines that the grammar accepts, with every key renamed so that no two are the same."""
    kept = []
    for number, line in enumerate(lines):
        parsed = parse("f.env", line.encode())
        if not parsed.faults:
            for entry in parsed.entries:
                line = line.replace(entry.key, f"{entry.key}_{number}", 1)
            kept.append(line)
    return "\n".join(kept).encode()


@BATCH
@given(st.randoms(use_true_random=True))
def test_every_accepted_line_reads_the_same_in_dotenv_compose_and_sh(random: Random) -> None:
    # A single file of many lines: Compose costs 70 ms a call. Hypothesis would take longer than that to draw the lines.
    assert_read_alike(accepted([line_from(random) for _ in range(1500)]))


def test_every_printable_character_reads_the_same_wherever_it_is_accepted() -> None:
    codes = (*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2000, 0x2070), 0x1680, 0x3000, 0x65E5, 0xFEFF, 0x1F600)
    characters = [chr(code) for code in codes]
    shapes = ("{}", "a{}b", "a{}", "{}a", "'{}'", "'a{}b'", '"{}"', '"a{}b"', "x # {}", "'x' # {}", "a:{}", "a={}")
    for shape in shapes:
        assert_read_alike(accepted([f"K={shape.format(character)}" for character in characters]))


def test_backslashes_and_quotes_read_the_same_in_every_accepted_combination() -> None:
    parts = ["\\", "\\\\", '\\"', "\\n", "'", '"', "$", "a"]
    bodies = [a + b + c for a in parts for b in parts for c in parts]
    assert_read_alike(accepted([f"K='{body}'" for body in bodies] + [f'K="{body}"' for body in bodies]))


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n  ", "\n# end"])
def test_blank_lines_comments_and_the_last_line_read_the_same(end: str) -> None:
    assert_read_alike(f"# about A\n\nA=1\n \t\n   # indented\nexport B='x y' # why\nC={end}".encode())


# Refused lines that some reader reads differently. If all readers agree on a line one day, the grammar can accept it.
DISAGREED = [
    "A=$HOME/x",
    "A=a b",
    "A=x;",
    "A=x&",
    "A=a\\b",
    "A=~/x",
    "A=a:~/x",
    "A= #c",
    "A=b\t#c",
    "A='b'#c",
    "A='${B}'",
    "A='a\\\\b'",
    'A="$HOME"',
    'A="a\\nb"',
    "A=b\r",
    "A=a\xa0",
    "A='x' B='y'",
    "A =b",
    "A= b",
    "A: b",
    "PATH=x",
    "OPTIND=x",
]


@pytest.mark.parametrize("line", DISAGREED)
def test_what_is_refused_is_read_differently_by_some_reader(line: str, tmp_path: Path) -> None:
    path = tmp_path / "f.env"
    path.write_bytes(line.encode())
    key = line.split("=")[0].split(":")[0].strip()
    assert parse("f.env", line.encode()).faults
    readings = [str(by_dotenv(path).get(key))]
    for reader in (by_compose, by_sh):
        try:
            readings.append(reader(path, [key])[key])
        except (AssertionError, KeyError):
            readings.append("refused")
    assert len(set(readings)) > 1, readings


@FAST
@given(st.lists(st.one_of(LINE, st.text(max_size=12)), max_size=6).map("\n".join))
def test_every_other_line_is_refused_with_its_number(text: str) -> None:
    lines = text.split("\n")
    comment = re.compile(r"[ \t]*(#.*)?\Z")
    for fault in parse("f.env", text.encode()).faults:
        name, _, number = fault.where.partition(":")
        assert name == "f.env"
        assert 1 <= int(number) <= len(lines)
        line = lines[int(number) - 1]
        assert not comment.match(line) or not line.isprintable(), "a blank line or a comment is no fault"
        assert "\n" not in fault.message


@FAST
@given(st.one_of(st.binary(max_size=60), st.lists(LINE, max_size=4).map(lambda lines: "\n".join(lines).encode())))
@example(b"")
@example(b"\xff")
@example(b"\0")
@example("\ufeff".encode())
def test_no_bytes_whatever_raise_anything_but_input_error(text: bytes) -> None:
    try:
        resolve("dev", [Layer("envs/dev.env", text)], {}, {}, {})
    except InputError as error:
        assert error.hint
        assert all(line.startswith("envs/dev.env:") for line in error.message.splitlines())
