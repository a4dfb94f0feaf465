"""A week of releases under load: `python -m tests.bench.week [STACK…]`. Exit 1 when something was not as it should be.

Each stack is a git repository with profiles of its own. All through its week 60 requests a second read and write rows
through its front door; lost is every request that did not get its answer, missing every row that was answered 201 and
is not in the database. With `--short` only the steps that `inv check` takes; with `--lost` what clients saw.
"""

import signal
import sys
import time

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
    rows: list[Row] = []
    for name in names:
        rows += _week(name, short="--short" in words)
    print(tabulate([row.line() for row in rows], HEADERS, maxcolwidths=[None, 32, *[None] * 8, 26, 60]))
    if "--lost" in words:
        for row in rows:
            for line in row.losses[:5]:
                print(f"{row.stack}: {row.step}: {line}")
    whole, steps = [row for row in rows if row.step == ALL], [row for row in rows if row.step not in (ALL, CLEAN)]
    wrong = [row for row in rows if row.faults]
    print(
        f"{sum(row.lost for row in whole)} of {sum(row.requests for row in whole)} requests lost, "
        f"{sum(row.missing for row in whole)} of {sum(row.writes for row in whole)} rows missing; "
        f"{sum(not row.faults for row in steps)} of {len(steps)} steps as they should be"
    )
    return int(bool(wrong))


def _week(name: str, short: bool) -> list[Row]:
    life, began = LIVES[name], time.monotonic()

    def told(row: Row) -> None:
        words = "; ".join(row.faults) or "ok"
        print(f"{time.monotonic() - began:7.1f} s  {name}: {row.step}: {row.lost} lost, {words}", file=sys.stderr)

    with standing(life.make) as stack:
        return live(stack, life.short if short else life.week, told=told).rows


def _stop(number: int, _frame: object) -> None:
    sys.exit(128 + number)  # by an exception, so that what stands is removed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
