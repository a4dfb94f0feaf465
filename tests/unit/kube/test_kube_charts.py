"""The objects of a release by when a chart has them."""

from typing import Any

from workload_release import COMPLETED, HEALTHY, objects, release

from tasks.kube.plan.part import Part
from tasks.kube.plan.workloads.charts import of_chart

FILES = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sql-1a2b"}, "data": {"a.sql": "select 1"}}
MOUNT = Part(
    container={"volumeMounts": [{"name": "sql", "mountPath": "/sql"}]},
    pod={"volumes": [{"name": "sql", "configMap": {"name": "sql-1a2b", "defaultMode": 292}}]},
)


def made(**migrate: Any) -> tuple[dict[str, Any], ...]:
    source = release(
        db={"image": "db"},
        migrate={"image": "m", "depends_on": {"db": HEALTHY}, **migrate},
        app={"image": "app", "depends_on": {"migrate": COMPLETED}},
    )
    return (*objects(source, "db"), *objects(source, "migrate", MOUNT), FILES, *objects(source, "app"))


def names(found: tuple[Any, ...]) -> list[str]:
    return [f"{each['kind']}/{each['metadata']['name']}" for each in found]


def test_a_job_is_an_object_at_first_and_a_hook_before_an_upgrade() -> None:
    chart = of_chart(made())
    (job,) = chart.at_install
    assert names(chart.always) == ["Deployment/db", "ConfigMap/sql-1a2b", "Deployment/app"]
    assert not [key for key in job["metadata"]["annotations"] if key.startswith("helm.sh/")]
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Sync"
    assert job["spec"]["backoffLimit"] == 5, "its database comes at the same time"
    _, hook = chart.at_upgrade
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert hook["spec"]["backoffLimit"] == 2, "policies may hear of its Pod late"
    assert hook["metadata"]["name"] == job["metadata"]["name"].replace("migrate-", "migrate-upgrade-")


def test_a_hook_has_its_files_before_the_release_has_any() -> None:
    files, hook = of_chart(made()).at_upgrade
    assert files == {
        **FILES,
        "metadata": {
            "name": "sql-1a2b-hook",
            "annotations": {
                "helm.sh/hook": "pre-upgrade",
                "helm.sh/hook-weight": "0",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
                # Argo CD would make a hook of Helm's alone before the sync, and take it away before the job.
                "argocd.argoproj.io/hook": "Sync",
                "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
                "argocd.argoproj.io/sync-wave": "1",
            },
        },
    }
    assert hook["metadata"]["annotations"]["helm.sh/hook-weight"] == "1"
    assert hook["spec"]["template"]["spec"]["volumes"] == [
        {"name": "sql", "configMap": {"name": "sql-1a2b-hook", "defaultMode": 292}}
    ]


def test_a_job_that_is_to_be_tried_again_is_so_before_an_upgrade_too() -> None:
    _, hook = of_chart(made(restart="on-failure:2")).at_upgrade
    assert hook["spec"]["backoffLimit"] == 2


def test_a_job_without_needs_is_a_hook_always() -> None:
    source = release(migrate={"image": "m"}, app={"image": "app", "depends_on": {"migrate": COMPLETED}})
    chart = of_chart((*objects(source, "migrate", MOUNT), FILES))
    assert (chart.at_install, chart.at_upgrade) == ((), ())
    files, hook, ordinary = chart.always
    assert files["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert hook["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == "sql-1a2b-hook"
    assert ordinary == FILES


def test_a_job_that_comes_last_needs_no_copy_of_its_files() -> None:
    source = release(app={"image": "app"}, warm={"image": "w", "x-slipway": {"job": "once"}})
    chart = of_chart((*objects(source, "warm", MOUNT), FILES))
    assert [each["kind"] for each in chart.always] == ["Job", "ConfigMap"]
    assert chart.always[0]["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == "sql-1a2b"


def test_the_name_of_a_hook_is_not_too_long() -> None:
    long = "m" * 60
    source = release(
        db={"image": "db"}, **{long: {"image": "m", "depends_on": {"db": HEALTHY}, "x-slipway": {"job": "migrate"}}}
    )
    (hook,) = of_chart(objects(source, long)).at_upgrade
    assert len(hook["metadata"]["name"]) == 63


def test_nothing_is_lost_and_nothing_else_is_changed() -> None:
    given = made()
    chart = of_chart(given)
    assert chart.always == tuple(each for each in given if each["kind"] != "Job")
