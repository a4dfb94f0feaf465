"""Releases that are watched by numbers, on a real engine and a real Prometheus: which of them serve.

`python -m tests.bench.watching [RUNS]`: a good release, one of which 5 % of the requests fail, and one that is three
times slower, in turn, each RUNS times (10 by default) blue-green and as many times as a canary. Exit 1 unless each good
one serves and each bad one is taken back. It prints how many requests saw a bad release.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measure import Figure, sample_stack
from tests.e2e.lean import make_lean
from tests.e2e.metered import USUAL, Metered, make_metered
from tests.e2e.starting import run as run_task
from tests.e2e.support import remove
from tests.life.load import load

_RUNS, _RATE = 10, 100.0
_RULE = {"errors": "1%", "p99": "2x", "requests": 50}
_CANARY = {"weight": [20, 50], "every": "6s"}
_BEFORE = 6.0  # seconds under load before a deploy
KINDS: dict[str, dict[str, int]] = {"good": {}, "5 % errors": {"fail_of": 20}, "3x slower": {"delay": 3 * USUAL}}


@dataclass
class Runs:
    """What became of the releases of a kind."""

    right: int = 0
    seconds: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)  # the share of requests that saw a bad release
    lines: list[str] = field(default_factory=list)


@contextmanager
def metered() -> Iterator[Metered]:
    """Make a stack that is watched by a Prometheus."""
    with sample_stack("watching") as sample, tempfile.TemporaryDirectory() as directory:
        sample.inv("build")
        name = f"slipway-bench-watching-{os.getpid()}"
        stack = make_metered(make_lean(Path(directory, "stack"), name, f"{sample.project}/nginx:dev"), judged=_RULE)
        try:
            stack.monitor = "6s"
            stack.release("v0")
            stack.inv("deploy.dev")
            stack.watched()
            yield stack
        finally:
            stack.away()
            remove(stack.project)
            shutil.rmtree(stack.project_dir)


def one(stack: Metered, text: str, kind: str, runs: Runs) -> None:
    """Bring a release of a kind, under load, and note what became of it."""
    good = not KINDS[kind]
    stack.release(text, **KINDS[kind])
    with load(stack.api, _RATE) as requests:
        time.sleep(_BEFORE)
        began = time.monotonic()
        done = run_task(stack.command("deploy.dev", "--json"), text="", env=stack.environment())
        took = time.monotonic() - began
    document: dict[str, Any] = json.loads(done.stdout)
    answers = requests.between(began, began + took)
    right = document["outcome"] == ("deployed" if good else "rolled-back")
    judged = [entry["verdict"] for entry in document["watched"]]
    runs.right += right and ("breach" in judged) != good and done.returncode == (0 if good else 4)
    runs.seconds.append(took)
    runs.seen.append(answers[text] / max(answers.total(), 1))
    runs.lines.append(document["watched"][-1]["line"])
    stack.now = stack.answer()


def run(runs: int = _RUNS) -> list[Figure]:
    """Bring the releases and return a figure for each kind: wrong decisions, of which none may be."""
    figures = []
    with metered() as stack:
        for canary in (None, _CANARY):
            stack.canary = canary
            counted = {kind: Runs() for kind in KINDS}
            for number in range(runs):
                for kind, noted in counted.items():
                    text = f"{'c' if canary else 'b'}{number}-{kind.split()[0]}"
                    one(stack, text, kind, noted)
                    print(f"{'canary' if canary else 'blue-green'} {kind}: {noted.lines[-1]}", flush=True)
            for kind, noted in counted.items():
                way, took = "canary" if canary else "blue-green", sum(noted.seconds) / runs
                seen = f"{max(noted.seen):.0%} of the requests of a deploy saw it at most"
                print(f"{way} {kind}: {noted.right} of {runs} decided rightly, {seen}, {took:.1f} s on average")
                figures.append(Figure(f"{way}, {kind}: decided wrongly", runs - noted.right, runs, 0.0, "runs"))
    return figures


if __name__ == "__main__":
    measured = run(int(sys.argv[1]) if len(sys.argv) > 1 else _RUNS)
    for figure in measured:
        print(figure.line())
    sys.exit(any(figure.ratio > figure.bar for figure in measured))
