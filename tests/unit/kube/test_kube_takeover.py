"""What stands beside what while a release takes over in another slot."""

from typing import Any, cast

import pytest
from workload_release import objects, release

from tasks.kube.plan import labels
from tasks.kube.plan.live.takeover import aligned, astray, led, of_services, services_of, serving, slots, takeover
from tasks.kube.plan.workloads.slots import SLOT, in_slot, of_one_slot, with_former

SELECTOR = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}


def made(slot: str = "", image: str = "app:1", port: int = 80, **own: Any) -> tuple[dict[str, Any], ...]:
    """Return the objects of a release with its Pods in a slot."""
    source = release(app={"image": image, "cpus": 1, "x-slipway": {"rollout": "blue-green", **own}})
    service = {
        "kind": "Service",
        "metadata": {"name": "app", "labels": SELECTOR},
        "spec": {"selector": SELECTOR, "ports": [{"port": 80, "targetPort": port}]},
    }
    files = {"kind": "ConfigMap", "metadata": {"name": f"files-{image[-1]}", "labels": {}}}
    job = {"kind": "Job", "metadata": {"name": f"migrate-{image[-1]}", "labels": {labels.SERVICE: "migrate"}}}
    found = (*objects(source, "app"), service, files, job)
    return cast(tuple[dict[str, Any], ...], in_slot(found, SELECTOR, slot)) if slot else found


def named(found: Any) -> list[str]:
    return [f"{each['kind']} {each['metadata']['name']}" for each in found]


def test_what_serves_stays_as_it_is_beside_the_new_pods() -> None:
    change = takeover(made("blue", port=8000), made("green", "app:2", port=9000))

    assert change.moved == {"app": ("app-blue", "app-green")}
    beside = change.beside(())
    assert named(beside) == [
        "Deployment app-green", "Service app", "ConfigMap files-2", "Job migrate-2",
        "Deployment app-blue", "ConfigMap files-1",
    ]  # fmt: skip
    assert beside[1] == made("blue", port=8000)[1], "its ports too: the old Pods listen there"
    assert change.leading_on() == (made("green", port=9000)[1],)
    assert change.leading_back() == (made("blue", port=8000)[1],)
    assert change.slots() == {"app": "green"}


def test_routes_of_a_mesh_change_hands_with_the_services() -> None:
    def routes(attempts: int) -> dict[str, Any]:
        http = [{"route": [{"destination": {"host": "app"}}], "retries": {"attempts": attempts}}]
        return {"kind": "VirtualService", "metadata": {"name": "app", "labels": SELECTOR}, "spec": {"http": http}}

    change = takeover((*made("blue"), routes(1)), (*made("green", "app:2"), routes(2)))
    assert routes(1) in change.beside(()) and routes(2) not in change.beside(())
    assert change.leading_on()[-1] == routes(2)
    assert change.leading_back()[-1] == routes(1)


def test_routes_of_linkerd_change_hands_and_the_services_of_its_slots_stay() -> None:
    def routes(backend: str, parent: str = "Service") -> dict[str, Any]:
        spec = {"parentRefs": [{"kind": parent, "name": "app"}], "rules": [{"backendRefs": [{"name": backend}]}]}
        return {"kind": "HTTPRoute", "metadata": {"name": f"app.{parent}", "labels": SELECTOR}, "spec": spec}

    def release_of(slot: str, image: str, backend: str) -> tuple[dict[str, Any], ...]:
        found = made(slot, image)
        service = next(each for each in found if each["kind"] == "Service")
        slotted = [of_one_slot(service, one) for one in ("blue", "green")]
        return (*found, routes(backend), routes(backend, "Gateway"), *cast(Any, slotted))

    before, after = release_of("blue", "app:1", "old"), release_of("green", "app:2", "new")
    change = takeover(before, after)
    assert routes("old") in change.beside(()) and routes("new") not in change.beside(())
    assert routes("new", "Gateway") in change.beside(()), "it leads to the Service, from outside"
    assert routes("new") in change.leading_on() and routes("old") in change.leading_back()
    slots = {
        each["metadata"]["name"]: each["spec"]["selector"][SLOT]
        for each in aligned(after, before)
        if each["kind"] == "Service"
    }
    assert slots == {"app": "blue", "app-blue": "blue", "app-green": "green"}
    assert astray(after, after) == frozenset()


def test_a_canary_that_a_mesh_shares_begins_in_a_slot() -> None:
    found = release(app={"image": "app:1", "x-slipway": {"rollout": "canary"}}).stack
    assert slots((), found, {"app": "app"}) == {}
    assert slots((), found, {"app": "app"}, ("app",)) == {"app": "blue"}


def test_pods_that_stay_in_their_deployment_change_no_hands() -> None:
    assert takeover(made("blue"), made("blue", "app:2")).moved == {}
    assert takeover((), made("blue")).moved == {}, "the first deploy"


def test_a_service_that_becomes_blue_green_leaves_its_deployment() -> None:
    assert takeover(made(), made("blue")).moved == {"app": ("app", "app-blue")}


def test_a_service_that_scales_by_itself_begins_with_the_pods_that_serve() -> None:
    scale: dict[str, Any] = {"scale": {"min": 2, "max": 9}}
    change = takeover(made("blue", **scale), made("green", "app:2", **scale))
    live = [{**made("blue")[0], "spec": {"replicas": 5}}]

    (new, *_), old = change.beside(live), [each for each in change.beside(live) if "app-blue" in named([each])[0]]

    assert (new["metadata"]["name"], new["spec"]["replicas"]) == ("app-green", 5)
    assert named(old) == ["Deployment app-blue", "HorizontalPodAutoscaler app-blue"]
    assert "replicas" not in change.after[0]["spec"]
    assert named(change.scalers()) == ["HorizontalPodAutoscaler app-green"]


@pytest.mark.parametrize(
    ("live", "slot"),
    [(made("blue"), "blue"), (made(), ""), ((*made("blue"), made("green")[0]), "blue"), ((made("green")[0],), "green")],
)
def test_the_slot_that_serves_is_that_of_its_deployment(live: Any, slot: str) -> None:
    assert serving(live) == {"app": slot}


def test_of_two_deployments_the_services_tell_which_serves() -> None:
    assert serving((made("green")[0], *made("blue")[1:], made("blue")[0])) == {"app": "blue"}


def test_services_that_lead_elsewhere_are_astray() -> None:
    assert astray(made("blue"), made("green")) == {"app"}
    assert astray(made("blue"), made("blue")) == frozenset()
    assert astray(made("blue"), ()) == frozenset(), "helm makes them again"
    assert named(of_services(made("blue"), "Deployment", {"app"})) == ["Deployment app-blue"]


@pytest.mark.parametrize("slot", ["", "blue"])
def test_another_slot_is_no_difference(slot: str) -> None:
    scale: dict[str, Any] = {"scale": {"min": 2, "max": 9}}
    assert aligned(made("green", **scale), made(slot, **scale)) == made(slot, **scale)
    assert SLOT not in str(aligned(made("green"), made()))


def test_a_service_for_the_former_pods_leads_to_the_other_slot_and_that_is_no_difference() -> None:
    def with_it(slot: str, image: str = "app:1") -> tuple[dict[str, Any], ...]:
        return cast(tuple[dict[str, Any], ...], with_former(made(slot, image), SELECTOR, slot))

    live, wanted = with_it("green"), with_it("blue")
    assert aligned(wanted, live) == live
    assert not astray(live, live) and astray(wanted, live) == {"app"}
    change = takeover(live, with_it("blue", "app:2"))
    assert [each["spec"]["selector"][SLOT] for each in change.leading_on()] == ["blue", "green"]
    assert [each["spec"]["selector"][SLOT] for each in change.leading_back()] == ["green"], "they are asked until then"
    assert services_of(live, {"app"}) == change.leading_back()
    assert not astray(live, with_former(made("green"), SELECTOR, "blue")), "it leads back with the rest of the release"


def test_what_stands_in_the_other_slot_does_not_serve() -> None:
    blue, green, db = (
        {"kind": "Pod", "metadata": {"name": name, "labels": {labels.SERVICE: service, **mark}}}
        for name, service, mark in (("a", "app", {SLOT: "blue"}), ("b", "app", {SLOT: "green"}), ("c", "db", {}))
    )
    both = (made("green")[0], *made("blue"), blue, green, db)

    assert led(both) == (*made("blue"), blue, db), "the Services tell"
    assert led([made("blue")[0], blue, green, db]) == (made("blue")[0], blue, db), "a Deployment that is gone"
    assert led([db]) == (db,)
