"""A second `inv test` with nothing changed ÷ the first one."""

import statistics
import tempfile

from tests.bench.measure import Figure, sample_stack, seconds, separate_environment


def run() -> list[Figure]:
    """Measure and return the figure; the images are built before, so that the first run is as short as it gets."""
    with sample_stack("testing") as sample, tempfile.TemporaryDirectory() as reports:
        env = separate_environment(sample, reports)
        seconds(sample.command("test", "--force"), env)  # builds; does not count
        first = seconds(sample.command("test", "--force"), env)
        second = statistics.median(seconds(sample.command("test"), env) for _ in range(5))
    return [Figure("inv test with nothing changed ÷ the first inv test", second, first, 0.05)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
