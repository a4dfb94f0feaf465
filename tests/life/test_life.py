"""The short form of the week: a commit is released, and no client notices, or the plan said so beforehand."""

import pytest
from tabulate import tabulate

from .stack import standing
from .stacks import LIVES
from .week import HEADERS, live


# The longest first, so that the others can run in parallel with it.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", LIVES)
def test_releases_lose_no_request_and_no_row(name: str) -> None:
    life = LIVES[name]
    with standing(life.make) as stack:
        rows = live(stack, life.short).rows

    table = tabulate([row.line() for row in rows], HEADERS)
    losses = "\n".join(line for row in rows for line in row.losses[:5])
    assert not any(row.faults for row in rows), f"\n{table}\n{losses}"
