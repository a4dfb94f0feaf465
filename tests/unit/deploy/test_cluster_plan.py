"""The plan of a deploy to a cluster."""

import pytest
from support import stack

from tasks.build.plan.build import BuildPlan
from tasks.deploy.plan.cluster import ClusterPolicy, plan, rebuilt, unwatched
from tasks.deploy.plan.deploy import Deploy
from tasks.deploy.plan.shown import ShownPlan, interruptions
from tasks.kube.plan.labels import SERVICE
from tasks.kube.plan.live.difference import ClusterState, ServiceDifference
from tasks.reconcile.plan.operation import Change

SHOP = stack({"app": {}, "db": {"x-slipway": {"database": "postgres"}}, "migrate": {"x-slipway": {"job": "migrate"}}})


def different(service: str, action: str, *causes: str, away: bool = False, in_place: bool = False) -> ServiceDifference:
    return ServiceDifference(Change(service, action, causes, (service,) if away else ()), True, in_place)


def kinds(*found: ServiceDifference, policy: ClusterPolicy | None = None) -> list[str]:
    made = plan(SHOP, found, policy or ClusterPolicy())
    return [f"{one.kind} {one.subject}" for one in made.operations]


def test_nothing_that_differs_is_no_operation() -> None:
    assert kinds(different("app", "unchanged"), policy=ClusterPolicy(smoke=True)) == []


def test_a_migration_is_backed_up_before_and_smoked_after() -> None:
    policy = ClusterPolicy(smoke=True, databases=("db",), secrets=("db_password",))

    assert kinds(different("migrate", "run", "image"), different("app", "recreate", "image"), policy=policy) == [
        "write secrets db_password",
        "backup db",
        "run migrate",
        "roll app",
        "await healthy app",
        "watch app",
        "smoke shop",
    ]


def test_a_job_that_is_no_migration_needs_no_backup() -> None:
    policy = ClusterPolicy(databases=("db",))

    assert kinds(different("app", "recreate", "image"), policy=policy) == ["roll app", "await healthy app", "watch app"]


def test_the_operations_come_one_after_the_other() -> None:
    made = plan(SHOP, [different("app", "create", "no container")], ClusterPolicy(namespace="shop"))

    assert [(one.kind, one.number, one.after) for one in made.operations] == [
        ("create namespace", 1, ()),
        ("create", 2, (1,)),
        ("await healthy", 3, (2,)),
    ]


def test_the_document_has_the_words_of_a_deploy_to_an_engine() -> None:
    found = [
        different("db", "recreate", "image postgres:18 changed", away=True, in_place=True),
        different("app", "recreate"),
    ]
    deploy = Deploy(plan(SHOP, found, ClusterPolicy(timeouts={"db": 60.0})))
    away = interruptions(deploy, SHOP, {"services": {"db": {"stop_grace_period": "20s"}}}, {})

    document = ShownPlan(deploy, SHOP, tuple(away)).document()

    assert [(one["service"], one["action"], one["interrupts"]) for one in document["changes"]] == [
        ("db", "recreate", ["db"]),
        ("app", "roll", []),
    ]
    assert document["changes"][0]["interruption"]["most_seconds"] == 80.0
    assert document["interrupts"] == ["db"]


def test_what_is_built_first_is_told_as_a_cause() -> None:
    unchanged, causes = [different("app", "unchanged"), different("migrate", "unchanged")], {"app": "x", "migrate": "y"}
    found = rebuilt(unchanged, causes, SHOP, ClusterState((), ()))

    assert [(one.change.service, one.change.action, one.change.causes) for one in found] == [
        ("app", "recreate", ("image to be built: x",)),
        ("migrate", "run", ("image to be built: y",)),
    ]


@pytest.mark.parametrize(("strategy", "away"), [("Recreate", True), ("RollingUpdate", False)])
def test_what_is_built_first_is_away_where_its_pods_are_made_one_after_the_other(strategy: str, away: bool) -> None:
    spec = {"replicas": 1, "strategy": {"type": strategy}}
    own = {"kind": "Deployment", "metadata": {"name": "app", "labels": {SERVICE: "app"}}, "spec": spec}
    state = ClusterState((own,), (own,), names={"app": "app"})

    made = plan(SHOP, rebuilt([different("app", "unchanged")], {"app": "x"}, SHOP, state), ClusterPolicy())

    first = made.operations[0]
    assert (first.kind, first.interrupts) == (("recreate", ("app",)) if away else ("roll", ()))
    assert made.interrupts == (("app",) if away else ())


def test_a_switch_starts_the_new_pods_and_removes_the_old_ones_in_the_end() -> None:
    policy = ClusterPolicy(smoke=True, moved={"app": ("app-blue", "app-green")}, watched={"app": 30.0})
    found = different("app", "recreate", "image")

    assert kinds(found, policy=policy) == [
        *("start app", "await healthy app", "switch app", "watch app", "smoke shop", "remove app")
    ]
    deploy = Deploy(plan(SHOP, [found], policy))
    shown = ShownPlan(deploy, SHOP)
    assert shown.document()["changes"][0]["action"] == "roll"
    assert shown.document()["interrupts"] == []
    assert shown.lines() == [
        "app switches to app-green (blue-green): what serves now stays until that was watched for 30.0 s"
    ]
    assert [one.title("shop") for one in deploy.plan.operations if one.names] == [
        *("start app-green", "app-green ready", "switch app-green", "watch app-green", "remove app-blue")
    ]


def test_an_image_that_is_built_first_is_asked_for_its_health_check_once_it_is_there() -> None:
    found = rebuilt([different("app", "unchanged")], {"app": "x"}, SHOP, ClusterState((), ()))
    planned = plan(SHOP, found, ClusterPolicy())

    assert unwatched(Deploy(planned, BuildPlan((), None, {"app": "x"})), ClusterState((), ())) == ()
    assert unwatched(Deploy(planned), ClusterState((), ())) == ("app",)
