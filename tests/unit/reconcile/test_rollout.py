"""How services are rolled out: their order, batches, names, and the commands that point the proxy to them."""

from typing import Any

from support import container, profile, stack

from tasks.model.compose import Source
from tasks.model.stack.stack import Stack
from tasks.model.stack.verdict import container_problems, crash_loop
from tasks.reconcile.plan.rollout import (
    Batch,
    Proxy,
    batches,
    check,
    levels,
    new_names,
    reload,
    too_many_failed,
    workers,
    write,
)

PROXY = {"upstreams": "/etc/up/", "check": ["front", "--test"], "workers": "front: worker"}
HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}


def shop(**web: Any) -> Stack:
    """Return a stack of database, migration, service and proxy."""
    after = {"schema": {"condition": "service_completed_successfully"}}
    return stack(
        {
            "front": {"depends_on": {"web": {"condition": "service_healthy"}}, "x-slipway": {"proxy": PROXY}},
            "web": {"depends_on": after, "x-slipway": {"rollout": "blue-green"}, **HEALTH, **web},
            "schema": {"depends_on": {"store": {"condition": "service_healthy"}}, "x-slipway": {"job": "migrate"}},
            "store": HEALTH,
        }
    )


def test_every_service_comes_after_its_dependencies() -> None:
    assert [[service.name for service in group] for group in levels(shop())] == [
        ["store"],
        ["schema"],
        ["web"],
        ["front"],
    ]


def test_update_config_is_honoured_where_x_slipway_says_nothing() -> None:
    policy = {"order": "start-first", "parallelism": 2, "delay": "1m30s", "monitor": "500ms", "max_failure_ratio": 0.5}
    web = shop(**{"x-slipway": {}, "deploy": {"replicas": 5, "update_config": policy}}).services["web"]

    assert web.rollout == "start-first"
    assert (web.update.delay, web.update.monitor, web.update.failure_action) == (90.0, 0.5, "rollback")
    old = [f"web-{number}" for number in range(1, 7)]  # one more than there should be
    assert [(batch.count, batch.leaving) for batch in batches(web, old, 5)] == [
        (2, ("web-1", "web-2")), (2, ("web-3", "web-4")), (1, ("web-5", "web-6")),
    ]  # fmt: skip
    assert [(batch.count, batch.leaving) for batch in batches(web, ["web-1"], 5)] == [(2, ("web-1",)), (2, ()), (1, ())]
    assert not too_many_failed(web, 1, 2)
    assert too_many_failed(web, 2, 2)


def test_without_a_word_a_service_is_recreated_all_at_once() -> None:
    web = shop(**{"x-slipway": {}}).services["web"]
    assert web.rollout == "recreate"
    assert batches(web, ["a", "b"], 1) == (Batch(1, ("a", "b")),)
    assert too_many_failed(web, 1, 2)


def test_compose_goes_on_from_the_greatest_number() -> None:
    assert new_names("shop", "web", [container("shop-web-2"), container("shop-web-7")], 2) == (
        "shop-web-8",
        "shop-web-9",
    )
    assert new_names("shop", "web", [], 1) == ("shop-web-1",)


def test_containers_that_do_not_stay_healthy_are_named() -> None:
    web = shop().services["web"]
    containers = [container("shop-web-1", health="healthy"), container("shop-web-2", health="unhealthy"),
             container("shop-web-3", state="exited"), container("shop-web-4", restarts=1)]  # fmt: skip
    names = [f"shop-web-{number}" for number in range(1, 6)]

    assert container_problems(web, containers, names) == (
        "shop-web-2 is unhealthy", "shop-web-3 is exited", "shop-web-4 was restarted", "shop-web-5 is gone",
    )  # fmt: skip


def test_the_proxy_checks_its_file_before_it_reloads() -> None:
    source, front = Source(profile(), "/srv"), Proxy(shop().services["front"], ("front-1",))

    assert [command.shell() for command in write(source, "front-1", front.file("web"), "text")] == [
        "printf '%s' text | docker exec --interactive front-1 cp /dev/stdin /etc/up/.web.conf.new",
        "docker exec front-1 mv /etc/up/.web.conf.new /etc/up/web.conf",
    ]
    assert [command.shell() for command in check(source, front, "front-1")] == ["docker exec front-1 front --test"]
    assert reload(source, front, "front-1").shell() == "docker kill --signal=HUP front-1"


def test_only_workers_of_the_proxy_are_waited_for() -> None:
    front = Proxy(shop().services["front"], ("front-1",))
    table = [{"PID": "1", "CMD": "front: master"}, {"PID": "7", "CMD": "front: worker process"},
             {"PID": "6", "CMD": "front: worker process is shutting down"}]  # fmt: skip
    assert workers(front, table) == ("7", "6")


def test_a_model_goes_to_compose_by_its_input() -> None:
    command = Source(profile(COMPOSE_FILE="compose.yaml"), "/srv", "{}").compose("create", "web")
    assert command.shell() == "printf '%s' '{}' | docker compose --env-file /dev/null create web"
    assert command.env["COMPOSE_FILE"] == "-"


def test_compose_never_decides_itself_which_containers_are_removed() -> None:
    source = Source(profile(COMPOSE_FILE="compose.yaml", COMPOSE_REMOVE_ORPHANS="true"), "/srv")
    command = source.compose("up", "--detach")
    assert command.env["COMPOSE_REMOVE_ORPHANS"] == "false"
    assert command.env["COMPOSE_FILE"] == "compose.yaml"
    assert command.stdin is None


def test_every_command_names_a_remote_engine() -> None:
    source = Source(profile(DOCKER_HOST="ssh://deploy@staging.example.com"), "/srv")
    for command in (source.compose("up"), source.docker("start", "shop-web-1")):
        assert command.env["DOCKER_HOST"] == "ssh://deploy@staging.example.com"
        assert command.cwd == "/srv"


def test_what_is_started_again_and_again_is_named() -> None:
    assert crash_loop([container("shop-web-1", restarts=2)]) == ""
    assert crash_loop([container("shop-web-1"), container("shop-web-2", restarts=3, exit_code=7)]) == (
        "shop-web-2 was restarted 3 times, exit code 7"
    )
