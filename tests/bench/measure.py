"""How the benchmarks measure: two commands in turn, A B A B …, and the ratio of their medians."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.support import NOT_COPIED, ROOT, Sample, docker, make_sample, remove


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, both medians, their ratio and the bar."""

    name: str
    ours: float
    theirs: float
    bar: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    def line(self) -> str:
        verdict = "ok" if self.ratio <= self.bar else "OVER"
        values = f"{self.ours:.3f} {self.unit} ÷ {self.theirs:.3f} {self.unit}"
        return f"{self.name}: {values} = {self.ratio:.2f} (bar {self.bar:.2f}) {verdict}"


def seconds(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None) -> float:
    """Run a command to its end and return its wall time; a failure ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} failed: {done.stderr[-2000:]}")
    return elapsed


def pairs(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return the medians of two measures taken in turn, after one of each that does not count."""
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
        made = make_sample(base, f"slipway-bench-{suffix}-{os.getpid()}", project)
        try:
            made.inv("setup")
            yield made
        finally:
            for name in made.projects:
                remove(name)


def apart(sample: Sample, reports: str, **more: str) -> dict[str, str]:
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
    """Return the environment that plain docker compose needs to do the same: what `inv env.show` says."""
    values = {one["key"]: one["value"] for one in sample.json("env.show", "dev")["values"]}
    return {**os.environ, **values}


__all__ = ["Figure", "apart", "by_hand", "docker", "hand_environment", "pairs", "sample_stack", "seconds"]
