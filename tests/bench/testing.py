"""A second `inv test` with nothing changed ÷ the first one."""

import os
import statistics
import tempfile
from pathlib import Path

from tests.bench.measure import Figure, sample_stack, seconds


def run() -> list[Figure]:
    """Measure and return the figure; the images are built before, so that the first run is as short as it gets."""
    with sample_stack("testing") as sample, tempfile.TemporaryDirectory() as reports:
        own = f"slipway-bench-testing-{os.getpid()}-test"
        sample.projects.append(own)
        env = sample.environment(
            SLIPWAY_REPORTS_DIR=str(Path(reports, "reports")),
            COMPOSE_PROJECT_NAME=own,
            IMAGE_REPOSITORY=own,
            SECRETS_DIR=str(sample.certificate.parents[1] / "secrets"),
            TLS_DIR=str(sample.certificate.parent),
        )
        seconds(sample.command("test", "--force"), env)  # builds; does not count
        first = seconds(sample.command("test", "--force"), env)
        second = statistics.median(seconds(sample.command("test"), env) for _ in range(5))
    return [Figure("inv test with nothing changed ÷ the first inv test", second, first, 0.05)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
