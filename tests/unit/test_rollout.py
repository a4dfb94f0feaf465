"""How services are rolled out: order, the proxy's file, what a killed rollout leaves."""

from typing import Any

import pytest
from support import container, profile, stack

from tasks.plan.errors import InputError
from tasks.plan.rollout import (
    Aim,
    Batch,
    Move,
    Proxy,
    Source,
    batches,
    check,
    crashing,
    leads,
    leftovers,
    levels,
    moves,
    new_names,
    pointed,
    proven,
    reload,
    serving,
    too_many_failed,
    trouble,
    workers,
    write,
)
from tasks.plan.stack import Stack

UPSTREAM = """# kept
upstream web {
    zone web 64k;
    server web:8000 resolve max_fails=0;
    keepalive 32;
}
"""
NAMED = UPSTREAM.replace(
    "    server web:8000 resolve max_fails=0;\n",
    "    server shop-web-3:8000 resolve max_fails=0;\n    server web:8000 resolve max_fails=0 backup;\n",
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


def test_every_service_comes_after_those_it_depends_on() -> None:
    assert [[one.name for one in group] for group in levels(shop())] == [["store"], ["schema"], ["web"], ["front"]]


def test_only_what_serves_and_changes_is_rolled_out() -> None:
    changed = {"schema": "run", "web": "recreate", "front": "recreate"}
    everything = {"store", "web", "front"}

    assert moves(shop(), changed, everything) == (
        Move("recreate", ("schema",)), Move("blue-green", ("web",)), Move("recreate", ("front",)),
    )  # fmt: skip
    assert moves(shop(), {"web": "scale"}, everything) == (Move("recreate", ("web",)),)
    assert moves(shop(), {}, everything) == ()


def test_a_first_deploy_is_one_call_of_compose() -> None:
    first = dict.fromkeys(("store", "schema", "web", "front"), "create")
    assert moves(shop(), first, ()) == (Move("recreate", ("store", "schema", "web", "front")),)


def test_update_config_is_honoured_where_x_slipway_says_nothing() -> None:
    policy = {"order": "start-first", "parallelism": 2, "delay": "1m30s", "monitor": "500ms", "max_failure_ratio": 0.5}
    web = shop(**{"x-slipway": {}, "deploy": {"replicas": 5, "update_config": policy}}).services["web"]

    assert web.rollout == "start-first"
    assert (web.update.delay, web.update.monitor, web.update.failure_action) == (90.0, 0.5, "rollback")
    old = [f"web-{number}" for number in range(1, 7)]  # one more than there are to be
    assert [(one.count, one.leaving) for one in batches(web, old)] == [
        (2, ("web-1", "web-2")), (2, ("web-3", "web-4")), (1, ("web-5", "web-6")),
    ]  # fmt: skip
    assert [(one.count, one.leaving) for one in batches(web, ["web-1"])] == [(2, ("web-1",)), (2, ()), (1, ())]
    assert not too_many_failed(web, 1, 2)
    assert too_many_failed(web, 2, 2)


def test_without_a_word_a_service_is_recreated_all_at_once() -> None:
    web = shop(**{"x-slipway": {}}).services["web"]
    assert web.rollout == "recreate"
    assert batches(web, ["a", "b"]) == (Batch(1, ("a", "b")),)
    assert too_many_failed(web, 1, 2)


def test_the_file_leads_to_containers_by_the_pattern_of_the_service() -> None:
    assert pointed(UPSTREAM, "web", Aim(["shop-web-3"])) == NAMED
    assert pointed(NAMED, "web", Aim(["shop-web-3"])) == NAMED
    assert pointed(NAMED, "web", Aim([])) == UPSTREAM
    two = pointed(NAMED, "web", Aim(["shop-web-4", "shop-web-5"]))
    assert serving(two, "web") == ("shop-web-4", "shop-web-5")
    assert "shop-web-3" not in two


def test_while_new_containers_are_watched_the_old_ones_are_the_backup() -> None:
    made = pointed(NAMED, "web", Aim(["shop-web-4"], backups=["shop-web-3"]))
    assert made == UPSTREAM.replace(
        "    server web:8000 resolve max_fails=0;\n",
        "    server shop-web-4:8000 resolve max_fails=0;\n"
        "    server shop-web-3:8000 resolve max_fails=0 down;\n"
        "    server shop-web-3:8000 resolve max_fails=0 backup;\n"
        "    server web:8000 resolve max_fails=0 backup down;\n",
    )
    assert serving(made, "web") == ("shop-web-4",)
    assert pointed(made, "web", Aim(["shop-web-4"])) == NAMED.replace("shop-web-3", "shop-web-4")


def test_what_is_being_watched_is_not_proven_yet() -> None:
    both = {"shop-web-1", "shop-web-2", "shop-web-3"}
    one = pointed(NAMED, "web", Aim(["shop-web-2"], backups=["shop-web-1"]))
    assert proven(one, "web", both, 1) == ("shop-web-1",)
    assert proven(one, "web", {"shop-web-2"}, 1) == ("shop-web-2",), "the old one has gone meanwhile"
    two = pointed(NAMED, "web", Aim(["shop-web-2", "shop-web-3"], backups=["shop-web-1"]))
    assert proven(two, "web", both, 2) == ("shop-web-2", "shop-web-1")
    assert proven(NAMED, "web", both, 1) == ("shop-web-3",)


def test_what_is_about_to_serve_is_named_before_it_is_led_to() -> None:
    made = pointed(NAMED, "web", Aim(["shop-web-3"], coming=["shop-web-4"]))
    line = "    server shop-web-3:8000 resolve max_fails=0;\n"
    assert made == NAMED.replace(line, f"{line}    server shop-web-4:8000 resolve max_fails=0 down;\n")
    assert serving(made, "web") == ("shop-web-3",)


def test_only_a_file_that_has_the_pattern_of_a_service_leads_to_it() -> None:
    assert leads(UPSTREAM, "web")
    assert not leads(UPSTREAM, "shop")


def test_a_file_on_one_line_is_understood() -> None:
    text = "upstream web { server web:80; }\n"
    made = pointed(text, "web", Aim(["a"]))
    assert made == "upstream web { server a:80;\n server web:80 backup;}\n"
    assert serving(made, "web") == ("a",)


def test_a_server_in_a_comment_is_none() -> None:
    text = "# a server web:1; of old\n" + UPSTREAM
    assert pointed(text, "web", Aim(["shop-web-3"])) == "# a server web:1; of old\n" + NAMED


def test_a_file_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="has no line `server web:PORT"):
        pointed("upstream web { server 10.0.0.1:80; }", "web", Aim(["a"]))


def test_compose_goes_on_from_the_greatest_number() -> None:
    assert new_names("shop", "web", [container("shop-web-2"), container("shop-web-7")], 2) == (
        "shop-web-8",
        "shop-web-9",
    )
    assert new_names("shop", "web", [], 1) == ("shop-web-1",)


def test_what_the_proxy_leads_to_serves_whatever_was_meant() -> None:
    web = shop().services["web"]
    found = [container("shop-web-1", health="healthy"), container("shop-web-2", health="healthy")]

    assert [one.name for one in leftovers(web, found, ["shop-web-1"])] == ["shop-web-2"]
    assert [one.name for one in leftovers(web, found, ["shop-web-2"])] == ["shop-web-1"]
    assert [one.name for one in leftovers(web, found, ["shop-web-9"])] == ["shop-web-1"]
    assert leftovers(web, found[:1], ["shop-web-1"]) == ()
    failed = [found[0], container("shop-web-2", health="unhealthy")]
    assert [one.name for one in leftovers(web, failed, ["shop-web-2"])] == ["shop-web-2"]


def test_without_a_proxy_what_is_ready_serves() -> None:
    web = shop().services["web"]
    found = [container("shop-web-1", health="healthy"), container("shop-web-2", health="starting"),
             container("shop-web-3", state="created")]  # fmt: skip

    assert [one.name for one in leftovers(web, found, ())] == ["shop-web-2", "shop-web-3"]
    assert leftovers(web, found[:1], ()) == ()


def test_what_is_to_serve_again_stays_before_what_the_proxy_leads_to() -> None:
    web = shop().services["web"]
    found = [container("shop-web-1", health="starting"), container("shop-web-2", health="healthy", image_id="sha256:b")]
    assert [one.name for one in leftovers(web, found, ["shop-web-2"], "sha256:a")] == ["shop-web-2"]
    assert [one.name for one in leftovers(web, found, ["shop-web-2"], "sha256:c")] == ["shop-web-1"]


def test_what_does_not_stay_healthy_is_named() -> None:
    web = shop().services["web"]
    found = [container("shop-web-1", health="healthy"), container("shop-web-2", health="unhealthy"),
             container("shop-web-3", state="exited"), container("shop-web-4", restarts=1)]  # fmt: skip
    names = [f"shop-web-{number}" for number in range(1, 6)]

    assert trouble(web, found, names) == (
        "shop-web-2 is unhealthy", "shop-web-3 is exited", "shop-web-4 was restarted", "shop-web-5 is gone",
    )  # fmt: skip


def test_the_proxy_looks_at_the_file_before_it_is_told_to_read_it() -> None:
    source, front = Source(profile(), "/srv"), Proxy(shop().services["front"], ("front-1",))

    assert [one.shell() for one in write(source, "front-1", front.file("web"), "text")] == [
        "printf '%s' text | docker exec --interactive front-1 cp /dev/stdin /etc/up/.web.conf.new",
        "docker exec front-1 cp /etc/up/web.conf /etc/up/.web.conf.previous",
        "docker exec front-1 mv /etc/up/.web.conf.new /etc/up/web.conf",
    ]
    assert [one.shell() for one in check(source, front, "front-1")] == ["docker exec front-1 front --test"]
    assert reload(source, front, "front-1").shell() == "docker kill --signal=HUP front-1"


def test_only_workers_of_the_proxy_are_waited_for() -> None:
    front = Proxy(shop().services["front"], ("front-1",))
    table = [{"PID": "1", "CMD": "front: master"}, {"PID": "7", "CMD": "front: worker process"},
             {"PID": "6", "CMD": "front: worker process is shutting down"}]  # fmt: skip
    assert workers(front, table) == ("7", "6")


def test_an_earlier_model_goes_to_compose_by_its_input() -> None:
    command = Source(profile(COMPOSE_FILE="compose.yaml"), "/srv", "{}").up(["web"])
    assert command.stdin == "{}"
    assert command.env["COMPOSE_FILE"] == "-"


def test_what_is_started_again_and_again_is_named() -> None:
    assert crashing([container("shop-web-1", restarts=2)]) == ""
    assert crashing([container("shop-web-1"), container("shop-web-2", restarts=3, exit_code=7)]) == (
        "shop-web-2 was restarted 3 times, exit code 7"
    )
