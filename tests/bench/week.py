"""A week of releases under load: `python -m tests.bench.week [STACK…]`. Exit 1 when a step was not as it should be.

Each stack is a git repository with profiles of its own. During its week 60 requests a second read and write rows;
a request is lost when it does not get its answer, a row is missing when it was answered with 201 and is not in the
database. `--short` takes only the steps of `inv check`, `--step=NAME` (also several times) only these steps after the
first deploy; `--lost` prints what clients got instead of an answer.
"""

import signal
import sys
import time
from collections.abc import Callable, Sequence

from tabulate import tabulate

from tests.life.stack import standing
from tests.life.stacks import LIVES
from tests.life.week import ALL, CLEAN, HEADERS, Row, live


def main(words: list[str]) -> int:
    """Run the stacks that are named, or all, and print the table; returns the exit code."""
    names = [word for word in words if not word.startswith("-")] or list(LIVES)
    if unknown := [name for name in names if name not in LIVES]:
        print(f"no stack {', '.join(unknown)}; there are: {', '.join(LIVES)}", file=sys.stderr)
        return 2
    wanted = [word.removeprefix("--step=") for word in words if word.startswith("--step=")]
    known = {step.name for name in names for step in LIVES[name].week}
    if unknown := [name for name in wanted if name not in known]:
        print(f"no step {', '.join(unknown)}; there are: {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        rows += _week(name, "--short" in words, wanted)
    return shown(rows, "--lost" in words)


def shown(rows: Sequence[Row], lost: bool) -> int:
    """Print the table of weeks, with ``lost`` what clients got instead of answers; returns the exit code."""
    print(tabulate([row.line() for row in rows], HEADERS, maxcolwidths=[None, 32, *[None] * 9, 26, 60]))
    if lost:
        for row in rows:
            for line in row.losses[:5]:
                print(f"{row.stack}: {row.step}: {line}")
    steps = [row for row in rows if row.step not in (ALL, CLEAN)]
    whole = [row for row in rows if row.step == ALL] or steps  # it may have been stopped
    wrong = [row for row in rows if row.faults]
    print(
        f"{sum(row.lost for row in whole)} of {sum(row.requests for row in whole)} requests lost, "
        f"{sum(row.missing for row in whole)} of {sum(row.writes for row in whole)} rows missing; "
        f"{sum(not row.faults for row in steps)} of {len(steps)} steps as they should be"
    )
    return int(bool(wrong))


def _week(name: str, short: bool, wanted: list[str]) -> list[Row]:
    life = LIVES[name]
    steps = life.short if short else [step for step in life.week if not wanted or step.name in wanted]
    with standing(life.make) as stack:
        return live(stack, steps, report=progress()).rows


def progress() -> Callable[[Row], None]:
    """Return what tells of each step as it ends, with the seconds since now, and of the first requests that it lost."""
    began = time.monotonic()

    def report(row: Row) -> None:
        words = "; ".join(row.faults) or "ok"
        print(f"{time.monotonic() - began:7.1f} s  {row.stack}: {row.step}: {row.lost} lost, {words}", file=sys.stderr)
        for line in row.losses[:3]:
            print(f"{'':10}{line}", file=sys.stderr)

    return report


def stop(number: int, _frame: object) -> None:
    """End the process by an exception, so that the stack is removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1:]))
