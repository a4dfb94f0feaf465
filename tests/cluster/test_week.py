"""The short form of a week on a cluster: releases, good and bad, lose no request and no row."""

import pytest
from tabulate import tabulate

from tests.life.week import HEADERS, live

from .cluster import Cluster
from .week import SHORT
from .week_stack import standing

TAKES = 200
RATE = 60.0  # requests a second


@pytest.mark.timeout(1200)
def test_releases_to_a_cluster_lose_no_request_and_no_row(cluster: Cluster) -> None:
    with standing(cluster, HEALTH_TIMEOUT="60s") as stack:
        rows = live(stack, SHORT, RATE).rows

    table = tabulate([row.line() for row in rows], HEADERS)
    losses = "\n".join(line for row in rows for line in row.losses[:5])
    assert not any(row.faults for row in rows), f"\n{table}\n{losses}"
