"""What a plan says of a configuration that has changed: which keys and names, and never a value."""

from typing import Any

import pytest
from support import container, desired

from tasks.reconcile.plan.configuration import MadeWith, differences
from tasks.reconcile.plan.difference import drift
from tasks.reconcile.plan.observed import Observed

MODE = {"environment": {"MODE": "fast"}}


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (MODE, {"environment": {"MODE": "slow"}}, ("environment MODE",)),
        (MODE, {"environment": {"MODE": "slow", "LOG_LEVEL": "debug"}}, ("environment MODE, LOG_LEVEL",)),
        (MODE, {}, ("environment MODE",)),
        ({"environment": {"MODE": None}}, {"environment": {}}, ("environment MODE",)),
        ({"command": ["a", "b"]}, {"command": ["a", "c"]}, ("command",)),
        ({"command": None}, {"command": ["a"]}, ("command",)),
        ({"ports": [{"target": 80}]}, {"ports": [{"target": 81}]}, ("ports",)),
        ({}, {"labels": {"team": "shop"}}, ("labels team",)),
        ({"networks": {"front": None}}, {"networks": {"front": None, "back": None}}, ("network back",)),
        ({"networks": {"front": None}}, {"networks": {"front": {"aliases": ["a"]}}}, ("network front",)),
        ({"healthcheck": {"interval": "1s"}}, {"healthcheck": {"interval": "2s"}}, ("healthcheck interval",)),
        ({"restart": "no", **MODE}, {"restart": "always", "environment": {"MODE": "x"}},
         ("restart", "environment MODE")),
        ({"command": None, "entrypoint": None}, {}, ()),
    ],
)  # fmt: skip
def test_what_differs_is_named_by_its_key(before: dict[str, Any], now: dict[str, Any], words: tuple[str, ...]) -> None:
    assert differences(MadeWith(before), now) == words


def test_what_compose_does_not_count_or_another_cause_tells_is_no_difference() -> None:
    before = {"image": "sha256:1", "deploy": {"replicas": 1, "resources": {"limits": {"cpus": "1"}}}}
    now = {
        "image": "shop/web:dev",
        "build": {"context": "."},
        "pull_policy": "always",
        "depends_on": {"db": {}},
        "profiles": ["a"],
        "scale": 2,
        "x-slipway": {"job": "migration"},
        "deploy": {"replicas": 3, "resources": {"limits": {"cpus": "1"}}},
    }
    assert differences(MadeWith(before), now) == ()
    now["deploy"] = {"replicas": 3, "resources": {"limits": {"cpus": "2"}}}
    assert differences(MadeWith(before), now) == ("deploy resources",)


def test_a_secret_that_changed_is_named_and_neither_of_its_values_is() -> None:
    before = {"environment": {"PGPASSWORD": "${slipway:DB_PASSWORD}", "PGUSER": "shop"}}
    now = {"environment": {"PGPASSWORD": "hunter2", "PGUSER": "shop"}}
    assert differences(MadeWith(before), now) == ("environment PGPASSWORD",)


def test_what_an_engine_shows_is_not_all_and_says_so() -> None:
    shown = MadeWith({"environment": {"MODE": "slow"}, "command": None}, partly=True)
    assert differences(shown, {**MODE, "ports": [{"target": 80}]}) == ("configuration changed: environment MODE",)


def causes(now: dict[str, Any], made: MadeWith | None, image: str = "sha256:a", **more: Any) -> list[str]:
    """Return the causes for a container ``web`` whose configuration hash differs from that of ``now``."""
    wanted = desired({"web": now}, hashes={"web": "new"}, images={"web": image})
    existing = container(config_hash="old", **more)
    return drift(wanted.stack.service("web"), Observed((existing,), made={existing.id: made} if made else {}), wanted)


def test_a_cause_says_what_of_the_configuration_changed_as_far_as_it_is_known() -> None:
    now = {"image": "shop/web:dev", "environment": {"MODE": "slow"}}

    assert causes(now, MadeWith({**MODE, "image": "sha256:a"}, "shop/web:dev")) == ["environment MODE"]
    assert causes(now, None) == ["configuration changed"]
    assert causes(now, MadeWith({"environment": {"MODE": "slow"}}, "shop/web:dev")) == ["configuration changed"]


def test_an_image_of_another_name_is_one_cause_and_not_two() -> None:
    now = {"image": "shop/web:2"}

    assert causes(now, MadeWith({}, "shop/web:1"), image="sha256:b") == ["image shop/web:2 changed"]
    assert causes(now, MadeWith({}, "shop/web:1"), image="") == ["image shop/web:2"]
    assert causes({"image": "redis:latest"}, MadeWith({}, "redis")) == ["configuration changed"]
    partly = MadeWith({"environment": {}, "command": None}, "shop/web:1", partly=True)
    assert causes(now, partly, image="sha256:b") == ["configuration changed", "image shop/web:2 changed"]


def test_a_checkout_in_another_directory_is_no_difference_of_the_mounts() -> None:
    def service(directory: str) -> dict[str, Any]:
        mount = {"type": "bind", "source": f"{directory}/site", "target": "/site"}
        return {"image": "web", "volumes": [mount], "environment": {"MODE": directory}}

    told = causes(service("/b"), MadeWith(service("/a"), "web"), binds=(("/a/site", "/site"),))
    assert told == ["environment MODE"]
