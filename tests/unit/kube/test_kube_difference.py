"""What a deploy would change on a cluster, in the words of the Compose file, and what it interrupts."""

from typing import Any

from cluster_objects import after, deployment, hook, metadata, service, state, stateful

from tasks.kube.plan.live.difference import ClusterState, differences, drift, foreign, jobs_ran
from tasks.reconcile.plan.operation import Change


def changes(found: ClusterState, *services: str) -> list[Change]:
    return [one.change for one in differences(found, services or ("app",))]


def test_what_the_server_filled_in_is_no_difference() -> None:
    assert changes(state([deployment(), service()], [after(deployment()), after(service())])) == [
        Change("app", "unchanged")
    ]


def test_causes_are_keys_of_the_compose_file_and_never_values() -> None:
    wanted = after(
        deployment(
            image="shop/app:2@sha256:abc",
            env=[{"name": "MODE", "value": "topsecret"}, {"name": "NEW", "value": "x"}],
            args=["serve"],
            command=["/app"],
            readinessProbe={"exec": {"command": ["/check"]}},
            resources={"limits": {"memory": "128Mi"}},
            securityContext={"runAsUser": 5, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        )
    )
    wanted["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 60

    (change,) = changes(state([deployment()], [wanted]))

    assert change.action == "recreate"
    assert set(change.causes) == {
        "image shop/app:2 changed",
        "environment MODE, NEW, LEVEL",
        "command",
        "entrypoint",
        "healthcheck",
        "deploy resources",
        "user",
        "read_only",
        "cap_drop",
        "stop_grace_period",
    }
    assert "topsecret" not in str(change)


def test_a_rollout_without_unavailable_pods_interrupts_nothing() -> None:
    (found,) = differences(state([deployment()], [after(deployment(image="shop/app:2"))]), ("app",))

    assert (found.new_pods, found.in_place, found.change.interrupts) == (True, False, ())


def test_recreate_interrupts_the_service() -> None:
    live, wanted = deployment(), after(deployment(image="shop/app:2"))
    wanted["spec"]["strategy"] = {"type": "Recreate"}

    (found,) = differences(state([live], [wanted]), ("app",))

    assert found.change.interrupts == ("app",)
    assert found.in_place


def test_a_database_of_one_pod_is_interrupted_and_one_of_three_is_not() -> None:
    for replicas, away in ((1, ("db",)), (3, ())):
        wanted = after(stateful(replicas=replicas))
        wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "postgres:18"

        (found,) = differences(state([stateful(replicas=replicas)], [wanted]), ("db",))

        assert found.change == Change("db", "recreate", ("image postgres:18 changed",), away)


def test_other_replicas_alone_scale() -> None:
    assert changes(state([deployment(replicas=2)], [after(deployment(replicas=3))])) == [
        Change("app", "scale", ("2 of 3 containers",))
    ]


def test_a_port_changes_beside_the_pods() -> None:
    found = state([deployment(), service()], [after(deployment()), after(service(port=81))])

    assert changes(found) == [Change("app", "reload", ("ports",))]


def test_a_service_that_is_not_there_is_created() -> None:
    assert changes(state([], [after(deployment())])) == [Change("app", "create", ("no container",))]


def test_a_service_that_is_in_no_file_any_more_is_removed_and_interrupted() -> None:
    found = state([deployment(), deployment("old")], [after(deployment())])

    assert changes(found)[1] == Change("old", "remove", ("in no Compose file any more",), ("old",))


def test_what_is_labelled_but_not_of_the_release_stays() -> None:
    extra = deployment("by-hand")
    del extra["metadata"]["annotations"]

    assert changes(state([deployment(), extra], [after(deployment())])) == [Change("app", "unchanged")]


def test_pods_that_are_not_ready_are_waited_for() -> None:
    live = deployment()
    live["status"]["readyReplicas"] = 1

    assert changes(state([live], [after(live)])) == [Change("app", "wait", ("1 of 2 containers are ready",))]


def test_a_job_runs_once_and_again_with_another_image() -> None:
    live, wanted = [deployment()], [after(deployment())]
    old, again, new = hook(name="migrate-11"), hook(name="migrate-upgrade-11"), hook("shop/app:2", "migrate-upgrade-22")

    first = changes(state(live, wanted, [old]), "migrate")
    same = changes(state(live, wanted, [again], [old]), "migrate")
    other = changes(state(live, wanted, [new], [old]), "migrate")

    assert first == [Change("migrate", "run", ("it has not run yet",))]
    assert same == [Change("migrate", "unchanged")]
    assert other == [Change("migrate", "run", ("image shop/app:2 changed",))]


def test_a_job_of_the_first_install_ran_as_an_object_of_the_release() -> None:
    job = hook(name="migrate-11")
    job["metadata"]["annotations"] = {"meta.helm.sh/release-name": "shop"}
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}

    before = changes(state([], [job]), "migrate")
    then = changes(state([job], [], [hook(name="migrate-upgrade-11")]), "migrate")

    assert before == [Change("migrate", "run", ("it has not run yet",))]
    assert then == [Change("migrate", "unchanged")]


def test_what_the_server_filled_in_is_no_cause_for_a_job() -> None:
    live, new = hook(name="migrate-11"), hook("shop/app:2", "migrate-upgrade-22")
    live["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    live["spec"]["template"]["spec"] |= {"schedulerName": "default-scheduler", "dnsPolicy": "ClusterFirst"}
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"] = "File"

    (change,) = changes(state([live], [], [new]), "migrate")

    assert change.causes == ("image shop/app:2 changed",)


def test_helm_is_asked_for_jobs_only_where_no_job_that_is_there_tells_of_them() -> None:
    wanted, done = hook(name="migrate-upgrade-11"), hook(name="migrate-11")
    done["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    failed = {**done, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}

    assert jobs_ran(state([done], [], [wanted]))
    assert jobs_ran(state([], []))
    assert not jobs_ran(state([], [], [wanted])), "it goes a day after it has ended"
    assert not jobs_ran(state([failed], [], [wanted]))
    assert not jobs_ran(state([done], [], [hook("shop/app:2", "migrate-upgrade-22")]))


def test_a_job_that_failed_runs_again() -> None:
    failed = hook(name="migrate-upgrade-11")
    failed["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}

    (change,) = changes(state([failed], [], [hook(name="migrate-upgrade-11")]), "migrate")

    assert change == Change("migrate", "run", ("it has not run yet",))


def test_a_job_runs_again_with_other_secrets() -> None:
    old, new = hook(name="migrate-11"), hook(name="migrate-upgrade-11")
    new["spec"]["template"]["metadata"]["annotations"] = {"slipway.dev/secrets": "password=2"}

    (change,) = changes(state([], [], [new], [old]), "migrate")

    assert change.action == "run"


def edited(manager: str, fields: dict[str, Any], **of: Any) -> dict[str, Any]:
    """Return a Deployment that a program has changed."""
    raw = deployment(**of)
    entry = {"manager": manager, "operation": "Update", "fieldsV1": fields}
    raw["metadata"]["managedFields"] = [{"manager": "helm", "operation": "Apply", "fieldsV1": {}}, entry]
    return raw


def within(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the managed fields of a container."""
    element = {f'k:{{"name":"{name}"}}': fields}
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": element}}}}


def test_a_field_that_was_changed_by_hand_is_told_with_its_program() -> None:
    live = edited("kubectl-edit", within("app", {"f:image": {}}), image="shop/app:hand")

    (change,) = changes(state([live], [after(deployment())]))

    assert change.causes == ("image shop/app:1 changed (changed with kubectl-edit)",)
    assert drift(state([live], [after(deployment())]), "app") == list(change.causes)


def test_a_variable_that_was_added_by_hand_is_drift_although_a_deploy_leaves_it() -> None:
    env = [*deployment()["spec"]["template"]["spec"]["containers"][0]["env"], {"name": "DEBUG", "value": "1"}]
    element = {'k:{"name":"DEBUG"}': {".": {}, "f:name": {}, "f:value": {}}}
    live = edited("kubectl-set", within("app", {"f:env": element}), env=env)
    found = state([live], [after(live)])

    assert changes(found) == [Change("app", "unchanged")]
    assert set(drift(found, "app")) == {"environment DEBUG (added with kubectl-set)"}


def test_what_controllers_set_is_no_drift() -> None:
    live = edited(
        "kube-controller-manager", {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}
    )
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "4"
    restarted = {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}
    again = edited("kubectl-rollout", {"f:spec": {"f:template": restarted}})

    assert drift(state([live], [after(live)]), "app") == []
    assert drift(state([again], [after(again)]), "app") == []


def test_what_is_missing_is_drift() -> None:
    found = state([deployment()], [after(deployment()), after(service())])

    assert drift(found, "app") == ["Service app is missing"]


def test_an_object_of_somebody_else_is_named() -> None:
    theirs = service("app")
    made = service("other")
    made["metadata"] = metadata("other", "app", live=False)

    assert foreign(state([deployment()], [after(deployment()), theirs, made])) == ("Service app",)


def test_a_deployment_in_another_slot_that_stayed_is_told() -> None:
    blue, green = deployment("app"), deployment("app")
    for raw, slot in ((blue, "blue"), (green, "green")):
        raw["metadata"]["name"] = f"app-{slot}"
        raw["metadata"]["labels"]["slipway/slot"] = slot
    found = state([blue, green], [after(blue)])

    assert changes(found) == [Change("app", "reload", ("Deployment app-green is left over",))]
    assert drift(found, "app") == ["Deployment app-green is left over"]
