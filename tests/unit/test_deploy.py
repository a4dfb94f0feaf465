"""When a deploy is ready, and what keeps it from being so; whole plans are in ``tests/plans/*deploy.json``."""

from typing import Any

import pytest
from support import container, image, profile, stack

from tasks.plan.build import BuildPlan
from tasks.plan.deploy import Change, Facts, Plan, failed_containers, plan, verdict
from tasks.plan.facts import Container, EngineFacts

SHOP = stack(
    {
        "schema": {"x-slipway": {"job": "migrate"}},
        "web": {"healthcheck": {"test": ["CMD", "/web", "check"]}, "restart": "always"},
        "worker": {},
    }
)
READY = {
    "shop-schema-1": {"state": "exited"},
    "shop-web-1": {"health": "healthy"},
    "shop-worker-1": {},
}


def containers(**changed: dict[str, Any] | None) -> tuple[Container, ...]:
    """Return the ready containers, some of them changed (``None``: gone); ``web`` stands for ``shop-web-1``."""
    found = {**READY, **{f"shop-{name.replace('_', '-')}": fields for name, fields in changed.items()}}
    return tuple(container(name, **fields) for name, fields in found.items() if fields is not None)


def test_a_container_of_an_image_with_the_same_content_is_not_made_anew() -> None:
    shop = stack({"web": {"image": "shop/web:dev"}})

    def causes(used: str) -> tuple[str, ...]:
        running = (container("shop-web-1", image_id="sha256:1"),)
        facts = EngineFacts(
            running, {"shop/web:dev": image("sha256:2", content="same")}, {"sha256:1": image("sha256:1", content=used)}
        )
        return plan(shop, profile(), BuildPlan((), None, {}), Facts(facts), "/").changes[0].causes

    assert causes("same") == ()
    assert causes("other") == ("image shop/web:dev changed",)
    assert causes("") == ("image shop/web:dev changed",)


def test_a_stack_is_ready_when_one_offs_are_done_and_services_run_healthy() -> None:
    assert verdict(SHOP, containers()) == "ready"


def test_a_stack_without_services_is_ready() -> None:
    assert verdict(stack({}), ()) == "ready"


@pytest.mark.parametrize(
    "changed",
    [
        {"schema_1": {"state": "running"}},
        {"schema_1": {"state": "created"}},
        {"web_1": {"health": "starting"}},
        {"web_1": {"health": ""}},
        {"web_1": {"state": "created"}},
        {"web_1": {"state": "restarting"}},
        {"web_1": {"state": "exited", "exit_code": 1}},
        {"web_2": {"health": "starting"}},
        {"worker_1": {"state": "created"}},
    ],
)
def test_what_may_still_come_is_waited_for(changed: dict[str, Any]) -> None:
    assert verdict(SHOP, containers(**changed)) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"schema_1": {"state": "exited", "exit_code": 3}}, "shop-schema-1 ended with exit code 3"),
        ({"web_1": {"health": "unhealthy"}}, "shop-web-1 is unhealthy"),
        ({"web_2": {"health": "unhealthy"}}, "shop-web-2 is unhealthy"),
        ({"worker_1": {"state": "exited", "exit_code": 1}}, "shop-worker-1 ended with exit code 1"),
        (
            {"worker_1": {"state": "exited", "exit_code": 0}},
            "shop-worker-1 ended with exit code 0; if it is meant to end, say x-slipway: {job: once}",
        ),
        ({"worker_1": {"state": "dead", "exit_code": 137}}, "shop-worker-1 ended with exit code 137"),
        ({"worker_1": None}, "worker has no container"),
    ],
)
def test_what_can_never_be_ready_is_named_at_once(changed: dict[str, Any], reason: str) -> None:
    assert verdict(SHOP, containers(**changed)) == reason


def test_the_container_of_a_job_may_be_gone_with_its_work() -> None:
    assert verdict(SHOP, containers(schema_1=None)) == verdict(SHOP, containers()) == "ready"


def test_one_failure_counts_more_than_others_that_are_not_ready_yet() -> None:
    assert verdict(SHOP, containers(schema_1={"state": "running"}, web_1={"health": "unhealthy"})) == (
        "shop-web-1 is unhealthy"
    )


def test_a_health_check_that_only_the_image_declares_is_waited_for() -> None:
    assert verdict(SHOP, containers(worker_1={"health": "starting"})) == ""
    assert verdict(SHOP, containers(worker_1={"health": "healthy"})) == "ready"


def test_a_container_that_somebody_ran_by_hand_does_not_count() -> None:
    by_hand = container("shop-web-9", oneoff=True, state="exited", exit_code=1)

    assert verdict(SHOP, (*containers(), by_hand)) == "ready"


def test_a_container_of_a_service_that_is_gone_does_not_count() -> None:
    assert verdict(SHOP, (*containers(), container("shop-old-1", health="unhealthy"))) == "ready"


def test_a_service_without_replicas_needs_no_container() -> None:
    assert verdict(stack({"web": {"scale": 0}}), ()) == "ready"


def test_what_keeps_a_deploy_from_being_ready_is_shown() -> None:
    found = containers(
        schema_1={"state": "exited", "exit_code": 3},
        web_1={"health": "starting"},
        worker_1={"state": "created"},
        old_1={"state": "exited", "exit_code": 1},
    )

    assert [one.name for one in failed_containers(SHOP, found)] == ["shop-schema-1", "shop-web-1"]


def test_of_a_ready_stack_nothing_is_to_blame() -> None:
    assert failed_containers(SHOP, containers()) == ()


def test_a_wait_is_a_change_and_unchanged_is_none() -> None:
    changes = (Change("web", "unchanged"), Change("worker", "wait"), Change("cache", "create"))

    assert [one.service for one in Plan(changes, ()).changed] == ["worker", "cache"]


def test_a_secret_whose_file_changed_after_the_container_was_made_has_it_recreated() -> None:
    model = stack(
        {"web": {"image": "shop/web:1", "secrets": [{"source": "token"}]}}, secrets={"token": {"file": "/etc/token"}}
    )
    running = container(created=1000.0, config_hash="h")
    facts = Facts(EngineFacts((running,)), {"web": "h"}, replaced={"web": {"secret token": 1002.0}})
    made = plan(model, profile(), BuildPlan((), None, {}), facts, "/")
    assert made.changes == (Change("web", "recreate", ("secret token changed",)),)
    assert [step.name for step in made.steps] == ["up", "recreate", "wait"]
    assert made.steps[1].command.argv[-2:] == ("--force-recreate", "web")


def test_a_file_as_old_as_the_container_changes_nothing() -> None:
    model = stack({"web": {"image": "shop/web:1", "configs": [{"source": "c"}]}}, configs={"c": {"file": "/c"}})
    facts = Facts(EngineFacts((container(created=1000.0),)), replaced={"web": {"config c": 1000.9}})
    assert plan(model, profile(), BuildPlan((), None, {}), facts, "/").steps == ()


@pytest.mark.parametrize(
    ("missing", "cause"),
    [("volumes", "volume shop_data-2 is not mounted"), ("networks", "not in network shop_back-2")],
)
def test_a_volume_or_network_of_another_name_has_the_container_recreated(missing: str, cause: str) -> None:
    model = stack(
        {
            "web": {
                "image": "shop/web:1",
                "volumes": [{"type": "volume", "source": "data"}, {"type": "bind", "source": "/srv"}],
                "networks": {"back": None},
            }
        },
        volumes={"data": {"name": "shop_data-2"}},
        networks={"back": {"name": "shop_back-2"}},
    )
    found = {"volumes": ("shop_data-2",), "networks": ("shop_back-2",)}

    def planned(**fields: Any) -> Plan:
        facts = Facts(EngineFacts((container(config_hash="h", **fields),)), {"web": "h"})
        return plan(model, profile(), BuildPlan((), None, {}), facts, "/")

    assert planned(**found).steps == ()
    made = planned(**{**found, missing: ("shop_other",)})
    assert made.changes == (Change("web", "recreate", (cause,)),)
    assert [step.name for step in made.steps] == ["up", "recreate", "wait"]


@pytest.mark.parametrize(("policy", "action"), [("always", "pull"), ("daily", "pull"), ("missing", "unchanged")])
def test_a_service_whose_image_is_asked_for_each_time_is_never_called_unchanged(policy: str, action: str) -> None:
    model = stack({"web": {"image": "shop/web:1", "pull_policy": policy}})
    facts = Facts(EngineFacts((container(),)))
    made = plan(model, profile(), BuildPlan((), None, {}), facts, "/")
    assert [one.action for one in made.changes] == [action]
    assert [step.name for step in made.steps] == (["up", "wait"] if action == "pull" else [])
