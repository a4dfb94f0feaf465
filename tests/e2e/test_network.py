"""A network gets other options while clients read and write rows: nothing is lost, and the database stays."""

import pytest
from tabulate import tabulate

from tests.life.stack import Stack, standing
from tests.life.stacks import proxied
from tests.life.steps import NOTHING, commit, network, replaced
from tests.life.week import HEADERS, KILLED, RollBack, Step, killed, live

from .support import docker

TAKES = 120  # seconds: each step waits for a stack under load

_KEPT = ("db", "edge")
_CLOSED, _OPEN = "\n  inner:\n    internal: true\n", "\n  inner:\n"
_OPENED = commit(replaced("compose.yaml", _CLOSED, _OPEN), "Open")
_SHUT = commit(replaced("compose.yaml", _OPEN, _CLOSED), "Shut")


def _is(internal: str, stack: Stack) -> str:
    """Return what is wrong with the network, or that its substitute is left over; "" when nothing is."""
    wrong = network("inner", ".Internal", internal)(stack)
    names = docker("network", "ls", "--filter", f"name=^{stack.project}_", "--format", "{{.Name}}").split()
    return wrong or (
        "" if sorted(names) == [f"{stack.project}_inner", f"{stack.project}_outer"] else f"there are {names}"
    )


def _open(stack: Stack) -> str:
    return _is("false", stack)


def _shut(stack: Stack) -> str:
    return _is("true", stack)


_STEPS = (
    Step("open", _OPENED, kept=_KEPT, check=_open),
    Step("roll back", act=RollBack(1), kept=_KEPT, check=_shut),
    # Events: create and start in the substitute network, the end of the former container; then the same to come back.
    Step("killed while it is left, forward again", act=killed(1), code=KILLED, kept=_KEPT),
    Step("deployed after that", kept=_KEPT, check=_open),
    Step("killed while it is entered", _SHUT, act=killed(3), code=KILLED, kept=_KEPT),
    Step("deployed after that, too", kept=_KEPT, check=_shut),
    NOTHING,
)


@pytest.mark.timeout(900)
def test_a_network_gets_other_options_and_no_client_notices() -> None:
    with standing(proxied.make) as stack:
        rows = live(stack, _STEPS).rows

    table = tabulate([row.line() for row in rows], HEADERS)
    losses = "\n".join(line for row in rows for line in row.losses[:5])
    assert not any(row.faults for row in rows), f"\n{table}\n{losses}"
    assert sum(row.foreseen != () for row in rows) == 0, f"\n{table}"
