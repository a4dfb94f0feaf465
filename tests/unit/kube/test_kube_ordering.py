"""The order of services, for stacks that are drawn at random."""

import random
from typing import Any

import pytest
from workload_release import COMPLETED, HEALTHY, one, release

from tasks.kube.plan.source import KubeSource
from tasks.kube.plan.workloads.ordering import distance, wave

STARTED = {"condition": "service_started", "required": True}


def drawn() -> KubeSource:
    """Return a release whose services need some of those before them."""
    services: dict[str, Any] = {}
    for number in range(random.randint(2, 12)):
        needs = random.sample(sorted(services), random.randint(0, min(3, number)))
        conditions = {name: random.choice([COMPLETED, HEALTHY, STARTED]) for name in needs}
        services[f"s{number:02}"] = {"image": "app", "depends_on": conditions}
    return release(**services)


@pytest.mark.parametrize("number", range(100))
def test_a_job_comes_after_what_it_needs_and_before_what_waits_for_it(number: int) -> None:
    stack = drawn().stack
    for service in stack.services.values():
        own = wave(stack, service.name)
        for name, condition in service.depends_on.items():
            if condition == COMPLETED["condition"] or stack.one_off(service):
                assert wave(stack, name) < own
            else:
                assert wave(stack, name) <= own
            assert distance(stack, name) < distance(stack, service.name)


@pytest.mark.parametrize("number", range(100))
def test_helm_runs_jobs_in_the_order_in_which_they_need_each_other(number: int) -> None:
    source = drawn()
    jobs = {name for name, service in source.stack.services.items() if source.stack.one_off(service)}
    notes = {name: one(source, name, "Job")["metadata"]["annotations"] for name in jobs}
    for name in jobs:
        for before in jobs & set(source.stack.services[name].depends_on):
            assert int(notes[before]["helm.sh/hook-weight"]) < int(notes[name]["helm.sh/hook-weight"])
            if notes[before]["helm.sh/hook"] == "pre-upgrade":
                assert notes[name]["helm.sh/hook"] != "pre-install,pre-upgrade", "it would come before what it needs"


def test_two_hundred_services_in_a_row_have_their_places() -> None:
    services: dict[str, Any] = {"s000": {"image": "app"}}
    for number in range(1, 200):
        services[f"s{number:03}"] = {"image": "app", "depends_on": {f"s{number - 1:03}": COMPLETED}}
    assert wave(release(**services).stack, "s199") == 2 * 199
