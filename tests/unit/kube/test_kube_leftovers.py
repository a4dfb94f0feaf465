"""What is left in a namespace: of Slipway, and not of people."""

from typing import Any

from cluster_objects import deployment, hook, metadata

from tasks.kube.plan.live.difference import key
from tasks.kube.plan.live.jobs import once
from tasks.kube.plan.live.leftovers import claims, leftovers
from tasks.kube.plan.live.revisions import RECORD_LABEL

COMPLETE = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def record(number: int) -> dict[str, Any]:
    about = metadata(f"shop-release-{number}")
    return {
        "kind": "ConfigMap",
        "metadata": {**about, "annotations": {}, "labels": {**about["labels"], RECORD_LABEL: str(number)}},
    }


def left(*objects: Any, kept: Any = ()) -> list[str]:
    return [str(one) for one in leftovers(objects, {key(raw) for raw in kept}, "shop", (3, 4))]


def test_what_serves_stays_and_what_helm_forgot_goes() -> None:
    app, old = deployment(), deployment("old")

    assert left(app, old, kept=[app]) == ["Deployment old (of no release that serves)"]


def test_records_go_with_their_revision() -> None:
    assert left(record(2), record(3)) == ["ConfigMap shop-release-2 (of a release that is forgotten)"]


def test_a_hook_goes_when_it_has_ended_and_serves_no_release() -> None:
    old, now, works = (hook(name=f"migrate-{number}") for number in (1, 2, 3))

    assert left({**old, **COMPLETE}, {**now, **COMPLETE}, works, kept=[now]) == ["Job migrate-1 (has ended)"]


def test_a_run_by_itself_goes_when_it_has_ended() -> None:
    run = once(hook())
    run["metadata"]["name"] = "migrate-run-x"

    assert left(run) == []
    assert left({**run, **COMPLETE}) == ["Job migrate-run-x (has ended)"]


def test_what_people_made_with_the_labels_of_the_project_stays() -> None:
    theirs = {
        "kind": "Job",
        "metadata": {"name": "report", "labels": {"app.kubernetes.io/part-of": "shop"}},
        **COMPLETE,
    }

    assert left(theirs) == []


def test_claims_go_where_nothing_mounts_them_now_or_when_there_are_more_pods() -> None:
    claim = [{"kind": "PersistentVolumeClaim", "metadata": metadata(name)} for name in ("data-db-0", "old", "used")]
    db = {
        "kind": "StatefulSet",
        "metadata": metadata("db"),
        "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
    }
    pod = {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "used"}}, {"emptyDir": {}}]}}

    found = claims([*claim, db], {key(db)}, [pod])

    assert [one.name for one in found] == ["old"]
    assert left(*claim) == []
