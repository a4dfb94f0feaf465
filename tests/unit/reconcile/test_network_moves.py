"""How a network gets other options while what is in it serves; where it cannot, that is in ``test_reconcile.py``."""

from dataclasses import replace
from typing import Any

import pytest
from support import container, desired

from tasks.model.engine.facts import Container, Network
from tasks.reconcile.plan import networks
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.observed import Observed
from tasks.reconcile.plan.operation import Operation, Plan
from tasks.reconcile.plan.reconcile import reconcile

BACK, NEXT, FRONT = "shop_back", "shop_back-next", "shop_front"
HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}
WEB: dict[str, Any] = {
    **HEALTH,
    "networks": {"back": None, "front": None},
    "depends_on": {"store": {"condition": "service_healthy"}},
    "x-slipway": {"rollout": "start-first"},
}
STORE: dict[str, Any] = {**HEALTH, "networks": {"back": {"aliases": ["data"]}}}
OPEN = {"back": {"name": BACK}, "front": {"name": FRONT}}
THERE = Network(BACK, internal=True)
SECOND = Network(NEXT, labels={networks.NEXT_LABEL: BACK})
SUBNET = {"config": [{"subnet": "10.1.0.0/16"}]}
AT_HOME = (
    container("shop-store-1", health="healthy", networks=(BACK,)),
    container("shop-web-1", health="healthy", networks=(BACK, FRONT)),
)


def planned(
    *containers: Container,
    networks: tuple[Network, ...] = (THERE,),
    declared: dict[str, Any] | None = None,
    front: tuple[str, ...] = (),
    **services: Any,
) -> Plan:
    """Return the plan for a stack of ``web``, which is rolled out, and ``store``, whose network is open now."""
    wanted = desired({"web": WEB, "store": STORE, **services}, networks=declared or OPEN)
    known = {network.name: network for network in (*networks, Network(FRONT))}
    return reconcile(Observed(containers or AT_HOME, networks=known, front=front), wanted, Policy())


def lines(plan: Plan) -> list[str]:
    """Return operations as kind, subject and names, without those that wait."""
    quiet = ("await healthy", "watch", "prove", "settle")
    shown = [operation for operation in plan.operations if operation.kind not in quiet]
    return [" ".join((line.kind, line.subject, *(name for name in line.names))) for line in shown]


def on_networks(plan: Plan) -> list[Operation]:
    return [operation for operation in plan.operations if operation.kind in networks.NETWORK_KINDS]


def test_rolled_out_services_move_to_a_second_network_and_back() -> None:
    made = planned()
    assert lines(made) == [
        f"create network {NEXT}",
        f"connect {NEXT} shop-store-1",
        "create web shop-web-2",
        "start web shop-web-2",
        "stop web shop-web-1",
        "remove web shop-web-1",
        f"disconnect {BACK} shop-store-1",
        f"remove network {BACK}",
        f"create network {BACK}",
        f"connect {BACK} shop-store-1",
        "create web shop-web-3",
        "start web shop-web-3",
        "stop web shop-web-2",
        "remove web shop-web-2",
        f"disconnect {NEXT} shop-store-1",
        f"remove network {NEXT}",
    ]
    assert made.interrupts == ()
    assert {change.service: change.action for change in made.changed} == {"web": "recreate"}


def test_only_the_first_rollout_creates_containers_in_the_second_network() -> None:
    created = [operation for operation in planned().operations if operation.kind == "create"]
    assert [operation.through for operation in created] == [{BACK: NEXT}, {}]
    model = desired({"web": WEB}, networks=OPEN).model
    assert networks.with_network_names(model, {BACK: NEXT})["networks"] == {
        "back": {"name": NEXT},
        "front": {"name": FRONT},
    }


def test_the_commands_are_dockers_own_with_composes_labels_and_aliases() -> None:
    raw = {**OPEN["back"], "internal": True, "driver_opts": {"mtu": "9"}, "labels": {"team": "a$$b"}}
    made = planned(networks=(Network(BACK),), declared={**OPEN, "back": raw})
    shown = [" ".join(words) for operation in on_networks(made) for words in networks.network_commands(operation)]
    labels = "--label=com.docker.compose.project=shop --label=com.docker.compose.network=back"
    options = "--label=team=a$b --opt=mtu=9 --internal"
    assert shown == [
        f"network create {labels} --label=slipway.network={BACK} {options} {NEXT}",
        f"network connect --alias=store --alias=data --alias=shop-store-1 {NEXT} shop-store-1",
        f"network disconnect {BACK} shop-store-1",
        f"network rm {BACK}",
        f"network create {labels} {options} {BACK}",
        f"network connect --alias=store --alias=data --alias=shop-store-1 {BACK} shop-store-1",
        f"network disconnect {NEXT} shop-store-1",
        f"network rm {NEXT}",
    ]


def test_every_operation_on_a_network_says_why() -> None:
    assert {operation.cause for operation in on_networks(planned())} == {(f"network {BACK}: internal changed",)}


def test_several_that_stay_are_interrupted_for_their_connections_break() -> None:
    cache = container("shop-cache-1", health="healthy", networks=(BACK,))
    made = planned(*AT_HOME, cache, cache=STORE)
    assert [operation.interrupts for operation in made.operations if operation.kind == "disconnect"] == [
        ("store", "cache")
    ] * 2
    assert {change.service: change.interrupts for change in made.changes} == {
        "web": (),
        "store": ("store",),
        "cache": ("cache",),
    }


def test_a_job_that_has_ended_comes_along_and_is_not_interrupted() -> None:
    job = container("shop-job-1", state="exited", networks=(BACK,))
    made = planned(*AT_HOME, job, job={"networks": {"back": None}, "x-slipway": {"job": "once"}})
    moved = [(operation.kind, operation.subject) for operation in on_networks(made) if "shop-job-1" in operation.names]
    assert moved == [("connect", NEXT), ("disconnect", BACK), ("connect", BACK), ("disconnect", NEXT)]
    assert made.interrupts == ()


def test_several_rolled_out_services_stay_connected_to_both_networks() -> None:
    """A container of before finds the new ones of another service only in a network that both are in."""
    api = container("shop-api-1", health="healthy", networks=(BACK,))
    made = planned(*AT_HOME, api, api={**STORE, "x-slipway": {"rollout": "start-first"}})
    assert [
        f"{operation.subject} {operation.names[0]}" for operation in made.operations if operation.kind == "connect"
    ] == [
        f"{NEXT} shop-web-1",
        f"{NEXT} shop-store-1",
        f"{NEXT} shop-api-1",
        f"{BACK} shop-web-2",
        f"{BACK} shop-store-1",
        f"{BACK} shop-api-2",
    ]
    assert made.interrupts == ()


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("store publishes ports", {"store": {**STORE, "ports": [{"target": 1, "published": "1"}]}}),
        ("store has a fixed address or links", {"store": {**STORE, "links": ["web"]}}),
        (
            "web has a fixed address or links",
            {"web": {**WEB, "networks": {"back": {"ipv4_address": "10.1.0.2"}, "front": None}}},
        ),
        (
            "web continues when new containers fail",
            {"web": {**WEB, "deploy": {"update_config": {"failure_action": "continue"}}}},
        ),
        ("side follows web", {"side": {"network_mode": "service:web"}}),
        ("nothing in it is rolled out", {"web": {**WEB, "x-slipway": {}}}),
        ("the proxy does not run", {"edge": {"x-slipway": {"proxy": {"upstreams": "/up"}}}}),
        ("ipam cannot be used twice", {"declared": {**OPEN, "back": {"name": BACK, "ipam": SUBNET}}}),
        ("enable_ipv6 cannot be used twice", {"declared": {**OPEN, "back": {"name": BACK, "enable_ipv6": True}}}),
        ("driver macvlan cannot be used twice", {"declared": {**OPEN, "back": {"name": BACK, "driver": "macvlan"}}}),
        ("shop_back-next is another network", {"networks": (THERE, Network(NEXT))}),
        ("shop_back-next is another network", {"declared": {**OPEN, "other": {"name": NEXT}}}),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_moved_is_replaced_in_place_with_an_interruption(why: str, changed: Any) -> None:
    made = planned(**changed)
    kinds = [operation.kind for operation in on_networks(made)]
    assert kinds == ["replace network"]
    cause = next(operation.cause for operation in made.operations if operation.kind == "replace network")
    assert cause[-1] == f"replaced in place: {why}"
    assert {"web", "store"} <= set(made.interrupts)


def test_what_monitors_the_stack_does_not_keep_a_network_from_being_moved() -> None:
    inside = replace(THERE, containers=("shop-monitoring-prometheus-1",))
    assert [operation.kind for operation in on_networks(planned(*AT_HOME, networks=(inside,)))] == [
        operation.kind for operation in on_networks(planned(*AT_HOME))
    ]


def test_a_container_of_no_service_is_not_cut_off_unforeseen() -> None:
    made = planned(*AT_HOME, container("shop-old-1", networks=(BACK,)))
    assert [operation.kind for operation in on_networks(made)] == ["replace network"]


# What a deploy left that ended half-way


def test_an_empty_second_network_is_removed() -> None:
    made = planned(networks=(Network(BACK), SECOND))
    assert lines(made) == [f"remove network {NEXT}"]
    assert (made.changed, made.interrupts) == ((), ())


def test_after_a_kill_during_the_first_rollout_proven_containers_are_kept() -> None:
    store = replace(AT_HOME[0], networks=(BACK, NEXT))
    web = container("shop-web-2", health="healthy", networks=(NEXT, FRONT))
    assert lines(planned(store, web, networks=(THERE, SECOND))) == [
        f"disconnect {BACK} shop-store-1",
        f"remove network {BACK}",
        f"create network {BACK}",
        f"connect {BACK} shop-store-1",
        "create web shop-web-3",
        "start web shop-web-3",
        "stop web shop-web-2",
        "remove web shop-web-2",
        f"disconnect {NEXT} shop-store-1",
        f"remove network {NEXT}",
    ]


def test_after_a_kill_without_the_network_it_is_created_and_moved_back_to() -> None:
    store = replace(AT_HOME[0], networks=(NEXT,))
    web = container("shop-web-2", health="healthy", networks=(NEXT, FRONT))
    made = planned(store, web, networks=(SECOND,))
    assert lines(made)[:4] == [
        f"create network {BACK}",
        f"connect {BACK} shop-store-1",
        "create web shop-web-3",
        "start web shop-web-3",
    ]
    assert lines(made)[-2:] == [f"disconnect {NEXT} shop-store-1", f"remove network {NEXT}"]
    assert made.interrupts == ()
    assert {change.service for change in made.changed} == {"web"}, "the store stays as it is"


def test_the_way_back_during_the_first_rollout_leaves_serving_containers_alone() -> None:
    """The network is unchanged: only containers of the unfinished rollout are removed."""
    store, new = replace(AT_HOME[0], networks=(BACK, NEXT)), container("shop-web-2", networks=(NEXT, FRONT))
    made = planned(store, AT_HOME[1], new, networks=(Network(BACK), SECOND))
    assert lines(made) == [
        "stop web shop-web-2",
        "remove web shop-web-2",
        f"disconnect {NEXT} shop-store-1",
        f"remove network {NEXT}",
    ]


def test_a_container_in_both_networks_is_rolled_out_as_well() -> None:
    """Its clients connect through the network that it has to leave, so an equal configuration is not enough."""
    both = container("shop-web-1", health="healthy", networks=(BACK, NEXT, FRONT))
    made = planned(AT_HOME[0], both, networks=(THERE, SECOND))
    assert [line for line in lines(made) if line.startswith("create web")] == [
        "create web shop-web-2",
        "create web shop-web-3",
    ]


def test_a_second_network_with_wrong_options_is_created_anew_if_nothing_serves_in_it() -> None:
    store = replace(AT_HOME[0], networks=(BACK, NEXT))
    made = planned(store, AT_HOME[1], networks=(THERE, replace(SECOND, internal=True)))
    assert lines(made)[:4] == [
        f"disconnect {NEXT} shop-store-1",
        f"remove network {NEXT}",
        f"create network {NEXT}",
        f"connect {NEXT} shop-store-1",
    ]


def test_a_second_network_is_removed_even_if_nothing_runs() -> None:
    wanted = desired({"web": WEB, "store": STORE}, networks=OPEN)
    made = reconcile(Observed((), networks={BACK: Network(BACK), NEXT: SECOND}), wanted, Policy())
    assert lines(made) == ["up web store shop-web-1 shop-store-1", f"remove network {NEXT}"]
