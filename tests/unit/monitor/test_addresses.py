"""Where the pages of the monitoring are, and by which store a task asks."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine, World
from support import container, profile, stack

from tasks.model.errors import RefusedError
from tasks.monitor import addresses
from tasks.telemetry.stores import PROMETHEUS, store

WATCHES = "slipway.monitors=shop"


def project(address: str = "unix:///var/run/docker.sock", **states: str) -> Any:
    """Return a project whose monitoring has these services, and another project's beside it."""
    boxes = [
        container(f"shop-monitoring-{name}-1", service=name, state=state, ports=(f"127.0.0.1:{port}->80/tcp",))
        for port, (name, state) in enumerate(states.items(), 9090)
    ]
    other = container("other-monitoring-prometheus-1", service="prometheus", ports=("127.0.0.1:7777->80/tcp",))
    world = World([*boxes, other])
    world.labels = {one.name: (WATCHES,) for one in boxes} | {other.name: ("slipway.monitors=other",)}
    engine = FakeEngine(world)
    return SimpleNamespace(stack=stack({}), profile=profile(), engine=engine, address=address)


def test_the_pages_of_what_runs_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    addresses.open_(project(prometheus="running", jaeger="exited"), "", json=False)
    assert capsys.readouterr().out == "prometheus    http://127.0.0.1:9090\n"


def test_for_a_remote_engine_there_is_the_command_that_brings_them_here(capsys: pytest.CaptureFixture[str]) -> None:
    addresses.open_(project("ssh://deploy@staging", prometheus="running", jaeger="running"), "", json=True)

    assert json.loads(capsys.readouterr().out)["tunnel"] == (
        "ssh -N -L 127.0.0.1:9091:127.0.0.1:9091 -L 127.0.0.1:9090:127.0.0.1:9090 -l deploy -- staging"
    )


def test_without_monitoring_it_says_how_to_start_it() -> None:
    with pytest.raises(RefusedError) as caught:
        addresses.open_(project(), "", json=False)
    assert (caught.value.message, caught.value.hint) == ("nothing monitors dev", "inv monitor.up --env dev")


def test_a_page_that_is_not_there_cannot_be_opened() -> None:
    with pytest.raises(RefusedError, match="grafana has no page"):
        addresses.open_(project(prometheus="running"), "grafana", json=False)


def test_a_store_is_asked_at_the_port_of_its_own_container() -> None:
    """The port of the profile may be that of another environment on the same machine."""
    assert store(project(alertmanager="running", prometheus="running"), PROMETHEUS).url == "http://127.0.0.1:9091"


def test_a_store_that_does_not_run_is_refused_with_the_address_where_it_would_be() -> None:
    with pytest.raises(RefusedError) as caught:
        store(project(prometheus="exited"), PROMETHEUS)
    assert caught.value.message == "prometheus of dev does not run: http://127.0.0.1:9090"
    assert caught.value.hint == "inv monitor.up --env dev"
