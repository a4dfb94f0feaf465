"""When a stack is ready, why it is not, and which secret files are missing."""

from typing import Any

import pytest
from support import container, profile, stack

from tasks.model.engine.facts import Container
from tasks.model.errors import InputError
from tasks.model.stack.verdict import failed_containers, refuse_missing_secrets, verdict, verdict_on

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
    """Return the ready containers, some of them changed (``None``: removed); ``web_1`` stands for ``shop-web-1``."""
    states = {**READY, **{f"shop-{name.replace('_', '-')}": fields for name, fields in changed.items()}}
    return tuple(container(name, **fields) for name, fields in states.items() if fields is not None)


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
def test_containers_that_may_still_become_ready_are_waited_for(changed: dict[str, Any]) -> None:
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
            "shop-worker-1 ended with exit code 0; if it is meant to end, set x-slipway: {job: once}",
        ),
        ({"worker_1": {"state": "dead", "exit_code": 137}}, "shop-worker-1 ended with exit code 137"),
        ({"worker_1": None}, "worker has no container"),
    ],
)
def test_containers_that_can_never_be_ready_are_named_at_once(changed: dict[str, Any], reason: str) -> None:
    assert verdict(SHOP, containers(**changed)) == reason


def test_the_container_of_a_finished_job_may_be_removed() -> None:
    assert verdict(SHOP, containers(schema_1=None)) == verdict(SHOP, containers()) == "ready"


def test_one_failure_counts_more_than_others_that_are_not_ready_yet() -> None:
    assert verdict(SHOP, containers(schema_1={"state": "running"}, web_1={"health": "unhealthy"})) == (
        "shop-web-1 is unhealthy"
    )


def test_a_health_check_that_only_the_image_declares_is_waited_for() -> None:
    assert verdict(SHOP, containers(worker_1={"health": "starting"})) == ""
    assert verdict(SHOP, containers(worker_1={"health": "healthy"})) == "ready"


def test_a_container_of_compose_run_does_not_count() -> None:
    by_hand = container("shop-web-9", oneoff=True, state="exited", exit_code=1)

    assert verdict(SHOP, (*containers(), by_hand)) == "ready"


def test_a_container_of_a_service_that_is_gone_does_not_count() -> None:
    assert verdict(SHOP, (*containers(), container("shop-old-1", health="unhealthy"))) == "ready"


def test_a_service_without_replicas_needs_no_container() -> None:
    assert verdict(stack({"web": {"scale": 0}}), ()) == "ready"


def test_containers_that_prevent_a_deploy_from_being_ready_are_returned() -> None:
    all_containers = containers(
        schema_1={"state": "exited", "exit_code": 3},
        web_1={"health": "starting"},
        worker_1={"state": "created"},
        old_1={"state": "exited", "exit_code": 1},
    )

    assert [container.name for container in failed_containers(SHOP, all_containers)] == ["shop-schema-1", "shop-web-1"]


def test_a_ready_stack_has_no_failed_containers() -> None:
    assert failed_containers(SHOP, containers()) == ()


def test_only_the_named_services_are_checked() -> None:
    all_containers = containers(web_1={"health": "unhealthy"})

    assert verdict(SHOP, all_containers, ("worker", "schema")) == "ready"
    assert verdict(SHOP, all_containers, ("web",)) == "shop-web-1 is unhealthy"


def test_single_containers_of_a_service_are_judged_alone() -> None:
    web = SHOP.service("web")
    all_containers = [container("shop-web-1", health="unhealthy"), container("shop-web-2", health="healthy"),
             container("shop-web-3", health="starting")]  # fmt: skip

    assert verdict_on(SHOP, web, all_containers, ["shop-web-2"]) == "ready"
    assert verdict_on(SHOP, web, all_containers, ["shop-web-2", "shop-web-3"]) == ""
    assert verdict_on(SHOP, web, all_containers, ["shop-web-3", "shop-web-1"]) == "shop-web-1 is unhealthy"
    assert verdict_on(SHOP, web, all_containers, ["shop-web-2", "shop-web-9"]) == "shop-web-9 is gone"


@pytest.mark.parametrize(
    ("generate", "hint"), [("true", "./inv setup makes them"), ("false", "write them there (mode 0644 in a directory")]
)
def test_missing_secret_files_are_named_with_how_to_make_them(generate: str, hint: str) -> None:
    refuse_missing_secrets(SHOP, profile(), ())
    with pytest.raises(InputError) as caught:
        refuse_missing_secrets(SHOP, profile(GENERATE_SECRETS=generate), ("/etc/a", "/etc/b"))
    assert caught.value.message == "secret files of project shop do not exist: /etc/a, /etc/b"
    assert caught.value.hint.startswith(hint)
