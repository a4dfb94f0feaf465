"""A week of releases on a cluster, under load: `python -m tests.bench.kube_week`. Exit 1 when a step was not as wanted.

The sample stack is a git repository, released to a cluster of two nodes while 200 requests a second read and write
rows. What counts as lost and missing is as in `tests.bench.week`, and so are `--short`, `--step=NAME` and `--lost`.
"""

import signal
import sys

from tests.bench.week import progress, shown, stop
from tests.cluster.cluster import started
from tests.cluster.week import RATE, SETTINGS, SHORT, WEEK
from tests.cluster.week_stack import standing
from tests.life.week import Row, live


def main(words: list[str]) -> int:
    """Run the week, or the steps that are named, and print the table; returns the exit code."""
    wanted = [word.removeprefix("--step=") for word in words if word.startswith("--step=")]
    steps = SHORT if "--short" in words else WEEK
    if unknown := set(wanted) - {step.name for step in steps}:
        print(f"no step {', '.join(unknown)}; there are: {', '.join(step.name for step in steps)}", file=sys.stderr)
        return 2
    chosen = [step for step in steps if not wanted or step.name in wanted]
    rows: list[Row] = []
    tell = progress()

    def report(row: Row) -> None:
        rows.append(row)
        tell(row)

    try:
        with started(nodes=2) as cluster, standing(cluster, **SETTINGS) as stack:
            live(stack, chosen, RATE, report)
    finally:  # a week that is stopped has told something, too
        code = shown(rows, "--lost" in words)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1:]))
