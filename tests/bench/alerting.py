"""How long an app has answered with errors until its alert fires, in evaluation intervals, with the rules as shipped.

The app's table is taken away under clients that go on, at any moment between two evaluations. From the first bad answer
that one of them gets until Prometheus has the alert as firing: a scrape has to see the errors, and an evaluation the
scrape. Errors are to be 5 % of a minute's requests, so that a scrape within the first 3 s of a fault does not see
enough. `--interval=5s` takes another interval than the one that is shipped; the rules are the same.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Figure
from tests.e2e.alerts import load
from tests.e2e.alerts.stack import Stack, new_name, watched

_ROUNDS, _INTERVAL, _BAR = 5, 15.0, 2.0
_PATIENCE = 180.0  # seconds: an error counts for a minute, in the last ten minutes where a service has few requests
_SQL = "psql --quiet --username=slipway --dbname=slipway --command"
_LOOK = 0.05  # seconds between two looks
_FIRES = 'ALERTS{alertname="ServiceErrors",alertstate="firing",service="app"}'


def run(rounds: int = _ROUNDS, interval: float = _INTERVAL) -> list[Figure]:
    """Measure and return the figure: the worst of the rounds, in seconds, by the interval."""
    name = new_name("bench")
    with tempfile.TemporaryDirectory() as base, watched(Path(base), name, interval, faults=False) as stack:
        stack.wait_until_seen("app")
        with load.requests(stack) as clients:
            _wait("the app does not answer", lambda: clients.first(0.0, bad=False))
            took = [_round(stack, clients, random.uniform(0.0, interval)) for _ in range(rounds)]
    shown = ", ".join(f"{each / interval:.2f}" for each in took)
    median = statistics.median(took) / interval
    title = (
        f"first error to firing alert, worst of {rounds} rounds ({shown}; median {median:.2f}) ÷ evaluation interval"
    )
    return [Figure(title, max(took), interval, _BAR)]


def _round(stack: Stack, clients: load.Load, moment: float) -> float:
    """Break the app, and return the seconds from its first bad answer until the alert fires; then fix it.

    ``moment`` is how long after the evaluation that finds it well again, in seconds.
    """
    _wait("the alert goes on", lambda: time.monotonic() if not stack.has(_FIRES) else None)
    time.sleep(moment)
    broken = time.monotonic()
    stack.sh("database", f"{_SQL} 'ALTER TABLE users RENAME TO taken'")
    fired = _wait("the alert does not fire", lambda: time.monotonic() if stack.has(_FIRES) else None)
    first = clients.first(broken, bad=True)
    stack.sh("database", f"{_SQL} 'ALTER TABLE taken RENAME TO users'")
    if first is None:
        sys.exit("the alert fired without an error")
    return fired - first


def _wait(problem: str, look: Callable[[], float | None]) -> float:
    deadline = time.monotonic() + _PATIENCE
    while (found := look()) is None:
        if time.monotonic() > deadline:
            sys.exit(f"{problem}, after {_PATIENCE:.0f} s")
        time.sleep(_LOOK)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--interval", type=lambda text: float(text.removesuffix("s")), default=_INTERVAL)
    chosen = parser.parse_args()
    for figure in run(chosen.rounds, chosen.interval):
        print(figure.line())
