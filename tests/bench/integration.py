"""`inv test.integration`: four at once ÷ four in turn; a template ÷ filling a database; what kills leave behind.

`python -m tests.bench.integration [RUNS]`: the number of runs that are killed, 50 by default.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.bench.measure import Figure, pairs, sample_stack, seconds
from tests.e2e.support import Sample, copies

_RUNS = 50
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def run(runs: int = _RUNS, seed: int | None = None) -> list[Figure]:
    """Measure and return the three figures."""
    with sample_stack("integration") as sample, tempfile.TemporaryDirectory() as reports:
        os.environ.update({key: value for key, value in sample.environment().items() if key.startswith("SLIPWAY_")})
        os.environ["SLIPWAY_REPORTS_DIR"] = reports
        sample.inv("test.integration", SLIPWAY_REPORTS_DIR=reports)  # builds, and makes the template
        return [_at_once(sample, reports), _template(), _killed(sample, reports, runs, seed)]


def _at_once(sample: Sample, reports: str) -> Figure:
    argv, env = sample.command("test.integration"), sample.environment(SLIPWAY_REPORTS_DIR=reports)

    def together() -> float:
        started = time.perf_counter()
        tasks = [
            subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(4)
        ]
        for task in tasks:
            _, said = task.communicate()
            if task.returncode:
                sys.exit(f"one of four failed: {said.decode()[-2000:]}")
        return time.perf_counter() - started

    ours, theirs = pairs(together, lambda: sum(seconds(argv, env) for _ in range(4)), 2)
    return Figure("four integration stacks at once ÷ four in turn", ours, theirs, 0.6)


def _template() -> Figure:
    """Compare the times until the database has its rows, without the removal of the stacks."""
    from invoke import Context

    from tasks.host.project import Project
    from tasks.host.reports import Run
    from tasks.test.plan.stack import Copy, prepared, templated
    from tasks.test.stack import Throwaway, removed
    from tasks.test.throwaway import throwaway

    project = Project(Context(), "test")
    counted = iter(range(1000))

    def up(copy: Copy) -> float:
        copy = replace(copy, name=f"{copy.name}-{next(counted)}")
        with removed(wide, copy):
            stack = Throwaway(project, wide, copy)
            started = time.perf_counter()
            stack.up()
            return time.perf_counter() - started

    with throwaway(project, "bench", Run("1", Path())) as made:
        wide = made.project
        database = templated(wide.stack)
        assert database
        assert made.copy.template
        start = replace(made.copy, services=(database.name,))
        jobs = (job.name for job in prepared(wide.stack))
        fill = replace(made.copy, services=(database.name, *jobs), template="", fresh=True)
        with _quiet():
            ours, theirs = pairs(lambda: up(start), lambda: up(fill), 7)
    return Figure("database from a template ÷ migrated and seeded", ours, theirs, 0.5)


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what Compose writes to the stderr of this process."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _killed(sample: Sample, reports: str, runs: int, seed: int | None) -> Figure:
    """End runs by signals at random moments; `inv clean` removes what SIGKILL leaves, other signals leave nothing."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    print(f"seed {seed}: python -m tests.bench.integration {runs} {seed} draws the same moments")
    argv, env = sample.command("test.integration"), sample.environment(SLIPWAY_REPORTS_DIR=reports)
    length = seconds(argv, env)
    generator = random.Random(seed)
    left = 0
    for number in range(runs):
        task = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        moment, sent = generator.uniform(0.2, length), _SIGNALS[number % len(_SIGNALS)]
        time.sleep(moment)
        task.send_signal(sent)
        task.wait(timeout=120)
        if sent == signal.SIGKILL:
            sample.inv("clean", "--env", "test")
        if leftovers := copies(f"{sample.project}-test"):
            print(f"run {number + 1}: {sent.name} after {moment:.2f} s left {len(leftovers)}")
            left += len(leftovers)
            sample.inv("clean", "--env", "test")
    return Figure(f"left behind ÷ {runs} killed runs", left, runs, 0.0, "")


if __name__ == "__main__":
    for figure in run(*map(int, sys.argv[1:3])):
        print(figure.line())
