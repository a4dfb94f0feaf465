"""What is done, and in which order, to make what runs what is to run; single services are in ``test_difference.py``."""

from dataclasses import replace
from typing import Any

import pytest
from support import container, desired, image

from tasks.model.engine.facts import Container, Network, Volume
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.mounts import Content
from tasks.reconcile.plan.observed import Observed, Stamp, State
from tasks.reconcile.plan.operation import NAME, Change, Plan
from tasks.reconcile.plan.reconcile import reconcile

HEALTH = {"healthcheck": {"test": ["CMD", "true"]}}
COMMANDS = {key: ["true"] for key in ("snapshot", "dump", "list", "create", "restore", "tables", "drop", "swap")}
STORE = {
    **HEALTH,
    "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
    "x-slipway": {"role": "database", "backup": {"name": "t", **COMMANDS}},
}
SCHEMA = {"depends_on": {"store": {"condition": "service_healthy"}}, "x-slipway": {"job": "migrate"}}
WEB = {
    **HEALTH,
    "depends_on": {"schema": {"condition": "service_completed_successfully"}},
    "x-slipway": {"rollout": "blue-green"},
}
FRONT = {
    "depends_on": {"web": {"condition": "service_healthy"}},
    "x-slipway": {"proxy": {"upstreams": "/etc/up", "check": ["front", "--test"]}},
}
DATA = {"volumes": {"data": {"name": "shop_data"}}}
THERE = {"volumes": {"shop_data": Volume("shop_data")}}


def shop(images: dict[str, str] | None = None, **more: Any) -> Desired:
    """Return a stack of database, migration, service and proxy."""
    services = {"front": FRONT, "web": WEB, "schema": SCHEMA, "store": STORE}
    return desired(services, images=images, **{**DATA, **more})


def running(**changed: dict[str, Any] | None) -> tuple[Container, ...]:
    """Return the containers of that stack as they should be; ``None``: gone."""
    usual: dict[str, dict[str, Any] | None] = {
        "store": {"health": "healthy", "volumes": ("shop_data",)},
        "schema": {"state": "exited"},
        "web": {"health": "healthy"},
        "front": {},
    }
    fields_by_service = {**usual, **changed}
    return tuple(
        container(f"shop-{name}-1", **fields) for name, fields in fields_by_service.items() if fields is not None
    )


def planned(wanted: Desired, *containers: Container, policy: dict[str, Any] | None = None, **more: Any) -> Plan:
    """Return the plan."""
    return reconcile(Observed(containers, **{**THERE, **more}), wanted, Policy(**(policy or {})))


def lines(plan: Plan) -> list[str]:
    """Return operations as kind and subject."""
    return [f"{operation.kind} {operation.subject}" for operation in plan.operations]


def actions(plan: Plan) -> dict[str, str]:
    """Return the action for each service that is changed."""
    return {change.service: change.action for change in plan.changed}


# Order


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert planned(shop(), *running()).operations == ()


def test_a_first_deploy_is_one_call_of_compose() -> None:
    made = planned(shop(), volumes={})
    assert lines(made) == ["up front web schema store", "await healthy every service", "settle front"]
    assert actions(made) == {"front": "create", "web": "create", "schema": "run", "store": "create"}


def test_dependencies_come_first_and_jobs_run_in_between() -> None:
    proxy = {"front": ("shop-front-1",), "upstreams": {"web": "server shop-web-1:80;\nserver web:80 backup;\n"}}
    made = planned(shop({"schema": "b", "web": "b", "front": "b"}), *running(), policy={"smoke": True}, **proxy)

    skipped = ("start", "create", "drain", "prove", "point", "rest", "smoke web")
    assert [line for line in lines(made) if not line.startswith(skipped)] == [
        "backup store", "run schema", "await healthy web", "watch web", "stop web", "remove web",
        "recreate front", "await healthy front", "await healthy every service", "settle front", "smoke shop",
    ]  # fmt: skip
    assert made.interrupts == ("front",)
    assert {change.service: change.interrupts for change in made.changed} == {
        "front": ("front",),
        "web": (),
        "schema": (),
    }


def test_what_is_promoted_is_named_in_a_step_of_its_own() -> None:
    wanted = replace(desired({"web": {"image": "shop/web:prod"}}), names={"shop/web:prod": "sha256:b"})

    def step(origin: str) -> tuple[str, tuple[str, ...]]:
        plan = reconcile(Observed((container(),)), replace(wanted, origin=origin), Policy())
        return next((operation.group, operation.cause) for operation in plan.operations if operation.kind == NAME)

    assert step("staging release 4") == ("promote", ("staging release 4",))
    assert step("") == ("images", ("as the release has them",))


@pytest.mark.parametrize(("networks", "action"), [(("shop_back",), "create"), ((), "recreate")])
def test_where_the_proxy_can_look_up_no_container_there_is_nothing_to_roll(
    networks: tuple[str, ...], action: str
) -> None:
    file = "upstream web {\n    server shop-web-1:80;\n    server web:80 backup;\n}\n"
    stack = {name: {"networks": networks if name == "web" else ("shop_back",)} for name in ("web", "front")}
    fields = {"web": {"health": "healthy", **stack["web"]}, "front": stack["front"]}
    containers = running(**fields)
    plan = planned(shop({"web": "sha256:new"}), *containers, upstreams={"web": file}, front=("shop-front-1",))
    kinds = [operation.kind for operation in plan.operations if operation.subject == "web"]
    assert kinds[0] == action, kinds
    assert ("watch" in kinds) is (action == "create")


def test_only_what_runs_and_changes_is_rolled_out() -> None:
    assert planned(shop({"web": "b"}), *running()).rolled == ("web",)
    gone = planned(shop({"web": "b"}), *running(web=None))
    assert gone.rolled == ()
    assert "create web" in lines(gone)
    stopped = planned(shop({"web": "b"}), *running(web={"state": "exited"}))
    assert stopped.rolled == (), "nothing serves that could go on serving"
    assert stopped.interrupts == ()


def test_services_that_do_not_depend_on_each_other_change_together() -> None:
    two = desired({"a": HEALTH, "b": {}}, images={"a": "new", "b": "new"})
    made = planned(
        two, container("shop-a-1", health="healthy"), container("shop-b-1"), policy={"timeouts": {"a": 90.0}}
    )
    assert lines(made) == [
        "recreate a b", "start a b", "await healthy a b", "await healthy every service", "settle b",
    ]  # fmt: skip
    assert {operation.group for operation in made.operations[:3]} == {"up a b"}
    assert made.operations[2].seconds == 90.0


def test_operations_are_numbered_in_their_order() -> None:
    made = planned(shop({"front": "b"}), *running())
    assert [operation.number for operation in made.operations] == list(range(1, len(made.operations) + 1))
    assert [operation.after for operation in made.operations][:2] == [(), (1,)]


# Data


def test_the_data_is_saved_before_a_migration_works_on_it() -> None:
    made = planned(shop({"schema": "b"}), *running())
    assert lines(made)[:2] == ["backup store", "run schema"]
    assert "store" not in actions(made), "the database is not touched"


@pytest.mark.parametrize("away", [None, {"state": "exited", "volumes": ("shop_data",)}])
def test_a_database_that_is_down_is_started_for_a_backup_when_it_has_data(away: dict[str, Any] | None) -> None:
    made = lines(planned(shop({"schema": "b"}), *running(store=away)))
    assert made.index("await healthy store") < made.index("backup store") < made.index("run schema")
    fresh = lines(planned(shop({"schema": "b"}), *running(store=away), volumes={}))
    assert "backup store" not in fresh, "there is nothing to save"


def test_after_everything_was_taken_down_the_data_is_saved_before_migrations() -> None:
    made = lines(planned(shop()))
    assert made.index("await healthy store") < made.index("backup store") < made.index("run schema")


def test_no_backup_is_made_without_a_migration_or_where_the_profile_wants_none() -> None:
    assert "backup store" not in lines(planned(shop({"web": "b"}), *running()))
    assert "backup store" not in lines(planned(shop({"schema": "b"}), *running(), policy={"backup": False}))
    seed = desired({"store": STORE, "seed": {"x-slipway": {"job": "seed"}}}, images={"seed": "b"}, **DATA)
    made = planned(seed, *running(schema=None, web=None, front=None), container("shop-seed-1", state="exited"))
    assert lines(made)[0] == "run seed"


def test_one_backup_is_enough_for_several_migrations() -> None:
    two = {
        "store": STORE,
        "one": SCHEMA,
        "two": {**SCHEMA, "depends_on": {"one": {"condition": "service_completed_successfully"}}},
    }
    ended = [container(f"shop-{name}-1", state="exited") for name in ("one", "two")]
    made = planned(
        desired(two, images={"one": "b", "two": "b"}, **DATA), *running(schema=None, web=None, front=None), *ended
    )
    assert lines(made)[:3] == ["backup store", "run one", "run two"]


# Networks and volumes

BACK = {"networks": {"back": {"name": "shop_back", "internal": True}}}
IN_BACK = {"web": {**HEALTH, "networks": {"back": None}, "x-slipway": {"rollout": "blue-green"}}}


def test_a_network_without_rolled_out_services_is_replaced_in_place() -> None:
    network = Network("shop_back", containers=("shop-web-1",))
    plain = {"web": {**HEALTH, "networks": {"back": None}}}
    made = planned(
        desired(plain, **BACK), container(health="healthy", networks=("shop_back",)), networks={"shop_back": network}
    )

    assert lines(made)[:3] == ["replace network shop_back", "recreate web", "start web"]
    why = ("network shop_back: internal changed", "replaced in place: nothing in it is rolled out")
    assert made.changed == (Change("web", "recreate", why, ("web",)),)
    assert made.refusals == ()


def test_a_network_that_others_use_too_is_not_taken_away() -> None:
    network = Network("shop_back", containers=("shop-web-1", "other-1"))
    made = planned(desired(IN_BACK, **BACK), container(networks=("shop_back",)), networks={"shop_back": network})

    assert [reason for reason, _ in made.refusals] == [
        "network shop_back: internal changed; it cannot be replaced while other containers are in it: other-1"
    ]
    assert "replace network shop_back" not in lines(made)


def test_what_monitors_the_stack_keeps_no_network_from_being_replaced() -> None:
    network = Network("shop_back", containers=("shop-monitoring-prometheus-1", "shop-web-1"))
    plain = {"web": {**HEALTH, "networks": {"back": None}}}
    made = planned(
        desired(plain, **BACK), container(health="healthy", networks=("shop_back",)), networks={"shop_back": network}
    )
    assert made.refusals == ()
    assert lines(made)[0] == "replace network shop_back"


def test_external_networks_and_volumes_only_have_to_exist() -> None:
    top = {
        "networks": {"far": {"name": "far", "external": True}},
        "volumes": {"old": {"name": "old", "external": True}},
    }
    web = desired({"web": {}}, **top)

    assert planned(web, container(), volumes={}).refusals == (
        ("network far is external and does not exist", "docker network create far"),
        ("volume old is external and does not exist", "docker volume create old"),
    )
    network = planned(
        web, container(), networks={"far": Network("far", driver="overlay")}, volumes={"old": Volume("old")}
    )
    assert (network.refusals, network.operations) == ((), ())


def test_a_volume_keeps_its_options_and_the_difference_is_reported() -> None:
    web = desired({"web": {}}, volumes={"data": {"name": "shop_data", "driver": "nfs"}})
    made = planned(web, container())
    assert made.told == ("volume shop_data: driver changed: it keeps its old option, since it has data",)
    assert made.operations == ()


# Names and ports


def test_a_container_name_is_freed_before_another_container_takes_it() -> None:
    named = desired({"web": {"container_name": "shop-old-1"}})
    made = planned(named, container("shop-old-1", state="exited"), policy={"orphans": True})
    assert lines(made)[:3] == ["stop shop-old-1", "remove shop-old-1", "up web"]


def test_a_port_that_moves_to_another_service_is_freed_first() -> None:
    ports = {"ports": [{"target": 80, "published": "8080"}]}
    two = desired({"a": {}, "b": ports}, hashes={"a": "new", "b": "new"})
    held = container("shop-a-1", config_hash="old", ports=("0.0.0.0:8080->80/tcp",))
    made = planned(two, held, container("shop-b-1", config_hash="old"))
    assert lines(made)[:2] == ["stop shop-a-1", "recreate a b"]
    assert made.interrupts == ("a", "b")


def test_a_port_that_an_unchanged_service_has_is_refused() -> None:
    two = desired({"a": {}, "b": {"ports": [{"target": 80, "published": "8080"}]}})
    made = planned(two, container("shop-a-1", ports=("0.0.0.0:8080->80/tcp",)))
    assert made.refusals[0][0].startswith("b needs what shop-a-1 of service a has (port 8080")
    assert made.refusals[0][1] == "publish another port for b"


# Services that are gone


def test_containers_that_were_not_deployed_from_here_stay() -> None:
    made = planned(desired({"web": {}}), container(), container("shop-other-1"))
    assert (made.operations, made.orphans) == ((), ("shop-other-1",))


def test_containers_of_an_earlier_deploy_are_removed_last() -> None:
    web = desired({"web": {}}, images={"web": "b"})
    made = planned(web, container(), container("shop-old-1"), policy={"ours": frozenset({"old"})})
    assert lines(made)[-4:-1] == ["stop old", "remove old", "await healthy every service"]
    stamped = State({"id-shop-old-1": Stamp()})
    assert "stop old" in lines(planned(web, container(), container("shop-old-1"), state=stamped))


def test_containers_of_another_profile_and_runs_by_hand_are_no_orphans() -> None:
    strange, by_hand = container("shop-tools-1"), container("shop-old-1", oneoff=True)
    made = planned(
        desired({"web": {}}),
        container(),
        strange,
        by_hand,
        policy={"orphans": True},
        other_profiles=frozenset({"tools"}),
    )
    assert (made.operations, made.orphans) == ((), ())


# The way back


def test_the_way_back_removes_containers_of_the_killed_deploy_and_no_orphans() -> None:
    containers = (container(), container("shop-new-1"), container("shop-orphan-1"))
    made = planned(desired({"web": {}}), *containers, policy={"back": True, "ours": frozenset({"web", "new"})})
    assert actions(made) == {"new": "remove"}
    assert made.orphans == ("shop-orphan-1",)


def test_on_the_way_back_no_job_is_run_waited_for_or_backed_up_for() -> None:
    failed = running(
        schema={"state": "exited", "exit_code": 1, "image_id": "sha256:b"}, web={"health": "", "image_id": "b"}
    )
    made = planned(shop(), *failed, policy={"back": True})
    assert actions(made) == {"web": "recreate"}
    assert not [line for line in lines(made) if line.startswith(("run", "backup"))]
    assert lines(made)[-3:-1] == ["stop schema", "remove schema"], "what failed does not stay"
    [last] = [operation for operation in made.operations if operation.subject == "every service"]
    assert "schema" not in last.services


@pytest.mark.parametrize(
    ("changed", "action"),
    [({"web": {"image_id": "sha256:b"}}, "recreate"), ({"web": {"config_hash": "other"}}, "recreate"),
     ({"web": None}, "create"), ({"web": {"state": "exited"}}, "start")],
)  # fmt: skip
def test_what_does_not_run_as_before_is_brought_back(changed: dict[str, Any], action: str) -> None:
    made = planned(shop(hashes={"web": "h"}), *running(**changed), policy={"back": True})
    assert actions(made) == {"web": action}
    same = planned(
        shop(hashes={"web": "h"}), *running(web={"health": "healthy", "config_hash": "h"}), policy={"back": True}
    )
    assert same.operations == ()


def test_only_names_that_the_project_gave_stand_for_the_images_of_a_release_again() -> None:
    to = shop()
    back = Desired(to.stack, to.model, to.services, names={"shop/web:prod": "sha256:a", "shop/api:prod": "sha256:b"})
    images = {
        "shop/web:prod": image("sha256:new"),
        "shop/api:prod": image("sha256:b"),
        "postgres:17": image("sha256:p"),
    }
    made = planned(
        back, *running(web={"health": "healthy", "image_id": "sha256:new"}), policy={"back": True}, images=images
    )

    assert lines(made)[0] == "name images shop/web:prod"
    assert made.operations[0].names == ("shop/web:prod",)


def test_files_of_a_release_are_there_before_anything_mounts_them() -> None:
    to = shop({"front": "b"})
    back = Desired(to.stack, to.model, to.services, files=("d1",))
    assert lines(planned(back, *running(), policy={"back": True}))[0] == "restore files files"
    same = shop()
    assert planned(Desired(same.stack, same.model, same.services, files=("d1",)), *running()).operations == ()


# How it ends


def test_a_service_without_a_health_check_is_watched_for_a_while() -> None:
    two = desired({"a": {"x-slipway": {"settle": "3s"}}, "b": {}, "c": HEALTH}, hashes=dict.fromkeys("abc", "new"))
    made = planned(two, *(container(f"shop-{name}-1", config_hash="old") for name in "abc"))
    [settle] = [operation for operation in made.operations if operation.kind == "settle"]
    assert (settle.services, settle.seconds) == (("a", "b"), 10.0)


def test_an_image_with_a_health_check_is_waited_for_and_not_watched() -> None:
    release = desired({"web": {"image": "shop/web:1"}}, hashes={"web": "new"})
    made = planned(release, container(config_hash="old"), images={"shop/web:1": image("sha256:a", health_check=True)})
    assert not [operation for operation in made.operations if operation.kind == "settle"]


def test_a_reload_interrupts_nothing() -> None:
    service = {"configs": [{"source": "site", "target": "/site"}], "x-slipway": {"reload": {"signal": "HUP"}}}
    web = desired({"web": service}, {"/site": "new"}, configs={"site": {"file": "/srv/site"}})
    existing = container()
    noted = State({existing.id: Stamp({"/site": Content("old")})})
    made = planned(web, existing, seen={(existing.id, "/site"): "new"}, state=noted)
    assert lines(made) == ["reload web", "await healthy every service"]
    assert made.interrupts == ()


def test_a_proxy_that_starts_is_pointed_to_the_serving_containers() -> None:
    file = {"web": "server shop-web-9:80;\nserver web:80 backup;\n"}
    made = planned(shop(), *running(front={"state": "exited"}), upstreams=file)
    [point] = [operation for operation in made.operations if operation.kind == "point proxy"]
    assert point.names == ("shop-web-1",)
    assert lines(made).index("start front") < lines(made).index("point proxy web")
    first = planned(shop(), *running(front={"state": "exited"}), upstreams={"web": "server web:80;\n"})
    aims = [operation.aim for operation in first.operations if operation.aim]
    assert [(*aim.containers, *aim.coming) for aim in aims] == [("shop-web-1",), ("shop-web-1",)]
    assert aims[0].coming, "the service's name serves until the proxy has resolved the other"
