"""A second `inv scan` with nothing new ÷ the first one."""

import statistics
import subprocess
import tempfile

from tests.bench.measure import Figure, sample_stack, seconds, separate_environment


def run() -> list[Figure]:
    """Measure and return the figure; the images are built before, so that the first run is as short as it gets."""
    with sample_stack("scanning") as sample, tempfile.TemporaryDirectory() as reports:
        env = separate_environment(sample, reports, SLIPWAY_ENV="test", SCAN_OFFLINE="allow")
        # A secret scan needs a git repository, which the copy of the sample is not.
        git = ["git", "-C", str(sample.project_dir), "-c", "user.name=b", "-c", "user.email=b@example.com"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "sample"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        seconds(sample.command("build", "--env", "test"), env)
        seconds(sample.command("scan", "--force"), env)  # builds the scanners; does not count
        first = seconds(sample.command("scan", "--force"), env)
        second = statistics.median(seconds(sample.command("scan"), env) for _ in range(5))
    return [Figure("inv scan with nothing new ÷ the first inv scan", second, first, 0.10)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
