"""Commands that run where a database runs, by a real shell."""

import subprocess
from collections.abc import Sequence

import pytest

from tasks.db.inside import to_the_end


def sent(words: Sequence[str], megabytes: int = 1) -> "subprocess.CompletedProcess[bytes]":
    """Write to a command until all is written, as `kubectl exec` does."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        with process.stdin as stdin:
            stdin.write(b"x" * (megabytes << 20))
        out = process.stdout.read()
    return subprocess.CompletedProcess(words, process.returncode, out)


def test_what_a_command_leaves_unread_is_read_after_it() -> None:
    with pytest.raises(BrokenPipeError):
        sent(("head", "-c", "3"))

    done = sent(to_the_end(("head", "-c", "3")))
    assert (done.returncode, done.stdout) == (0, b"xxx")


def test_the_exit_code_is_that_of_the_command() -> None:
    assert sent(to_the_end(("sh", "-c", "exit 7"))).returncode == 7


def test_words_arrive_as_they_are() -> None:
    done = sent(to_the_end(("printf", "%s.", "a b", "$(id)", "")), 0)
    assert done.stdout == b"a b.$(id).."
