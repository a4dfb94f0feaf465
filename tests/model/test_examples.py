"""Golden examples: what runs, what is desired, and the planned operations in order, with their causes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.deploy.plan.deploy import refuse_other_directory
from tasks.model.errors import RefusedError
from tasks.reconcile.plan.operation import BUILD, Operation, Plan
from tasks.reconcile.plan.reconcile import reconcile

from . import deploying
from .deploying import DEPLOYED, KILLED, UNCHANGED, Fault, Project, Spec
from .drawn import Drawn, Part, empty

DATABASE = Part("database", secret=True)
MIGRATE = Part("migrate", job=True, health=False, after=(("database", "service_healthy", False),))
APP = Part("app", "blue-green", after=(("migrate", "service_completed_successfully", False),))
NGINX = Part("nginx", proxy=True, port=8080, config="reload", after=(("app", "service_healthy", False),))
COMMANDS = ("snapshot", "dump", "list", "create", "restore", "tables", "swap", "drop")


def shop(*others: Part, **changes: dict[str, Any]) -> Drawn:
    """Return a shop with other parts and with changes by service."""
    parts = (DATABASE, MIGRATE, APP, NGINX, *others)
    return Drawn(tuple(replace(part, **changes.get(part.name, {})) for part in parts))


def spec(drawn: Drawn) -> Spec:
    """Return its checkout: the database has a backup and a volume, `migrate` is a migration, the app is asked."""
    made = drawn.spec()
    services = dict(made.model["services"])
    backup = {"name": "shop", **{name: ["true"] for name in COMMANDS}}
    data = {"type": "volume", "source": "data", "target": "/data"}
    services["database"] = {**services["database"], "volumes": [data], "x-slipway": {"backup": backup}}
    services["migrate"] = {**services["migrate"], "x-slipway": {"job": "migrate"}}
    volumes = {**made.model["volumes"], "data": {"name": "shop_data"}}
    return replace(made, model={**made.model, "services": services, "volumes": volumes})


def released(drawn: Drawn, count: int = 4) -> Project:
    """Return the project at its release ``count``: each had another image of the app, the last is ``drawn``."""
    project = empty()
    project = replace(project, world=replace(project.world, files={"app": project.world.files["app"]}))
    for number in range(1, count + 1):
        parts = [
            replace(part, image=part.image - count + number) if part.name == "app" else part for part in drawn.parts
        ]
        ended = deploying.deploy(project, spec(Drawn(tuple(parts))))
        assert ended.outcome == DEPLOYED, ended.reason
        project = ended.project
    return project


def plan(project: Project, drawn: Drawn) -> tuple[Plan, Plan]:
    """Return the plan of a deploy as first made, and as made again when the images are built."""
    checkout = spec(drawn)
    project = deploying.checked_out(project, checkout)
    first = deploying.planned(project, deploying.today(project.world, checkout))
    built = replace(project, world=deploying.built(project.world, checkout, first))
    return first, deploying.planned(built, deploying.today(built.world, checkout), pulled=True)


def lines(plan: Plan, causes: bool = False) -> list[str]:
    """Return a line for each operation: its kind and subjects; for the proxy its servers and backups."""
    return [
        _line(operation) + (f": {'; '.join(operation.cause)}" if causes and operation.cause else "")
        for operation in plan.operations
    ]


def _line(operation: Operation) -> str:
    if operation.aim:
        backups = f" backup {' '.join(operation.aim.backups)}" if operation.aim.backups else ""
        coming = f" coming {' '.join(operation.aim.coming)}" if operation.aim.coming else ""
        return f"{operation.kind} {' '.join(operation.aim.containers)}{backups}{coming}"
    alone = operation.kind in ("stop", "remove", "create", "start", "watch", "smoke", "prove", "recreate", "restart")
    return f"{operation.kind} {' '.join(operation.names) if alone and operation.names else operation.subject}"


def test_1_the_same_bytes_are_nothing_to_do() -> None:
    first, _ = plan(released(shop()), replace(shop(), root="/clone"))

    assert first.operations == ()
    assert first.changed == ()


def test_2_a_new_app_takes_over_while_the_old_one_serves() -> None:
    first, then = plan(released(shop()), shop(app={"image": 1}))

    assert [(operation.kind, operation.subject) for operation in first.operations if operation.kind == BUILD] == [
        (BUILD, "app")
    ]
    assert lines(then) == [
        "create shop-app-5",
        "start shop-app-5",
        "await healthy app",
        "point proxy shop-app-4 coming shop-app-5",
        "rest app",
        "point proxy shop-app-5 backup shop-app-4",
        "watch shop-app-5",
        "drain app",
        "prove shop-app-5",
        "point proxy shop-app-5",
        "stop shop-app-4",
        "remove shop-app-4",
        "await healthy every service",
    ]
    assert {operation.cause for operation in then.operations[:-1]} == {("image shop/app:dev changed",)}
    assert then.interrupts == ()


def test_2_the_smoke_check_asks_the_new_app_before_the_old_one_leaves() -> None:
    project, checkout = released(shop()), spec(shop(app={"image": 1}))
    world = deploying.built(
        deploying.checked_out(project, checkout).world, checkout, plan(project, shop(app={"image": 1}))[0]
    )
    desired = deploying.today(world, checkout)
    policy = replace(deploying.policy(project), smoke=True)
    planned = lines(reconcile(deploying.observe(world, desired), desired, policy))

    assert planned.index("watch shop-app-5") < planned.index("smoke shop-app-5") < planned.index("stop shop-app-4")
    assert planned[-1] == "smoke shop"


def test_3_a_migration_runs_once_and_the_database_is_not_touched() -> None:
    release = shop(migrate={"image": 1}, database={"source": 1})
    first, then = plan(released(shop()), release)

    assert lines(first)[0] == "build database migrate"
    assert lines(then) == ["backup database", "run migrate", "await healthy every service"]
    assert [change.service for change in then.changed] == ["migrate"]
    assert then.interrupts == ()


def test_4_configuration_is_read_again_where_that_is_declared() -> None:
    _, then = plan(released(shop()), shop(nginx={"file": 1}))

    assert lines(then, causes=True) == [
        "reload nginx: /src/nginx.d at /etc/d changed",
        "await healthy every service",
    ]
    assert then.interrupts == ()


def test_4_where_it_is_not_declared_the_container_is_recreated_and_that_interrupts() -> None:
    there = shop(nginx={"config": "recreate"})
    _, then = plan(released(there), shop(nginx={"config": "recreate", "file": 1}))

    assert lines(then) == [
        "recreate shop-nginx-1",
        "start shop-nginx-1",
        "await healthy nginx",
        "await healthy every service",
    ]
    assert then.interrupts == ("nginx",)


def test_5_a_renamed_service_gets_the_port_that_the_old_one_had() -> None:
    front = Part("front", port=8081)
    _, then = plan(released(shop(front)), shop(replace(front, renamed=True)))

    assert lines(then, causes=True) == [
        "stop shop-front-1: frontx needs its port or name",
        "remove shop-front-1: it is in no Compose file any more",
        "create shop-frontx-1: no container",
        "start shop-frontx-1",
        "await healthy frontx",
        "await healthy every service",
    ]
    assert then.interrupts == ("front",)


def test_5_it_is_refused_where_orphans_are_to_stay() -> None:
    front = Part("front", port=8081)
    checkout = spec(shop(replace(front, renamed=True)))
    project = deploying.checked_out(released(shop(front)), checkout)
    desired = deploying.today(project.world, checkout)
    refused = reconcile(deploying.observe(project.world, desired), desired, deploying.policy(project, orphans=False))

    assert [reason for reason, _ in refused.refusals] == [
        "frontx needs what shop-front-1 of service front has (port 8081, name shop-front-1), "
        "which is in no Compose file any more"
    ]


def test_6_what_shares_with_a_container_is_recreated_with_it_and_what_follows_is_restarted() -> None:
    side, web = Part("side", shares="database"), Part("web", after=(("database", "service_healthy", True),))
    _, then = plan(released(shop(side, web)), shop(side, web, database={"image": 1}))

    assert lines(then, causes=True) == [
        "recreate shop-database-1: image shop/database:dev changed",
        "start shop-database-1",
        "await healthy database",
        "recreate shop-side-1: it shares resources of database",
        "restart shop-web-1: restart with database",
        "start shop-side-1",
        "await healthy side web",
        "await healthy every service",
    ]
    assert then.interrupts == ("database", "side", "web")


def test_7_a_roll_back_of_configuration_recreates_what_it_changes() -> None:
    web = Part("web", environment=0)
    project = released(shop(web))
    later = shop(replace(web, environment=1), migrate={"image": 1})
    project = deploying.deploy(project, spec(later)).project
    back = deploying.planned(project, deploying.recorded(project.world, project.records[3]), back=True)

    assert lines(back, causes=True) == [
        "name images shop/migrate:dev: as the release has them",
        "recreate shop-web-1: configuration changed",
        "start shop-web-1",
        "await healthy web",
        "await healthy every service",
    ]


def killed(kind: str) -> Project:
    """Return the project when a deploy of another app was killed after an operation."""
    project, checkout = released(shop()), spec(shop(app={"image": 1}))
    _, then = plan(project, shop(app={"image": 1}))
    number = next(operation.number for operation in then.operations if operation.kind == kind)
    ended = deploying.deploy(project, checkout, Fault(number, "dies after"))
    assert ended.outcome == KILLED
    return ended.project


def test_8_what_was_not_watched_to_its_end_leaves_and_is_watched_again() -> None:
    _, then = plan(killed("watch"), shop(app={"image": 1}))

    assert lines(then)[:8] == [
        "point proxy shop-app-4",
        "drain app",
        "stop shop-app-5",
        "remove shop-app-5",
        "create shop-app-5",
        "start shop-app-5",
        "await healthy app",
        "point proxy shop-app-4 coming shop-app-5",
    ]
    assert "watch shop-app-5" in lines(then)
    assert then.interrupts == ()


def test_8_what_was_watched_to_its_end_stays_and_the_old_one_leaves() -> None:
    _, then = plan(killed("prove"), shop(app={"image": 1}))

    assert lines(then) == [
        "point proxy shop-app-5",
        "drain app",
        "stop shop-app-4",
        "remove shop-app-4",
        "await healthy every service",
    ]


def test_9_a_stopped_container_is_started_and_a_renamed_container_is_known() -> None:
    project = released(shop())
    world = project.world.changed(["shop-app-4"], state="exited", health="")
    world = world.changed(["shop-database-1"], name="mine")
    first, _ = plan(replace(project, world=world), shop())

    assert lines(first, causes=True) == [
        "start shop-app-4: shop-app-4 is exited",
        "await healthy app",
        "point proxy shop-app-4: shop-app-4 is exited",
        "await healthy every service",
    ]


@pytest.mark.parametrize(("version", "outcome"), [(0, UNCHANGED), (1, DEPLOYED)])
def test_10_another_directory_is_refused_where_its_secrets_differ(version: int, outcome: str) -> None:
    project, checkout = released(shop()), spec(replace(shop(database={"file": version}), root="/clone"))
    project = deploying.checked_out(project, checkout)
    desired = deploying.today(project.world, checkout)
    seen = deploying.observe(project.world, desired)
    seen = replace(seen, containers=tuple(replace(container, directory="/src") for container in seen.containers))
    decided = reconcile(seen, desired, deploying.policy(project))

    def refused(take: bool) -> Callable[[], str]:
        return lambda: refuse_other_directory(seen, decided, "/clone", take)

    assert [change.service for change in decided.changed] == ["database"] * version
    if version:
        with pytest.raises(RefusedError, match="shop was deployed from /src"):
            refused(take=False)()
        assert refused(take=True)().startswith("shop was deployed from /src")
    else:
        assert refused(take=False)() == ""
    assert deploying.deploy(project, checkout).outcome == outcome
