"""How quickly tasks start, against bare Invoke with one empty task: `inv --list`, `inv deploy.status`, completion."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Figure, pairs, sample_stack, seconds
from tests.e2e.support import PROGRAM, ROOT, Sample

_ROUNDS = 25


@contextmanager
def _bare() -> Iterator[Callable[[], float]]:
    """Yield what measures bare Invoke: it lists one empty task."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "tasks.py").write_text(
            "from invoke import task\n\n\n@task\ndef nothing(c):\n    '''Do nothing.'''\n"
        )
        yield lambda: seconds([sys.executable, "-m", "invoke", "--search-root", directory, "--list"], _environment())


def _environment() -> dict[str, str]:
    """Return the environment of a user: Python keeps what it has compiled."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def run() -> list[Figure]:
    """Measure and return the figures that take no engine."""
    with _bare() as bare:
        return [_listing(bare), _completion(bare), _value()]


def _listing(bare: Callable[[], float]) -> Figure:
    argv = [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "--list"]
    ours, theirs = pairs(lambda: seconds(argv, _environment()), bare, _ROUNDS)
    return Figure("inv --list ÷ bare Invoke", ours, theirs, 1.10)


def _completion(bare: Callable[[], float]) -> Figure:
    """Measure from Tab to answer in a running shell; the table of tasks exists, as after the first Tab."""
    with tempfile.TemporaryDirectory() as cache:
        figure = pairs(_tab(cache, ("deploy.stat",), "deploy.status"), bare, _ROUNDS)
    return Figure("completion after Tab ÷ bare Invoke", *figure, 0.05)


def _value() -> Figure:
    """Measure the completion of a service, which Compose's files name, against Invoke's own completion of our tasks."""
    words = ("logs", "--env", "test", "--service", "migr")
    asked = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "--complete", "--", "inv", *words]
    with tempfile.TemporaryDirectory() as cache:
        figure = pairs(_tab(cache, words, "migrate"), lambda: seconds(asked, _environment(), str(ROOT)), _ROUNDS)
    return Figure("completion of a value after Tab ÷ `invoke --complete`", *figure, 0.05)


def _tab(cache: str, words: tuple[str, ...], expected: str) -> Callable[[], float]:
    """Return what measures a second Tab in bash, whose answer is ``expected``, in seconds."""
    env = {**_environment(), "XDG_CACHE_HOME": cache}
    asked = [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "completion", "bash"]
    script = subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout
    program = Path(cache, "inv")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} --search-root {ROOT} "$@"\n')
    program.chmod(0o755)
    line = f"COMP_WORDS=({program} {' '.join(words)})\nCOMP_CWORD={len(words)}\n"
    timed = "_slipway_complete\nstarted=$EPOCHREALTIME\n_slipway_complete\nended=$EPOCHREALTIME\n"
    answer = 'echo "${COMPREPLY[*]} $((${ended/./} - ${started/./}))"'
    text = script.replace(f"{ROOT}/inv\n", f"{program}\n") + line + timed + answer

    def ours() -> float:
        done = subprocess.run(["bash", "-c", text], env=env, capture_output=True, text=True, check=True)
        completion, microseconds = done.stdout.split()
        assert completion == expected, done.stdout
        return int(microseconds) / 1e6

    return ours


def status(sample: Sample) -> Figure:
    """Measure and return the figure of a running stack."""
    with _bare() as bare:
        ours, theirs = pairs(lambda: seconds(sample.command("deploy.status"), sample.environment()), bare, _ROUNDS)
    return Figure("inv deploy.status ÷ bare Invoke", ours, theirs, 1.80)


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
    with sample_stack("listing") as stack:
        stack.inv("deploy.dev")
        print(status(stack).line())
