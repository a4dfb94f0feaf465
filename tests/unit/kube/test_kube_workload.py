"""The kind of a workload, and what a Job is."""

import re
from typing import Any

import pytest
from workload_release import COMPLETED, HEALTHY, objects, one, outcomes, part, release

from tasks.kube.plan.outcome import IGNORED, INFERRED, REFUSED, TRANSLATED
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import KubeSource
from tasks.kube.plan.translate import translate
from tasks.kube.plan.workloads.ordering import placed

MIGRATION: dict[str, Any] = {
    "db": {"image": "postgres:17", "healthcheck": {"test": ["CMD", "pg_isready"]}},
    "migrate": {"image": "app:1", "command": ["migrate"], "restart": "no", "depends_on": {"db": HEALTHY}},
    "app": {"image": "app:1", "depends_on": {"migrate": COMPLETED}},
}
SELECTOR = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}


def kinds(source: KubeSource, name: str) -> list[str]:
    return [each["kind"] for each in objects(source, name)]


def test_a_service_that_runs_on_is_a_deployment() -> None:
    source = release(app={"image": "app"})
    assert objects(source, "app") == (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "labels": SELECTOR},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "progressDeadlineSeconds": 60,
                "selector": {"matchLabels": SELECTOR},
                "template": {
                    "metadata": {"labels": SELECTOR},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "containers": [{"name": "app"}],
                        "enableServiceLinks": False,
                        "terminationGracePeriodSeconds": 10,
                    },
                },
            },
        },
    )


def test_a_job_that_others_wait_for_is_a_job() -> None:
    source = release(**MIGRATION)
    (made,) = objects(source, "migrate")
    labels = {**SELECTOR, "app.kubernetes.io/name": "migrate"}
    assert re.fullmatch(r"migrate-[0-9a-f]{8}", made["metadata"].pop("name"))
    assert made == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": labels,
            "annotations": {
                "slipway/restart": "no",
                "helm.sh/hook": "pre-upgrade",
                "helm.sh/hook-weight": "1",
                "helm.sh/hook-delete-policy": "before-hook-creation",
                "argocd.argoproj.io/hook": "Sync",
                "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
                "argocd.argoproj.io/sync-wave": "1",
            },
        },
        "spec": {
            "backoffLimit": 5,
            "ttlSecondsAfterFinished": 86400,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "automountServiceAccountToken": False,
                    "containers": [{"name": "migrate", "args": ["migrate"]}],
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 10,
                },
            },
        },
    }


def test_a_job_with_a_new_image_has_a_new_name_and_else_its_old_one() -> None:
    def name(image: str) -> str:
        more = Part(container={"image": image})
        found: str = objects(release(**MIGRATION), "migrate", more)[0]["metadata"]["name"]
        return found

    assert name("app@sha256:1") == name("app@sha256:1") != name("app@sha256:2")


def test_the_name_of_a_job_is_a_valid_one_however_long_that_of_the_service_is() -> None:
    long = "m" * 60
    source = release(**{long: {"image": "app", "x-slipway": {"job": "migrate"}}})
    assert len(one(source, long, "Job")["metadata"]["name"]) == 63


@pytest.mark.parametrize(
    ("fields", "policy", "limit"),
    [
        ({}, "Never", 0),
        ({"restart": "no"}, "Never", 0),
        ({"restart": "on-failure:3"}, "OnFailure", 3),
        ({"restart": "on-failure"}, "OnFailure", 20),
        ({"restart": "always"}, "OnFailure", 20),
        ({"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 2}}}, "OnFailure", 2),
        ({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}, "Never", 0),
    ],
)
def test_how_often_a_job_is_tried(fields: dict[str, Any], policy: str, limit: int) -> None:
    source = release(app={"image": "app", "x-slipway": {"job": "migrate"}, **fields})
    spec = one(source, "app", "Job")["spec"]
    assert (spec["template"]["spec"]["restartPolicy"], spec["backoffLimit"]) == (policy, limit)


@pytest.mark.parametrize(
    ("restart", "kind"),
    [(None, INFERRED), ("no", INFERRED), ("on-failure:3", TRANSLATED), ("on-failure", INFERRED), ("always", INFERRED)],
)
def test_what_becomes_of_restart_of_a_job(restart: str | None, kind: str) -> None:
    source = release(**{**MIGRATION, "migrate": {**MIGRATION["migrate"], "restart": restart}})
    assert outcomes(source, "migrate")["restart"].kind == kind


def test_a_job_without_needs_is_a_hook_at_the_first_install_too() -> None:
    source = release(app={"image": "app", "x-slipway": {"job": "migrate"}})
    assert one(source, "app", "Job")["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_a_job_with_a_volume_comes_with_the_claim() -> None:
    volume = {"type": "volume", "source": "data", "target": "/data"}
    source = release(
        own={"image": "busybox", "command": ["chown", "5", "/data"], "volumes": [volume]},
        fill={"image": "fill", "depends_on": {"own": COMPLETED}},
        app={"image": "app", "depends_on": {"fill": COMPLETED}, "volumes": [volume]},
    )
    jobs = [one(source, name, "Job") for name in ("own", "fill")]
    assert [job["metadata"]["annotations"]["helm.sh/hook"] for job in jobs] == ["pre-upgrade", "pre-upgrade"]
    assert [job["spec"]["backoffLimit"] for job in jobs] == [0, 5], "both come at the first install"


def test_a_job_after_a_job_comes_after_it() -> None:
    source = release(
        first={"image": "a"},
        second={"image": "b", "depends_on": {"first": COMPLETED}},
        app={"image": "c", "depends_on": {"second": COMPLETED}},
    )
    notes = [one(source, name, "Job")["metadata"]["annotations"] for name in ("first", "second")]
    assert [note["helm.sh/hook"] for note in notes] == ["pre-install,pre-upgrade"] * 2
    assert [note["helm.sh/hook-weight"] for note in notes] == ["1", "3"]


def test_a_job_that_nobody_waits_for_comes_last() -> None:
    source = release(
        app={"image": "app"}, warm={"image": "w", "depends_on": {"app": HEALTHY}, "x-slipway": {"job": "once"}}
    )
    notes = one(source, "warm", "Job")["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == "post-install,post-upgrade"
    assert notes["argocd.argoproj.io/sync-wave"] == "1"


def test_data_for_tries_is_put_in_only_when_somebody_asks() -> None:
    source = release(**MIGRATION, seed={"image": "app", "command": ["seed"], "x-slipway": {"job": "seed"}})
    made = one(source, "seed", "CronJob")
    assert made["metadata"]["name"] == "seed"
    assert made["spec"]["suspend"] is True
    assert made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"] == [{"name": "seed", "args": ["seed"]}]
    assert outcomes(source, "seed")["x-slipway.job"].kind == INFERRED


@pytest.mark.parametrize("own", [{"job": "test"}, {"role": "load-generator", "load": {"targets": ["GET http://app/"]}}])
def test_tests_and_load_generators_are_never_deployed(own: dict[str, Any]) -> None:
    source = release(app={"image": "app"}, other={"image": "other", "user": "5", "x-slipway": own})
    result = translate(source)
    assert objects(source, "other") == ()
    assert {each["metadata"]["name"] for each in result.objects} == {"app"}
    (said,) = [outcome for outcome in result.outcomes if outcome.key.startswith("services.other")]
    assert (said.kind, said.key) == (IGNORED, "services.other")


def test_restart_no_with_ports_runs_on() -> None:
    source = release(app={"image": "f", "ports": [{"target": 80, "published": "8080"}], "restart": "no"})
    assert kinds(source, "app") == ["Deployment"]
    assert "restartPolicy" not in one(source, "app", "Deployment")["spec"]["template"]["spec"]
    said = outcomes(source)["restart"]
    assert (said.kind, said.reason) == (
        IGNORED,
        "a container that ends is always started again, unless the service is a job",
    )


@pytest.mark.parametrize(
    ("word", "kind"), [("always", TRANSLATED), ("unless-stopped", TRANSLATED), ("on-failure:3", IGNORED)]
)
def test_what_becomes_of_restart_of_a_service(word: str, kind: str) -> None:
    source = release(app={"image": "app", "restart": word})
    assert kinds(source, "app") == ["Deployment"]
    assert outcomes(source)["restart"].kind == kind


def test_a_database_is_a_stateful_set() -> None:
    source = release(app={"image": "db", "x-slipway": {"role": "database"}})
    made, budget = objects(source, "app")
    assert made["kind"] == "StatefulSet"
    assert made["spec"] == {
        "serviceName": "app",
        "replicas": 1,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "selector": {"matchLabels": SELECTOR},
        "template": made["spec"]["template"],
    }
    assert budget["kind"] == "PodDisruptionBudget"


def test_a_service_with_a_claim_for_each_pod_is_a_stateful_set() -> None:
    claims = Part(workload={"volumeClaimTemplates": [{"metadata": {"name": "data"}}]})
    made = objects(release(app={"image": "app"}), "app", claims)[0]
    assert made["kind"] == "StatefulSet"
    assert made["spec"]["volumeClaimTemplates"] == [{"metadata": {"name": "data"}}]
    assert "strategy" not in made["spec"]


def test_a_service_on_each_node_is_a_daemon_set() -> None:
    source = release(app={"image": "agent", "deploy": {"mode": "global", "replicas": 3}})
    (made,) = objects(source, "app")
    assert made["kind"] == "DaemonSet"
    assert set(made["spec"]) == {"selector", "template", "updateStrategy"}
    assert made["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    assert outcomes(source)["deploy.mode"].into == "DaemonSet"
    assert outcomes(source)["deploy.replicas"].kind == IGNORED


def test_a_replicated_job_has_completions() -> None:
    source = release(app={"image": "app", "deploy": {"mode": "replicated-job", "replicas": 3}})
    spec = one(source, "app", "Job")["spec"]
    assert (spec["completions"], spec["parallelism"]) == (3, 3)


def test_a_job_on_each_node_is_refused() -> None:
    source = release(app={"image": "app", "deploy": {"mode": "global-job"}})
    assert outcomes(source)["deploy.mode"].kind == REFUSED


def test_what_waits_for_a_job_comes_in_a_later_wave_with_all_its_objects() -> None:
    result = translate(release(**{**MIGRATION, "app": {**MIGRATION["app"], "deploy": {"replicas": 2}}}))
    waves = {
        f"{each['kind']}/{each['metadata']['labels']['app.kubernetes.io/name']}": (
            each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"],
            each["metadata"]["labels"]["slipway/wave"],
        )
        for each in result.objects
        if each["kind"] in ("Deployment", "PodDisruptionBudget", "Job")
    }
    assert waves == {
        "Deployment/db": ("0", "0"),
        "Job/migrate": ("1", "1"),
        "Deployment/app": ("2", "2"),
        "PodDisruptionBudget/app": ("2", "2"),
    }


def test_without_jobs_there_are_no_waves() -> None:
    result = translate(release(db={"image": "db"}, app={"image": "app", "depends_on": {"db": HEALTHY}}))
    assert not [each for each in result.objects if "slipway/wave" in each["metadata"].get("labels", {})]
    assert not [each for each in result.objects if "annotations" in each["metadata"]]


def test_what_pods_of_two_waves_mount_comes_with_the_first() -> None:
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "files"}}
    files = {"kind": "ConfigMap", "metadata": {"name": "own"}}
    pod = {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "files"}}]}
    more = {"volumes": [*pod["volumes"], {"name": "b", "configMap": {"name": "own"}}]}
    job = {"kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": {"spec": pod}}}
    app = {"kind": "Deployment", "metadata": {"name": "app"}, "spec": {"template": {"spec": more}}}
    made = placed([(job, 1), (app, 2), (claim, 2), (files, 2)])
    waves = [each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in made]
    assert waves == ["1", "2", "1", "2"]


def test_what_a_service_waits_for_is_told() -> None:
    source = release(**MIGRATION)
    assert outcomes(source)["depends_on.migrate"].kind == TRANSLATED
    assert outcomes(source, "migrate")["depends_on.db"].kind == IGNORED


def test_a_dependency_that_is_not_there_is_told() -> None:
    needs = {"loader": {"condition": "service_started", "required": False, "restart": True}}
    said = outcomes(release(app={"image": "app", "depends_on": needs}))
    assert said["depends_on.loader"].reason == "loader is not part of what is deployed"
    assert said["depends_on.loader.restart"].kind == IGNORED


def test_an_extension_is_no_unknown_key() -> None:
    result = translate(release(app={"image": "app", "x-other": 1, "x-slipway": {"rollout": "recreate"}, "odd": 1}))
    refused = {outcome.key for outcome in result.outcomes if outcome.kind == REFUSED}
    assert not [key for key in refused if ".x-" in key]
    assert "services.app.odd" in refused


def test_the_aspects_of_a_job_add_no_field_of_a_deployment() -> None:
    assert part(release(**MIGRATION), "migrate").workload == {}
