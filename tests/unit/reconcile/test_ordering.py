"""Which operations of a plan wait for which, and which containers a failed operation leaves behind."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from support import container, stack

from tasks.model.engine.facts import Network
from tasks.model.stack.stack import Stack
from tasks.reconcile.plan import operation
from tasks.reconcile.plan.observed import Observed
from tasks.reconcile.plan.operation import Operation
from tasks.reconcile.plan.ordering import OF_SERVICES, containers_to_remove, ordered, undo_names

HEALTHY = {"condition": "service_healthy"}
ROLLED = {"x-slipway": {"rollout": "start-first"}}
NET = {"networks": {"default": {"name": "shop_net"}}}
KINDS = {value for name, value in vars(operation).items() if name.isupper() and isinstance(value, str)}
ACTIONS = {operation.UNCHANGED, operation.WAIT, operation.SCALE}  # what happens to a service, and no operation


def of(kind: str, *services: str, **more: Any) -> Operation:
    """Return an operation on services."""
    return Operation(kind, " ".join(services), services=services, **more)


def after(operations: Sequence[Operation], made: Stack, observed: Observed | None = None) -> list[tuple[int, ...]]:
    """Return for each operation the numbers of those that it waits for."""
    return [operation.after for operation in ordered(operations, made, observed or Observed())]


def test_a_kind_that_is_not_known_waits_for_all_before_it_and_is_waited_for_by_all_after_it() -> None:
    made = stack({"a": {}, "b": {}})
    listed = [of("stop", "a"), of("stop", "b"), of("some new kind", "a"), of("start", "a"), of("start", "b")]
    assert after(listed, made) == [(), (), (1, 2), (3,), (3,)]


@pytest.mark.parametrize("kind", sorted(KINDS - ACTIONS))
def test_a_kind_touches_the_services_that_it_names_or_everything(kind: str) -> None:
    made = stack({"a": {}, "b": {}, "c": {}})
    befores = after([of("start", "a"), of(kind, "b", names=("shop-b-1",)), of("start", "c"), of("start", "b")], made)
    owner = Observed((container("shop-b-1"),))
    if kind == operation.REPLACE_NETWORK:
        befores = after([of("start", "a"), of(kind, "b"), of("start", "c"), of("start", "b")], made, owner)
    if kind == operation.SMOKE:
        assert befores == [(), (1,), (2,), (2,)], "it asks all that is not being rolled out"
    else:
        assert befores == ([(), (), (), (2,)] if kind in OF_SERVICES else [(), (1,), (2,), (2,)])


def test_the_data_is_saved_and_the_end_is_looked_at_while_nothing_else_is_done() -> None:
    assert (
        not {operation.BACKUP, operation.RESTORE, operation.NAME, operation.BUILD, operation.PULL, operation.SETTLE}
        & OF_SERVICES
    )


def test_operations_on_a_service_keep_their_order_and_other_services_are_parallel() -> None:
    made = stack({"a": ROLLED, "b": ROLLED})
    steps = [
        operation.CREATE,
        operation.START,
        operation.AWAIT,
        operation.WATCH,
        operation.PROVE,
        operation.STOP,
        operation.REMOVE,
    ]
    listed = [of(kind, name) for name in ("a", "b") for kind in steps]
    befores = after(listed, made)
    assert befores[:7] == [(), (1,), (2,), (3,), (4,), (5,), (6,)]
    assert befores[7:] == [(), (8,), (9,), (10,), (11,), (12,), (13,)]


def test_a_service_comes_after_what_it_depends_on_over_others_that_stay_as_they_are() -> None:
    made = stack({"a": {"depends_on": {"b": HEALTHY}}, "b": {"depends_on": {"c": HEALTHY}}, "c": {}, "d": {}})
    listed = [of("recreate", "c"), of("await healthy", "c"), of("recreate", "a"), of("recreate", "d")]
    assert after(listed, made) == [(), (1,), (2,), ()]


def test_a_proxy_reloads_its_configuration_only_while_it_is_not_pointed_elsewhere() -> None:
    proxy = {"x-slipway": {"proxy": {"upstreams": "/etc/upstreams"}, "reload": {}}}
    made = stack({"a": ROLLED, "b": ROLLED, "front": proxy, "c": {}})
    listed = [of("point proxy", "a"), of("reload", "front"), of("point proxy", "b"), of("reload", "c")]
    assert after(listed, made) == [(), (1,), (2,), ()]


def test_who_uses_what_another_container_has_comes_after_it() -> None:
    made = stack({"a": {}, "side": {"network_mode": "service:a"}})
    assert after([of("recreate", "a"), of("recreate", "side")], made) == [(), (1,)]


def test_what_follows_from_another_is_not_said_again() -> None:
    made = stack({"a": {}, "b": {"depends_on": {"a": HEALTHY}}})
    listed = [of("recreate", "a"), of("start", "a"), of("recreate", "b"), of("start", "b"), of("settle", "a", "b")]
    assert after(listed, made) == [(), (1,), (2,), (3,), (4,)]


def test_a_compose_command_for_several_services_conflicts_with_each_of_them() -> None:
    made = stack({"a": {}, "b": {}, "c": {}})
    assert after([of("recreate", "a", "b"), of("create", "c"), of("start", "b"), of("start", "a", "b")], made) == [
        (), (), (1,), (3,),
    ]  # fmt: skip


def test_the_proxy_is_not_recreated_during_a_rollout() -> None:
    made = stack({"front": {"x-slipway": {"proxy": {"upstreams": "/up"}}}, "a": ROLLED, "b": ROLLED})
    listed = [of("recreate", "front"), of("point proxy", "a"), of("point proxy", "b"), of("reload", "front")]
    assert after(listed, made) == [(), (1,), (1,), (2, 3)]


def test_a_job_changes_the_data_of_what_it_depends_on() -> None:
    made = stack(
        {
            "store": {},
            "migrate": {"depends_on": {"store": HEALTHY}, "x-slipway": {"job": "migrate"}},
            "web": {"depends_on": {"store": HEALTHY}},
            "other": {},
        }
    )
    listed = [of("run", "migrate"), of("recreate", "web"), of("recreate", "other")]
    assert after(listed, made) == [(), (1,), ()], "web does not say that it needs the job, and reads what it writes"


def test_the_first_operation_that_needs_a_network_creates_it_for_the_others() -> None:
    made = stack({name: {"networks": {"default": None}} for name in "abc"}, **NET)
    listed = [of("create", "a"), of("create", "b"), of("create", "c"), of("start", "c")]
    assert after(listed, made) == [(), (1,), (1,), (3,)]
    observed = Observed(networks={"shop_net": Network("shop_net", "n1")})
    assert after(listed, made, observed) == [(), (), (), (3,)]


def test_a_network_is_replaced_before_its_members_are_recreated() -> None:
    made = stack({"a": {"networks": {"default": None}}, "b": {"networks": {"default": None}}, "c": {}}, **NET)
    observed = Observed((container("shop-c-1"),), networks={"shop_net": Network("shop_net", "n1")})
    replaced = Operation("replace network", "shop_net", services=("a", "b"), names=("shop-c-1",))
    listed = [replaced, of("recreate", "a"), of("recreate", "b"), of("restart", "c")]
    assert after(listed, made, observed) == [(), (1,), (2,), (1,)], "c was in it; b finds the network that a makes"


def test_containers_of_removed_services_are_removed_after_everything_before() -> None:
    made = stack({"a": ROLLED, "b": ROLLED})
    observed = Observed((container("shop-old-1"),))
    leaves = Operation("stop", "old", names=("shop-old-1",))
    assert after([of("watch", "a"), of("watch", "b"), leaves, of("start", "a")], made, observed) == [
        (),
        (),
        (1, 2),
        (3,),
    ]


def test_a_smoke_test_in_a_rollout_waits_for_all_services_except_other_rollouts() -> None:
    made = stack({"a": ROLLED, "b": ROLLED, "plain": {}})
    asks = Operation("smoke", "b", services=("b",), names=("shop-b-2",))
    listed = [of("recreate", "plain"), of("watch", "a"), of("watch", "b"), asks, of("stop", "a"), of("stop", "plain")]
    assert after(listed, made) == [(), (), (), (1, 3), (2,), (4,)]
    last = Operation("smoke", "shop")
    assert after([of("watch", "a"), of("watch", "b"), last], made) == [(), (), (1, 2)]


def test_any_two_conflicting_operations_are_ordered_directly_or_indirectly() -> None:
    names = [f"s{number}" for number in range(6)]
    made = stack({name: {"depends_on": {names[n // 2]: HEALTHY}} if n else {} for n, name in enumerate(names)})
    listed = ordered([of(kind, name) for name in names for kind in ("recreate", "start")], made, Observed())
    before: dict[int, set[int]] = {}
    for step in listed:
        before[step.number] = {
            *step.after,
            *(earlier for number in step.after for earlier in before[number]),
        }
        assert not any(number in before[other] for number in step.after for other in step.after)
    for first, second in combinations(listed, 2):
        place = names.index(second.subject)
        line = {second.subject} | {names[place >> 1]} | {names[place >> 2]} | {names[place >> 3]}
        assert (first.number in before[second.number]) == (first.subject in line), (first.subject, second.subject)


# What is left when an operation stops half way


def test_a_failed_create_leaves_only_containers_that_were_not_there_before() -> None:
    made, observed = stack({"a": {}}), Observed((container("shop-a-1"),))
    assert undo_names(of("create", "a", names=("shop-a-1", "shop-a-2")), made, observed) == ("shop-a-2",)
    assert undo_names(of("start", "a", names=("shop-a-2",)), made, observed) == ()


def test_a_container_that_compose_recreates_has_a_temporary_name() -> None:
    observed = Observed((container("shop-a-1", id="0123456789abcdef"), container("shop-b-1", id="f" * 64)))
    made = stack({"a": {}, "b": {"container_name": "bee"}, "job": {}})
    assert undo_names(of("recreate", "a", "b"), made, observed) == ("0123456789ab_shop-a-1", f"{'f' * 12}_bee")
    assert undo_names(of("run", "job"), made, observed) == ("shop-job-1",)


def test_containers_that_never_started_are_removed_unless_they_are_the_last_of_their_number() -> None:
    old, fresh = container("shop-a-1", id="0123456789abcdef"), container("shop-a-2", state="created")
    operation = of("create", "a", undo=("shop-a-2", "shop-a-3"))
    assert containers_to_remove(operation, [old], [old, fresh]) == ("shop-a-2",)
    assert containers_to_remove(operation, [old], [old, container("shop-a-2")]) == (), "it runs"
    anew = container("shop-a-1", state="created")
    twin = type(anew)(**{**vars(anew), "name": "0123456789ab_shop-a-1"})
    operation = of("recreate", "a", undo=(twin.name,))
    assert containers_to_remove(operation, [old], [old, twin]) == (twin.name,)
    assert containers_to_remove(operation, [old], [twin]) == (), (
        "the volumes without a name of the old one are in it alone"
    )
