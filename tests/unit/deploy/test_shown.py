"""A plan as users read it: words, interruptions with their length, images with their size, migrations by name."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import ROOT, container, desired, image

from tasks.deploy.plan.deploy import Deploy
from tasks.deploy.plan.shown import PendingMigrations, ShownPlan, interruptions, needed_images
from tasks.model.engine.facts import Container
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.observed import Observed, Stamp, State
from tasks.reconcile.plan.operation import Plan
from tasks.reconcile.plan.reconcile import reconcile

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "deploy.plan-v1.json").read_text(encoding="utf-8"))
HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}


def shown(wanted: Desired, *containers: Container, state: State | None = None, **policy: Any) -> ShownPlan:
    """Return the plan as ``deploy.plan`` shows it, with the length of interruptions."""
    noted = state or State()
    observed = Observed(containers, {"shop/web:1": image("sha256:a", size=12_400_000)}, state=noted)
    deploy = Deploy(reconcile(observed, wanted, Policy(**policy)))
    length = interruptions(deploy, wanted.stack, wanted.model, noted.seconds)
    return ShownPlan(deploy, wanted.stack, tuple(length))


def document(plan: ShownPlan) -> dict[str, Any]:
    """Return the JSON document, checked against the schema in the repository."""
    made = {"schema": "slipway/deploy.plan/v1", "environment": "dev", "project": "shop", **plan.document(), "gates": []}
    Draft202012Validator(SCHEMA).validate(made)
    return made


def web(**fields: Any) -> Desired:
    return desired({"web": {**HEALTH, **fields}}, images={"web": "sha256:new"})


def runs(**fields: Any) -> Container:
    return container("shop-web-1", **{"health": "healthy", **fields})


def test_a_service_that_stays_is_kept() -> None:
    plan = document(shown(desired({"web": HEALTH}), runs()))
    assert plan["changes"] == [
        {"service": "web", "action": "unchanged", "causes": [], "interrupts": [], "interruption": None, "rollout": None}
    ]
    assert plan["operations"] == []


@pytest.mark.parametrize(
    ("wanted", "action", "rollout", "interrupts"),
    [
        (web(), "recreate", None, ["web"]),
        (web(**{"x-slipway": {"rollout": "start-first"}}), "roll", "start-first", []),
        (web(deploy={"update_config": {"order": "start-first"}}), "roll", "start-first", []),
    ],
)
def test_what_takes_over_while_the_old_serves_is_rolled(
    wanted: Desired, action: str, rollout: str | None, interrupts: list[str]
) -> None:
    (change,) = document(shown(wanted, runs()))["changes"]
    assert (change["action"], change["rollout"], change["interrupts"]) == (action, rollout, interrupts)


def test_a_rollout_that_only_has_to_end_is_rolled_too() -> None:
    wanted = web(**{"x-slipway": {"rollout": "start-first"}})
    new = container("shop-web-2", health="healthy", image_id="sha256:new")
    (change,) = document(shown(wanted, runs(), new, state=State({"id-shop-web-2": Stamp()})))["changes"]
    assert (change["action"], change["interrupts"]) == ("roll", [])


def test_shares_and_numbers_of_a_canary_are_shown() -> None:
    judged = {"metrics": {"port": 80}, "watch": {"errors": "1%", "p99": "300ms"}}
    own = {"rollout": "canary", "canary": {"weight": [5, 25], "every": "1m"}, **judged}
    front = container("shop-front-1")
    file = "upstream web {\n    server shop-web-1:80;\n    server web:80 backup;\n}\n"
    to = desired(
        {"web": {**HEALTH, "x-slipway": own}, "front": {"x-slipway": {"proxy": {"upstreams": "/u"}}}},
        images={"web": "sha256:new"},
    )
    observed = Observed((runs(), front), upstreams={"web": file}, front=("shop-front-1",))
    plan = ShownPlan(Deploy(reconcile(observed, to, Policy())), to.stack)
    assert plan.lines() == [
        "web gets 5 %, 25 % of the requests first, each for 1 m 0 s at least",
        "web is compared with the old containers: at most 1 % more errors, p99 at most 300 ms, from 50 requests on",
    ]
    operations = document(plan)["operations"]
    assert [(one["kind"], one.get("share")) for one in operations if one["kind"] in ("weight", "watch")] == [
        ("weight", 5), ("watch", 5), ("weight", 25), ("watch", 25), ("watch", None),
    ]  # fmt: skip
    assert {tuple(one["against"]) for one in operations if one["kind"] == "watch"} == {("shop-web-1",)}


def test_a_canary_behind_a_proxy_that_is_not_known_to_take_weights_is_refused() -> None:
    to = desired(
        {"web": {**HEALTH, "x-slipway": {"canary": {}}}, "front": {"x-slipway": {"proxy": {"upstreams": "/u"}}}}
    )
    observed = Observed((runs(),), upstreams={"web": "server web:80;\n"}, front=("shop-front-1",))
    (refusal,) = reconcile(observed, to, Policy()).refusals
    assert refusal[0] == "services.web.x-slipway.canary: the proxy is of no kind that is known to take weights"
    nginx = replace(observed, upstreams={"web": "upstream web {\n    server web:80;\n}\n"})
    assert reconcile(nginx, to, Policy()).refusals == ()
    assert reconcile(observed, to, Policy(back=True)).refusals == (), "a way back has no shares"


def test_an_interruption_says_how_long_it_took_and_may_take() -> None:
    plan = shown(web(stop_grace_period="1m30s"), runs(), timeouts={"web": 40.0}, state=State(seconds={"web": 1.4}))
    (change,) = document(plan)["changes"]
    assert change["interruption"] == {
        "by": "recreate web", "causes": ["image shop-web:latest changed"], "last_seconds": 1.4, "most_seconds": 130.0
    }  # fmt: skip
    assert plan.lines() == [
        "recreate web interrupts web: 1.4 s the last time, at most 2 m 10 s (image shop-web:latest changed)"
    ]


def test_a_removed_service_is_interrupted_for_good() -> None:
    gone = container("shop-side-1")
    plan = shown(desired({"web": HEALTH}), runs(), gone, ours=frozenset({"side"}))
    change = document(plan)["changes"][1]
    assert (change["service"], change["action"]) == ("side", "remove")
    assert change["interruption"]["most_seconds"] is None
    assert plan.lines()[0].startswith("stop side interrupts side: for good")


def test_what_is_not_on_the_engine_is_pulled_when_a_container_of_it_is_made() -> None:
    wanted = desired(
        {"web": {"image": "shop/web:1"}, "cache": {"image": "redis:8"}}, images={"cache": "", "web": "sha256:a"}
    )
    deploy = Deploy(reconcile(Observed(images={"shop/web:1": image("sha256:a")}), wanted, Policy()))
    images = needed_images(deploy, wanted.stack, {"shop/web:1": 5})
    assert [one.document() for one in images] == [
        {"action": "pull", "reference": "redis:8", "services": ["cache"],
         "causes": ["image redis:8 is not on the engine"], "size": None},
    ]  # fmt: skip
    assert not needed_images(Deploy(Plan()), wanted.stack, {}), "nothing starts, so nothing is pulled"


def test_pending_migrations_are_named() -> None:
    plan = ShownPlan(
        Deploy(Plan()), desired({}).stack, migrations=(PendingMigrations("migrate", ("003_c",), ("001_a",)),)
    )
    assert document(plan)["migrations"] == [{"service": "migrate", "pending": ["003_c"], "changed": ["001_a"]}]
    assert plan.lines() == ["migrate applies 003_c", "001_a of migrate was applied and has changed since"]
    unknown = PendingMigrations("migrate", None)
    assert unknown.lines() == ["migrate applies migrations; which of them are pending was never noted"]
    assert PendingMigrations("migrate", ()).lines() == ["migrate applies no migration"]


def test_an_image_that_several_services_build_is_named_once() -> None:
    wanted = desired({name: {"image": "shop:1", "build": {"context": "/shop"}} for name in ("web", "worker")})
    targets = tuple(SimpleNamespace(service=name, reference="shop:1") for name in ("web", "worker"))
    build: Any = SimpleNamespace(targets=targets, causes={"web": "no image", "worker": "no image"})
    images = needed_images(Deploy(Plan(), build=build), wanted.stack, {})
    assert [(one.services, one.line()) for one in images] == [(("web", "worker"), "build shop:1 (no image)")]
