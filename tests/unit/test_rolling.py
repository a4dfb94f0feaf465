"""How new containers of a service take over while the old ones serve, operation by operation."""

from typing import Any

from support import container, desired, image

from tasks.plan.desired import Desired
from tasks.plan.difference import Policy
from tasks.plan.facts import Container
from tasks.plan.observed import Observed, Stamp, State
from tasks.plan.operation import Change, Operation
from tasks.plan.rolling import following, leftover, rolled, scaled

PATTERN = "upstream web {\n    server web:80;\n}\n"
HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}
AWAY = {"state": "exited"}


def leading(*names: str, backups: tuple[str, ...] = ()) -> str:
    """Return an upstream file that leads to containers, with the old ones as their backup."""
    lines = [*(f"server {name}:80;" for name in names), *(f"server {name}:80 backup;" for name in backups)]
    return PATTERN.replace("server web:80;", "\n    ".join([*lines, "server web:80 backup;"]))


def wanted(rollout: str = "blue-green", update: dict[str, Any] | None = None, replicas: int = 1) -> Desired:
    """Return a service that is rolled out, of the image ``sha256:new``."""
    deploy = {"replicas": replicas, **({"update_config": update} if update else {})}
    web = {**HEALTH, "deploy": deploy, "x-slipway": {"rollout": rollout}}
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
    """Return operations in one line each: what, whom, and where the proxy leads."""
    found = []
    for one in operations:
        names = " ".join(name.removeprefix("shop-web-") for name in one.names)
        if one.aim:
            names = " ".join(name.removeprefix("shop-web-") for name in one.aim.containers)
            names += "".join(f" +{name.removeprefix('shop-web-')}" for name in one.aim.coming)
            names += "".join(f" ({name.removeprefix('shop-web-')})" for name in one.aim.backups)
        found.append(f"{one.kind} {names}".strip())
    return found


def way(observed: Observed, to: Desired, **policy: Any) -> list[Operation]:
    """Return the operations of a rollout of service ``web``."""
    return rolled(
        to.stack.service("web"), Change("web", "recreate", ("image changed",)), observed, to, Policy(**policy)
    )


TAKE_OVER = [
    "create 2", "start 2", "await healthy 2", "point proxy 1 +2", "rest", "point proxy 2 (1)", "watch 2", "smoke 2",
    "drain", "prove 2", "point proxy 2", "stop 1", "remove 1",
]  # fmt: skip


def test_new_containers_are_proven_before_the_old_ones_leave() -> None:
    found = way(runs(old(), file=leading("shop-web-1")), wanted(), smoke=True)

    assert shown(found) == TAKE_OVER
    assert {one.group for one in found} == {"blue-green web"}
    assert {one.cause for one in found} == {("image changed",)}
    assert [one.interrupts for one in found if one.interrupts] == []


def test_a_proxy_that_leads_to_the_name_only_is_led_to_what_serves_first() -> None:
    found = shown(way(runs(old(), file=PATTERN), wanted(), smoke=True))
    assert found == ["point proxy 1", "drain", *TAKE_OVER]


def test_without_a_proxy_there_is_nothing_to_point_and_nothing_to_ask() -> None:
    assert shown(way(runs(old()), wanted("start-first"), smoke=True)) == [
        "create 2", "start 2", "await healthy 2", "watch 2", "prove 2", "stop 1", "remove 1",
    ]  # fmt: skip


def test_batches_come_one_after_the_other_with_a_pause_between() -> None:
    update = {"parallelism": 1, "delay": "30s", "monitor": "3s", "max_failure_ratio": 0.5, "failure_action": "pause"}
    found = way(runs(old(1), old(2)), wanted("start-first", update, replicas=2))

    one = ["create 3", "start 3", "await healthy 3", "watch 3", "prove 3", "stop 1", "remove 1"]
    two = ["create 4", "start 4", "await healthy 4", "watch 4", "prove 4", "stop 2", "remove 2"]
    assert shown(found) == [*one, "rest", *two]
    assert [each.counts for each in found if each.kind == "create"] == [{"web": 3}, {"web": 3}]
    assert [each.seconds for each in found if each.kind in ("rest", "watch")] == [3.0, 30.0, 3.0]
    assert {each.failure for each in found if each.kind in ("await healthy", "watch")} == {"pause"}
    assert {each.allowed for each in found} == {0}, "half of one container is none"


def test_only_the_last_batch_is_asked_for_what_it_answers() -> None:
    update = {"parallelism": 1, "order": "start-first"}
    file = leading("shop-web-1", "shop-web-2")
    found = shown(way(runs(old(1), old(2), file=file), wanted("start-first", update, replicas=2), smoke=True))

    assert [one for one in found if one.startswith(("smoke", "point"))] == [
        "point proxy 1 2 +3", "point proxy 2 3 (1)", "point proxy 2 3",
        "point proxy 2 3 +4", "point proxy 3 4 (2)", "smoke 4", "point proxy 3 4",
    ]  # fmt: skip


def test_new_containers_are_waited_for_as_long_as_their_service_needs() -> None:
    found = way(runs(old()), wanted(), timeout=60.0, timeouts={"web": 90.0})
    assert [one.seconds for one in found if one.kind == "await healthy"] == [90.0]


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

    assert [one.seconds for one in way(bare, to) if one.kind == "watch"] == [20.0]
    assert [one.seconds for one in way(by_image, to) if one.kind == "watch"] == [3.0]


# What a deploy that was killed has left


def test_what_was_watched_to_its_end_serves_alone() -> None:
    found = way(runs(old(1), new(2), file=leading("shop-web-2", backups=())), wanted())
    assert shown(found) == ["point proxy 2", "drain", "stop 1", "remove 1"]


def test_what_was_not_watched_to_its_end_is_no_end_of_a_rollout() -> None:
    for observed in (
        runs(old(1), new(2), file=leading("shop-web-2", backups=("shop-web-1",))),
        runs(old(1), new(2), file=leading("shop-web-1"), unproven=(2,)),
        runs(old(1), new(2), unproven=(2,)),
    ):
        found = shown(way(observed, wanted()))
        assert "stop 2" in found, "what was begun leaves"
        assert found.index("stop 2") < found.index("create 2") < found.index("watch 2") < found.index("stop 1")


def test_on_the_way_back_what_ran_before_needs_no_watch() -> None:
    back = desired({"web": {**HEALTH, "x-slipway": {"rollout": "blue-green"}}}, images={"web": "sha256:old"})
    observed = runs(old(1), new(2), file=leading("shop-web-2", backups=("shop-web-1",)), unproven=(2,))

    assert shown(way(observed, back, back=True)) == [
        "point proxy 2 (1)", "rest", "point proxy 1", "drain", "stop 2", "remove 2",
    ]  # fmt: skip


def test_what_is_dead_leaves_before_new_containers_come() -> None:
    found = shown(way(runs(old(1), old(2, **AWAY), file=leading("shop-web-1")), wanted(), smoke=True))
    assert found[:2] == ["stop 2", "remove 2"]
    assert found[2:4] == ["create 2", "start 2"], "Compose goes on from what is left"


def test_a_proxy_that_leads_to_what_is_dead_is_led_away_from_it_first() -> None:
    found = shown(way(runs(old(1), old(2, **AWAY), file=leading("shop-web-1", "shop-web-2")), wanted()))
    assert found[:4] == ["point proxy 1", "drain", "stop 2", "remove 2"]


def test_a_deploy_that_changes_nothing_leads_the_proxy_to_what_serves() -> None:
    to = wanted()
    web = to.stack.service("web")

    assert leftover(web, runs(new(2), file=leading("shop-web-2")), to) == []
    assert leftover(web, runs(new(2), file=PATTERN), to) == [], "it leads there by the name"
    assert leftover(web, runs(new(2)), to) == []
    assert shown(leftover(web, runs(new(2), file=leading("shop-web-1")), to)) == ["point proxy 2", "drain"]


# More, fewer, and made anew


def scaling(observed: Observed, replicas: int) -> list[Operation]:
    to = wanted(replicas=replicas)
    return scaled(to.stack.service("web"), Change("web", "scale"), observed, to.stack, 90.0)


def test_more_containers_are_ready_before_the_proxy_leads_to_them() -> None:
    found = scaling(runs(new(1), file=leading("shop-web-1")), 2)

    assert shown(found) == [
        "create 2", "start 2", "await healthy 2", "point proxy 1 (2)", "rest", "point proxy 1 2", "drain",
    ]  # fmt: skip
    assert found[0].counts == {"web": 2}
    assert found[2].seconds == 90.0
    assert shown(scaling(runs(new(1)), 2)) == ["create 2", "start 2", "await healthy 2"]


def test_fewer_containers_are_led_away_from_before_they_leave() -> None:
    found = scaling(runs(new(1), new(2), file=leading("shop-web-1", "shop-web-2")), 1)
    assert shown(found) == ["point proxy 1", "drain", "stop 2", "remove 2"]


def test_of_too_many_containers_those_leave_first_that_do_not_run() -> None:
    assert shown(scaling(runs(new(1, **AWAY), new(2)), 1)) == ["stop 1", "remove 1"]


def test_a_proxy_follows_containers_that_were_made_anew_at_once() -> None:
    to = wanted()
    web, change = to.stack.service("web"), Change("web", "create")

    assert shown(following(web, change, runs(file=leading("shop-web-7")), to.stack)) == ["point proxy 1"]
    again = following(web, change, runs(old(7), file=leading("shop-web-7")), to.stack)
    assert shown(again) == ["point proxy 7"]
    assert again[0].begun, "by the same name it has another address, which the proxy has to ask for"
    assert following(web, Change("web", "unchanged"), runs(file=leading("shop-web-7")), to.stack) == []
    assert following(web, change, runs(file=PATTERN), to.stack) == []
