"""A canary at 5 %: the share of the requests that the new version answers, as clients count it, and what is lost.

`python -m tests.bench.canary`: once behind nginx, once behind haproxy. Exit 1 when more saw it, or a request is lost.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Figure, sample_stack
from tests.e2e.canary import Shares, deployed
from tests.e2e.lean import Lean, make_lean, version
from tests.e2e.support import remove
from tests.e2e.test_canary import canary
from tests.e2e.test_proxies import behind

_SHARES, _EVERY, _RATE = (5, 25, 50), 20.0, 150.0
_BAR = 1.2  # of a share: at 5 %, 6 % of the requests may see the new version


@contextmanager
def stacks() -> Iterator[dict[str, Lean]]:
    """Make a lean stack behind each proxy, from the image of the sample's own."""
    with sample_stack("canary") as sample, tempfile.TemporaryDirectory() as directory:
        sample.inv("build")
        made: dict[str, Lean] = {}
        try:
            for kind in ("nginx", "haproxy"):
                name = f"slipway-bench-canary-{kind}-{os.getpid()}"
                lean = make_lean(Path(directory, kind), name, f"{sample.project}/nginx:dev")
                made[kind] = lean if kind == "nginx" else behind(kind, lean)
            yield made
        finally:
            for lean in made.values():
                remove(lean.project)
                shutil.rmtree(lean.project_dir)


def taken(stack: Lean) -> tuple[Shares, str]:
    """Deploy a new version as a canary under load; return what clients got, and what it answers."""
    canary(stack, _SHARES, _EVERY)
    stack.inv("deploy.dev")
    new = version(stack)
    shares = deployed(stack, _RATE)
    if shares.code or shares.requests.failures:
        sys.exit(f"exit {shares.code}, lost: {shares.requests.failures[:3]}")
    return shares, new


def run() -> list[Figure]:
    """Measure and return the figures: the measured share ÷ the wanted one, in percent of the requests."""
    figures = []
    with stacks() as made:
        for kind, stack in made.items():
            shares, new = taken(stack)
            for share in _SHARES:
                seen, name = (
                    100 * shares.measured(share, new),
                    f"canary at {share} % behind {kind}: requests that saw it",
                )
                figures.append(Figure(name, seen, share, _BAR, "%"))
            print(f"{kind}: {len(shares.requests.seconds)} requests, {len(shares.requests.failures)} lost")
    return figures


if __name__ == "__main__":
    measured = run()
    for figure in measured:
        print(figure.line())
    sys.exit(any(figure.ratio > figure.bar for figure in measured))
