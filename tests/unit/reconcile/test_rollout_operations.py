"""How new containers of a service take over while the old ones serve, operation by operation."""

from typing import Any

from support import container, desired, image

from tasks.model.engine.facts import Container
from tasks.model.stack.upstream import ProxyTarget, retarget
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.observed import Observed, Stamp, State
from tasks.reconcile.plan.operation import Change, Operation
from tasks.reconcile.plan.rollout_operations import (
    follow_operations,
    leftover_operations,
    rollout_operations,
    scale_operations,
)

PATTERN = "upstream web {\n    server web:80;\n}\n"
HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}
AWAY = {"state": "exited"}


def leading(*names: str, backups: tuple[str, ...] = ()) -> str:
    """Return an upstream file that leads to containers, with the old ones as their backup."""
    lines = [*(f"server {name}:80;" for name in names), *(f"server {name}:80 backup;" for name in backups)]
    return PATTERN.replace("server web:80;", "\n    ".join([*lines, "server web:80 backup;"]))


def wanted(
    rollout: str = "blue-green",
    update: dict[str, Any] | None = None,
    replicas: int = 1,
    own: dict[str, Any] | None = None,
) -> Desired:
    """Return a service that is rolled out, of the image ``sha256:new``."""
    deploy = {"replicas": replicas, **({"update_config": update} if update else {})}
    web = {**HEALTH, "deploy": deploy, "x-slipway": {"rollout": rollout, **(own or {})}}
    return desired({"web": web}, images={"web": "sha256:new"})


def old(number: int = 1, **fields: Any) -> Container:
    return container(f"shop-web-{number}", **{"health": "healthy", "image_id": "sha256:old", **fields})


def new(number: int, **fields: Any) -> Container:
    return old(number, image_id="sha256:new", **fields)


def runs(*containers: Container, file: str = "", unproven: tuple[int, ...] = ()) -> Observed:
    """Return what runs, behind a proxy where there is a file; ``unproven`` were not watched to the end."""
    stamps = {f"id-shop-web-{number}": Stamp(proven=False) for number in unproven}
    front = {"upstreams": {"web": file}, "front": ("shop-front-1",)} if file else {}
    return Observed(containers, state=State(stamps), **front)  # type: ignore[arg-type]


def shown(operations: list[Operation]) -> list[str]:
    """Return a line for each operation: its kind, its containers, and what the proxy is pointed to."""
    lines = []
    for operation in operations:
        names = " ".join(name.removeprefix("shop-web-") for name in operation.names)
        if operation.aim:
            names = " ".join(name.removeprefix("shop-web-") for name in operation.aim.containers)
            names += "".join(f" +{name.removeprefix('shop-web-')}" for name in operation.aim.coming)
            names += "".join(f" ({name.removeprefix('shop-web-')})" for name in operation.aim.backups)
            canaries = " ".join(name.removeprefix("shop-web-") for name in operation.aim.canaries)
            names += f" [{canaries} {operation.aim.share} %]" if canaries else ""
        elif operation.share:
            names += f" at {operation.share} %"
        lines.append(f"{operation.kind} {names}".strip())
    return lines


def way(observed: Observed, to: Desired, **policy: Any) -> list[Operation]:
    """Return the operations of a rollout of service ``web``."""
    return rollout_operations(
        to.stack.service("web"), Change("web", "recreate", ("image changed",)), observed, to, Policy(**policy)
    )


TAKE_OVER = [
    "create 2", "start 2", "await healthy 2", "point proxy 1 +2", "rest", "point proxy 2 (1)", "watch 2", "smoke 2",
    "drain", "prove 2", "point proxy 2", "stop 1", "remove 1",
]  # fmt: skip


def proxied(*containers: Container, file: str, front: tuple[str, ...] = ("shop_back",), **more: Any) -> Observed:
    """Return what runs behind a proxy that is in some networks."""
    return runs(*containers, container("shop-front-1", networks=front), file=file, **more)


BACK, NOWHERE = {"networks": ("shop_back", "shop_more")}, {"networks": ()}


def test_a_container_that_the_proxy_cannot_look_up_leaves_before_new_ones_come() -> None:
    file = leading("shop-web-1", "shop-web-2")
    cut_off = proxied(old(1, **BACK), old(2, **NOWHERE), file=file)
    operations = shown(way(cut_off, wanted(replicas=2)))
    assert operations[:5] == ["point proxy 1", "drain", "stop 2", "remove 2", "create 2 3"]

    other = proxied(old(1, **BACK), old(2, networks=("shop_other",)), file=file)
    assert shown(way(other, wanted(replicas=2)))[:5] == operations[:5]
    for front in (("host",), ()):
        connected = proxied(old(1, **BACK), old(2, **NOWHERE), file=file, front=front)
        assert shown(way(connected, wanted(replicas=2)))[0] == "create 3 4", front


def test_a_way_back_never_names_a_container_that_the_proxy_cannot_look_up() -> None:
    file = leading("shop-web-2")
    observed = proxied(new(1, **BACK), old(2, **NOWHERE), file=file)
    lines = shown(way(observed, wanted(replicas=2), back=True))
    assert lines[:5] == ["point proxy 1", "drain", "stop 2", "remove 2", "create 2"]


def test_new_containers_are_proven_before_old_ones_are_removed() -> None:
    operations = way(runs(old(), file=leading("shop-web-1")), wanted(), smoke=True)

    assert shown(operations) == TAKE_OVER
    assert {operation.group for operation in operations} == {"blue-green web"}
    assert {operation.cause for operation in operations} == {("image changed",)}
    assert [operation.interrupts for operation in operations if operation.interrupts] == []


def shared(share: int) -> list[str]:
    return [f"weight 1 [2 {share} %]", f"watch 2 at {share} %"]


CANARY = [*TAKE_OVER[:5], *shared(5), *shared(25), *shared(50), *TAKE_OVER[5:]]


def test_a_canary_gets_shares_of_the_requests_first_and_each_is_watched() -> None:
    operations = way(runs(old(), file=leading("shop-web-1")), wanted("canary"), smoke=True)

    assert shown(operations) == CANARY
    assert [operation.seconds for operation in operations if operation.kind == "watch"] == [60.0, 60.0, 60.0, 5.0]
    shares = [operation.title("shop") for operation in operations if operation.share]
    assert shares[:2] == ["weight 5 % web-2", "watch web-2 at 5 %"]
    assert [operation.document().get("share") for operation in operations if operation.kind == "weight"] == [5, 25, 50]


def test_on_a_way_back_a_canary_takes_over_at_once() -> None:
    observed = runs(old(), file=leading("shop-web-1"))
    assert shown(way(observed, wanted("canary"), smoke=True, back=True)) == TAKE_OVER


def test_without_a_proxy_that_runs_a_canary_has_no_shares() -> None:
    assert "weight" not in str(shown(way(runs(old()), wanted("canary"))))


def test_what_numbers_judge_is_watched_until_metrics_were_read_twice() -> None:
    judged = {"metrics": {"port": 80}, "watch": {"errors": "1%"}}
    to = wanted("canary", update={"monitor": "40s"}, own={**judged, "canary": {"weight": [5], "every": "10s"}})
    observed = runs(old(), file=leading("shop-web-1"))
    watches = [one for one in way(observed, to, interval=15.0) if one.kind == "watch"]
    assert [(one.share, one.seconds, one.against) for one in watches] == [
        (5, 30.0, ("shop-web-1",)),
        (0, 40.0, ("shop-web-1",)),
    ]
    back = [one for one in way(observed, to, interval=15.0, back=True) if one.kind == "watch"]
    assert [(one.seconds, one.against) for one in back] == [(40.0, ())], "a way back is judged by nothing"


def test_what_is_left_of_a_canary_that_was_killed_is_taken_back_first() -> None:
    file = retarget(leading("shop-web-1"), "web", ProxyTarget(["shop-web-1"], canaries=["shop-web-2"], share=25))
    first = ["point proxy 1", "drain", "stop 2", "remove 2", *CANARY]
    assert shown(way(runs(old(), new(2), file=file, unproven=(2,)), wanted("canary"), smoke=True)) == first
    gone = way(runs(old(), new(2, **AWAY), file=file, unproven=(2,)), wanted("canary"), smoke=True)
    assert shown(gone) == first, "the file would name what is removed"
    none = way(runs(old(), file=file), wanted("canary"), smoke=True)
    assert shown(none) == [*first[:2], *CANARY]
    back = way(runs(old(image_id="sha256:new"), old(2), file=file, unproven=(2,)), wanted("canary"), back=True)
    assert shown(back) == first[:4]


def test_a_proxy_that_knows_only_the_service_name_is_first_pointed_to_the_serving_containers() -> None:
    lines = shown(way(runs(old(), file=PATTERN), wanted(), smoke=True))
    assert lines == ["point proxy  +1", "rest", "point proxy 1", "drain", *TAKE_OVER]


def test_without_a_proxy_there_is_nothing_to_point_and_nothing_to_ask() -> None:
    assert shown(way(runs(old()), wanted("start-first"), smoke=True)) == [
        "create 2", "start 2", "await healthy 2", "watch 2", "prove 2", "stop 1", "remove 1",
    ]  # fmt: skip


def test_batches_come_one_after_the_other_with_a_pause_between() -> None:
    update = {"parallelism": 1, "delay": "30s", "monitor": "3s", "max_failure_ratio": 0.5, "failure_action": "pause"}
    operations = way(runs(old(1), old(2)), wanted("start-first", update, replicas=2))

    first = ["create 3", "start 3", "await healthy 3", "watch 3", "prove 3", "stop 1", "remove 1"]
    two = ["create 4", "start 4", "await healthy 4", "watch 4", "prove 4", "stop 2", "remove 2"]
    assert shown(operations) == [*first, "rest", *two]
    assert [operation.counts for operation in operations if operation.kind == "create"] == [{"web": 3}, {"web": 3}]
    assert [operation.seconds for operation in operations if operation.kind in ("rest", "watch")] == [3.0, 30.0, 3.0]
    assert {operation.failure for operation in operations if operation.kind in ("await healthy", "watch")} == {"pause"}
    assert {operation.allowed for operation in operations} == {0}, "half of one container is none"


def test_only_the_last_batch_gets_a_smoke_test() -> None:
    update = {"parallelism": 1, "order": "start-first"}
    file = leading("shop-web-1", "shop-web-2")
    lines = shown(way(runs(old(1), old(2), file=file), wanted("start-first", update, replicas=2), smoke=True))

    assert [line for line in lines if line.startswith(("smoke", "point"))] == [
        "point proxy 1 2 +3", "point proxy 2 3 (1)", "point proxy 2 3",
        "point proxy 2 3 +4", "point proxy 3 4 (2)", "smoke 4", "point proxy 3 4",
    ]  # fmt: skip


def test_new_containers_are_waited_for_as_long_as_their_service_needs() -> None:
    operations = way(runs(old()), wanted(), timeout=60.0, timeouts={"web": 90.0})
    assert [operation.seconds for operation in operations if operation.kind == "await healthy"] == [90.0]


def test_without_a_health_check_new_containers_are_watched_for_as_long_as_they_settle() -> None:
    update = {"monitor": "3s"}
    web = {
        "image": "shop/web:1",
        "deploy": {"update_config": update},
        "x-slipway": {"rollout": "start-first", "settle": "20s"},
    }
    to = desired({"web": web}, images={"web": "sha256:new"})
    bare = Observed((old(),))
    by_image = Observed((old(),), images={"shop/web:1": image(health_check=True)})

    assert [operation.seconds for operation in way(bare, to) if operation.kind == "watch"] == [20.0]
    assert [operation.seconds for operation in way(by_image, to) if operation.kind == "watch"] == [3.0]


# What a deploy that was killed has left


def test_a_proven_container_serves_alone() -> None:
    operations = way(runs(old(1), new(2), file=leading("shop-web-2", backups=())), wanted())
    assert shown(operations) == ["point proxy 2", "drain", "stop 1", "remove 1"]


def test_an_unproven_container_does_not_finish_a_rollout() -> None:
    for observed in (
        runs(old(1), new(2), file=leading("shop-web-2", backups=("shop-web-1",))),
        runs(old(1), new(2), file=leading("shop-web-1"), unproven=(2,)),
        runs(old(1), new(2), unproven=(2,)),
    ):
        lines = shown(way(observed, wanted()))
        assert "stop 2" in lines, "what was begun leaves"
        assert lines.index("stop 2") < lines.index("create 2") < lines.index("watch 2") < lines.index("stop 1")


def test_a_container_that_was_never_proven_serves_no_client_on_the_way_back() -> None:
    # Two releases failed in a row: 2 finished its rollout in a deploy that was killed, 3 crashes again and again.
    back = desired({"web": {**HEALTH, "x-slipway": {"rollout": "blue-green"}}}, images={"web": "sha256:one"})
    for crashing in (old(3, health="starting"), old(3, health="unhealthy"), old(3, health="")):
        observed = runs(new(2), crashing, file=leading("shop-web-2"), unproven=(3,))
        lines = shown(way(observed, back, back=True))
        assert lines[:6] == ["point proxy 2", "drain", "stop 3", "remove 3", "create 3", "start 3"]


def test_where_nothing_was_proven_what_runs_serves() -> None:
    lines = shown(way(runs(old(1), file=leading("shop-web-1"), unproven=(1,)), wanted(), smoke=True))
    assert lines == TAKE_OVER


def test_on_the_way_back_what_ran_before_needs_no_watch() -> None:
    back = desired({"web": {**HEALTH, "x-slipway": {"rollout": "blue-green"}}}, images={"web": "sha256:old"})
    observed = runs(old(1), new(2), file=leading("shop-web-2", backups=("shop-web-1",)), unproven=(2,))

    assert shown(way(observed, back, back=True)) == [
        "point proxy 2 (1)", "rest", "point proxy 1", "drain", "stop 2", "remove 2",
    ], "of a name that is only a backup the proxy may not know the address"  # fmt: skip


def test_the_way_back_to_a_container_that_the_proxy_knows_leads_there_at_once() -> None:
    # As it is while 2 is watched; the proxy may not have read this, so nothing may lead to 2 on the way.
    back = desired({"web": {**HEALTH, "x-slipway": {"rollout": "blue-green"}}}, images={"web": "sha256:old"})
    file = retarget(PATTERN, "web", ProxyTarget(("shop-web-2",), ("shop-web-1",)))

    assert shown(way(runs(old(1), new(2), file=file, unproven=(2,)), back, back=True)) == [
        "point proxy 1", "drain", "stop 2", "remove 2",
    ]  # fmt: skip


def test_on_the_way_back_a_container_that_is_as_it_should_be_stays_among_others() -> None:
    back = desired({"web": {**HEALTH, "deploy": {"replicas": 2}}}, images={"web": "sha256:old"})

    assert shown(way(runs(old(2), new(3)), back, back=True)) == [
        "create 4", "start 4", "await healthy 4", "watch 4", "prove 4", "stop 3", "remove 3",
    ]  # fmt: skip
    unproven = shown(way(runs(old(2), new(3), unproven=(3,)), back, back=True))
    assert unproven[:3] == ["stop 3", "remove 3", "create 3"], "what was not watched to the end leaves first"
    assert not [line for line in unproven if line.endswith(" 2")]


def test_dead_containers_are_removed_before_new_ones_are_created() -> None:
    lines = shown(way(runs(old(1), old(2, **AWAY), file=leading("shop-web-1")), wanted(), smoke=True))
    assert lines[:2] == ["stop 2", "remove 2"]
    assert lines[2:4] == ["create 2", "start 2"], "Compose goes on from what is left"


def test_a_proxy_is_pointed_away_from_dead_containers_first() -> None:
    lines = shown(way(runs(old(1), old(2, **AWAY), file=leading("shop-web-1", "shop-web-2")), wanted()))
    assert lines[:4] == ["point proxy 1", "drain", "stop 2", "remove 2"]


def test_a_deploy_that_changes_nothing_leads_the_proxy_to_what_serves() -> None:
    to = wanted()
    web = to.stack.service("web")

    assert leftover_operations(web, runs(new(2), file=leading("shop-web-2")), to) == []
    assert leftover_operations(web, runs(new(2), file=PATTERN), to) == [], "it leads there by the name"
    assert leftover_operations(web, runs(new(2)), to) == []
    assert shown(leftover_operations(web, runs(new(2), file=leading("shop-web-1")), to)) == ["point proxy 2", "drain"]


# More, fewer and recreated containers


def scaling(observed: Observed, replicas: int) -> list[Operation]:
    to = wanted(replicas=replicas)
    return scale_operations(to.stack.service("web"), Change("web", "scale"), observed, to.stack, 90.0)


def test_additional_containers_are_ready_before_the_proxy_is_pointed_to_them() -> None:
    operations = scaling(runs(new(1), file=leading("shop-web-1")), 2)

    assert shown(operations) == [
        "create 2", "start 2", "await healthy 2", "point proxy 1 (2)", "rest", "point proxy 1 2", "drain",
    ]  # fmt: skip
    assert operations[0].counts == {"web": 2}
    assert operations[2].seconds == 90.0
    assert shown(scaling(runs(new(1)), 2)) == ["create 2", "start 2", "await healthy 2"]


def test_the_proxy_is_pointed_away_from_surplus_containers_before_their_removal() -> None:
    operations = scaling(runs(new(1), new(2), file=leading("shop-web-1", "shop-web-2")), 1)
    assert shown(operations) == ["point proxy 1", "drain", "stop 2", "remove 2"]


def test_surplus_containers_that_do_not_run_are_removed_first() -> None:
    assert shown(scaling(runs(new(1, **AWAY), new(2)), 1)) == ["stop 1", "remove 1"]


def test_a_proxy_is_pointed_to_recreated_containers_at_once() -> None:
    to = wanted()
    web, change = to.stack.service("web"), Change("web", "create")

    assert shown(follow_operations(web, change, runs(file=leading("shop-web-7")), to.stack)) == ["point proxy 1"]
    again = follow_operations(web, change, runs(old(7), file=leading("shop-web-7")), to.stack)
    assert shown(again) == ["point proxy 7"]
    assert again[0].begun, "by the same name it has another address, which the proxy has to ask for"
    assert follow_operations(web, Change("web", "unchanged"), runs(file=leading("shop-web-7")), to.stack) == []
    assert follow_operations(web, change, runs(file=PATTERN), to.stack) == []


def test_new_names_are_announced_before_the_proxy_leads_to_them_and_their_predecessor_serves_till_then() -> None:
    release = wanted()
    change = Change("web", "recreate", ("image changed",))

    def points(file: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        operations = rollout_operations(release.stack.service("web"), change, runs(old(), file=file), release, Policy())
        return [
            (tuple(operation.aim.containers), tuple(operation.aim.coming)) for operation in operations if operation.aim
        ]

    first, later = points(PATTERN), points(leading("shop-web-1"))
    assert first == [((), ("shop-web-1",)), (("shop-web-1",), ()), *later], "its own name serves until 1 is known"
    known: set[str] = {"shop-web-1"}
    for led, coming in later:
        assert known & {*led}
        known |= {*coming}
