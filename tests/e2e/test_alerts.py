"""Every alert on a real engine: a planted fault makes it fire, fixed it is resolved, and a webhook is told both times.

All lanes of faults (alerts/table.py) begin at the same time. The rules are those that are shipped, with shorter times
(alerts/quick.py); that none of their alerts is left out is held by tests/unit/monitor/test_planted_faults.py. Alerts on
objectives are generated, and tried in tests/contract/test_objectives.py. Then experiments of the sample prove the
alerts that they name, on the same stack.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .alerts import load, table
from .alerts.fault import Fault
from .alerts.receiver import FIRING, RESOLVED
from .alerts.stack import Stack, new_name, watched
from .support import ROOT

TAKES = 240  # seconds: the stack, its monitoring, the lane that is longest, and two experiments
_FIRES = 240.0  # seconds: a file system has to fill up for one, and a slow machine takes its time
_RESOLVES = 150.0  # seconds: the longest window, and as much again


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The sample and services for faults, watched at short intervals."""
    with watched(tmp_path_factory.mktemp("alerts"), new_name("e2e")) as made:
        yield made


def test_each_fault_is_notified_and_so_is_its_end(stack: Stack) -> None:
    stack.wait_until_seen("app")
    with load.requests(stack), ThreadPoolExecutor(len(table.LANES)) as pool:
        lanes = [pool.submit(_lane, stack, lane) for lane in table.LANES]
        missing = [line for lane in lanes for line in lane.result()]

    sys.stdout.write("".join(f"{line}\n" for line in (*stack.told, *missing)))
    assert missing == [], stack.asked("/api/v1/alerts")["alerts"]
    (watchdog, _) = next(iter(table.ALWAYS))
    assert len(stack.receiver.times({"alertname": watchdog}, FIRING)) >= 2  # it is sent again and again
    assert stack.receiver.times({"alertname": watchdog}, RESOLVED) == []


def _lane(stack: Stack, lane: tuple[Fault, ...]) -> list[str]:
    """Plant the faults of a lane in turn, and fix each; returns what went wrong, and ends with the first of it."""
    for fault in lane:
        try:
            wrong = _fault(stack, fault)
        except (AssertionError, subprocess.SubprocessError) as error:
            wrong = [f"{fault.name}: {error}: {getattr(error, 'stderr', '')}"]
        if wrong:
            return wrong
    return []


def _fault(stack: Stack, fault: Fault) -> list[str]:
    wanted = {one: one.wanted(stack.project) for one in fault.alerts}
    wrong = [f"{one.name} fires before: {fault.name}" for one in wanted if stack.receiver.firing(wanted[one])]
    planted = time.monotonic()
    fault.plant(stack)
    fired = {one: stack.receiver.wait_until_fires(labels, planted, _FIRES) for one, labels in wanted.items()}
    fixed = time.monotonic()
    fault.fix(stack)
    for one, at in fired.items():
        if at is None:
            wrong.append(f"{one.name} does not fire: {fault.name}")
            continue
        end = stack.receiver.wait_until_resolved(wanted[one], _RESOLVES)
        if end is None:
            wrong.append(f"{one.name} is not resolved: {fault.name}")
        times = f"after {at - planted:.0f} s, resolved after {end - fixed if end else math.nan:.0f} s"
        stack.told.append(f"{one.name} ({one.severity}): {fault.name}: {times}")
    return wrong


@pytest.mark.parametrize(
    ("name", "alert", "seen"),
    [("proxy-stopped", "NginxDown", (7, 28)), ("database-paused", "ServiceErrors", (503,))],
)
def test_an_experiment_proves_the_alert_that_it_names(
    stack: Stack, name: str, alert: str, seen: tuple[int, ...]
) -> None:
    began = time.monotonic()
    done = stack.sample.json("chaos.run", name, "--env", "staging")
    journal = json.loads(Path(ROOT, done["journal"]).read_text())

    [told] = journal["extensions"]
    assert told["alert"] == done["alert"] and (done["alert"]["name"], done["alert"]["not_asked"]) == (alert, None)
    assert 0 < done["alert"]["fired_after"] < _FIRES and 0 < done["alert"]["resolved_after"] < _RESOLVES
    assert stack.receiver.times({"alertname": alert, "project": stack.project}, FIRING, began), "somebody is called"
    assert (done["deviated"], done["steady_state_met"]) == (False, {"before": True, "after": True})
    assert journal["run"][1]["output"]["status"] in seen, "of curl, and of HTTP"
    sys.stdout.write(f"{name}: {done['alert']}, {done['seconds']} s in all\n")
