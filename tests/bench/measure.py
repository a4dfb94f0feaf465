"""How the benchmarks measure: two commands in turn, A B A B …, and the ratio of their medians."""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.support import NOT_COPIED, ROOT, Sample, docker, make_sample, remove


@dataclass(frozen=True)
class Estimate:
    """A median and the interval that has the true one in 95 of 100 cases."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        digits = 3 if self.middle < 10 else 1
        return f"{self.middle:.{digits}f} (95 %: {self.low:.{digits}f} to {self.high:.{digits}f})"


@dataclass(frozen=True)
class Figure:
    """A line of the table: what was measured, both medians, their ratio and the bar.

    With an interval of the ratio the verdict is one only where all of the interval is on one side of the bar.
    """

    name: str
    ours: float
    theirs: float
    bar: float
    unit: str = "s"
    interval: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def verdict(self) -> str:
        low, high = self.interval or (self.ratio, self.ratio)
        return "ok" if high <= self.bar else "OVER" if low > self.bar else "not decided"

    def line(self) -> str:
        values = f"{self.ours:.3f} {self.unit} ÷ {self.theirs:.3f} {self.unit} = {self.ratio:.2f}"
        if self.interval:
            values += f" (95 %: {self.interval[0]:.3f} to {self.interval[1]:.3f})"
        return f"{self.name}: {values} (bar {self.bar:.2f}) {self.verdict}"


def estimate(values: Sequence[float], resamples: int = 4000) -> Estimate:
    """Return the median of values and its interval by the bootstrap: from medians of as many values drawn from them."""
    drawn = random.Random(0)  # the same values give the same interval
    medians = sorted(statistics.median(drawn.choices(values, k=len(values))) for _ in range(resamples))
    tail = resamples // 40
    return Estimate(medians[tail], statistics.median(values), medians[-1 - tail])


def seconds(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None) -> float:
    """Run a command to its end and return its wall time; a failure ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} failed: {done.stderr[-2000:]}")
    return elapsed


def pairs(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the medians of two measures taken in turn, after a first round that does not count."""
    ours(), theirs()
    taken = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)


@contextmanager
def sample_stack(suffix: str) -> Iterator[Sample]:
    """A copy of the sample stack with its own names and ports, set up; everything is removed at the end."""
    import shutil

    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        project = shutil.copytree(ROOT / "docker_project", base / "docker_project", ignore=NOT_COPIED)
        sample = make_sample(base, f"slipway-bench-{suffix}-{os.getpid()}", project)
        try:
            sample.inv("setup")
            yield sample
        finally:
            for name in sample.projects:
                remove(name)


def idle_service(**keys: Any) -> dict[str, Any]:
    """Return a service that does nothing and needs no build, with more keys of Compose's."""
    return {"image": "slipway-base/debian:trixie", "command": ["sleep", "infinity"], "init": True, **keys}


def separate_environment(sample: Sample, reports: str, **more: str) -> dict[str, str]:
    """Return an environment in which tasks of the test profile have a project and reports of their own."""
    own = f"{sample.project}-test"
    sample.projects.append(own)
    return sample.environment(
        SLIPWAY_REPORTS_DIR=str(Path(reports, "reports")),
        COMPOSE_PROJECT_NAME=own,
        IMAGE_REPOSITORY=own,
        SECRETS_DIR=str(sample.certificate.parents[1] / "secrets"),
        TLS_DIR=str(sample.certificate.parent),
        **more,
    )


def by_hand(sample: Sample, env: Mapping[str, str], *words: str) -> float:
    """Run plain docker compose on the sample's dev files and return its wall time."""
    return seconds(["docker", "compose", *words], env, str(sample.project_dir))


def hand_environment(sample: Sample) -> dict[str, str]:
    """Return the environment that plain docker compose needs to do the same: the values of `inv env.show`."""
    values = {entry["key"]: entry["value"] for entry in sample.json("env.show", "dev")["values"]}
    return {**os.environ, **values}


__all__ = [
    "Estimate",
    "Figure",
    "by_hand",
    "docker",
    "estimate",
    "hand_environment",
    "idle_service",
    "pairs",
    "sample_stack",
    "seconds",
    "separate_environment",
]
