"""A run of a job by itself."""

from typing import Any

from cluster_objects import NAMES, hook

from tasks.kube.plan.live import difference, jobs


def ended(**conditions: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions.items()]}}


def test_a_run_is_the_job_of_the_release_without_what_makes_it_a_hook() -> None:
    raw = hook(name="migrate-11")
    raw["spec"] = {**raw["spec"], "suspend": True, "selector": {"matchLabels": {"controller-uid": "1"}}}
    raw["spec"]["template"]["metadata"]["labels"]["controller-uid"] = "1"

    made = jobs.once(raw)

    assert made["metadata"]["generateName"] == "migrate-11-run-"
    assert "annotations" not in made["metadata"]
    assert made["spec"]["template"]["spec"] == raw["spec"]["template"]["spec"]
    assert "controller-uid" not in made["spec"]["template"]["metadata"]["labels"]
    assert set(made["spec"]) == {"backoffLimit", "ttlSecondsAfterFinished", "template"}


def test_a_job_that_is_run_when_asked_for_is_found_in_its_cron_job() -> None:
    job = hook()
    cron = {**job, "kind": "CronJob", "spec": {"suspend": True, "jobTemplate": {"spec": job["spec"]}}}

    found = jobs.found([cron], "migrate", NAMES)

    assert found is cron
    assert jobs.once(cron)["spec"]["template"]["spec"] == job["spec"]["template"]["spec"]
    assert jobs.found([cron], "app", NAMES) is None


def test_a_job_has_ended_well_or_not_or_not_at_all() -> None:
    assert difference.ended(ended(Complete="True")) is True
    assert difference.ended(ended(Failed="True")) is False
    assert difference.ended(ended(Suspended="True")) is None
    assert difference.ended({}) is None
