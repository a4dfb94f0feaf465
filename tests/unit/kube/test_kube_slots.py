"""Blue-green: Pods in slots, and Services that lead to one of them."""

from dataclasses import replace
from typing import Any

import pytest
from workload_release import objects, outcomes, release

from tasks.kube.plan.mounts.proxy_files import backed_names
from tasks.kube.plan.outcome import TRANSLATED
from tasks.kube.plan.translate import translate
from tasks.kube.plan.workloads.slots import BLUE, GREEN, SLOT, in_slot, leading, other, slot_of

SELECTOR = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}
OWN = {"scale": {"min": 2, "max": 4}, "rollout": "blue-green"}
SERVICE: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "app"},
    "spec": {"selector": SELECTOR, "ports": [{"port": 80}]},
}
OF_ANOTHER: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "db"},
    "spec": {"selector": {**SELECTOR, "app.kubernetes.io/name": "db"}},
}


def given() -> tuple[dict[str, Any], ...]:
    source = release(app={"image": "app", "cpus": 1, "x-slipway": OWN})
    return (*objects(source, "app"), SERVICE, OF_ANOTHER)


def test_pods_of_a_slot_replace_none_of_the_other() -> None:
    deployment, budget, scaler, service, another = in_slot(given(), SELECTOR, GREEN)
    assert deployment["metadata"]["name"] == "app-green"
    green = {**SELECTOR, SLOT: "green"}
    assert deployment["metadata"]["labels"] == green
    assert deployment["spec"]["selector"] == {"matchLabels": green}
    assert deployment["spec"]["template"]["metadata"]["labels"] == green
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["labelSelector"] for each in spread] == [{"matchLabels": green}]
    assert scaler["metadata"]["name"] == scaler["spec"]["scaleTargetRef"]["name"] == "app-green"
    assert service == {**SERVICE, "spec": {"selector": green, "ports": [{"port": 80}]}}
    assert (budget, another) == (given()[1], OF_ANOTHER), "one budget for both slots, and others as they were"


def test_the_switch_changes_the_service_only() -> None:
    new = in_slot(given(), SELECTOR, GREEN)
    before = leading(new, SELECTOR, BLUE)
    changed = [(one, two) for one, two in zip(before, new, strict=True) if one != two]
    assert [(one["kind"], one["spec"]["selector"][SLOT], two["spec"]["selector"][SLOT]) for one, two in changed] == [
        ("Service", "blue", "green")
    ]
    assert leading(before, SELECTOR, GREEN) == new
    assert leading(new, SELECTOR, "")[3] == SERVICE


def test_which_slot_is_led_to_is_read_from_the_service() -> None:
    assert slot_of(in_slot(given(), SELECTOR, GREEN), SELECTOR) == "green"
    assert slot_of(given(), SELECTOR) == ""


@pytest.mark.parametrize(("before", "next_"), [("", "blue"), ("blue", "green"), ("green", "blue")])
def test_releases_take_turns(before: str, next_: str) -> None:
    assert other(before) == next_


def test_a_release_with_a_slot_is_translated_into_it() -> None:
    source = replace(release(app={"image": "app", "x-slipway": {"rollout": "blue-green"}}), slots={"app": "blue"})
    names = [each["metadata"]["name"] for each in translate(source).objects if each["kind"] == "Deployment"]
    assert names == ["app-blue"]
    assert outcomes(source)["x-slipway.rollout"].kind == TRANSLATED


def test_a_database_has_no_slot() -> None:
    made = objects(release(app={"image": "db", "x-slipway": {"role": "database"}}), "app")
    assert in_slot(made, SELECTOR, GREEN) == made


PROXY = {"image": "nginx", "x-slipway": {"proxy": {"upstreams": "/etc/nginx/upstreams"}}}


def services_of(**more: Any) -> dict[str, Any]:
    app = {"image": "app", "expose": ["8000"], "x-slipway": {"rollout": "blue-green"}, **more}
    source = replace(release(app=app, edge=PROXY), slots={"app": "blue"})
    return {each["metadata"]["name"]: each for each in translate(source).objects if each["kind"] == "Service"}


def test_behind_nginx_a_second_service_leads_to_what_served_before() -> None:
    made = services_of()
    assert made["app"]["spec"]["selector"][SLOT] == "blue"
    assert made["app-former"]["spec"] == {**made["app"]["spec"], "selector": {**_selector(made), SLOT: "green"}}
    assert slot_of(made.values(), made["app"]["spec"]["selector"]) == "blue", "it says nothing of who serves"
    led = leading(made.values(), made["app"]["spec"]["selector"], GREEN)
    assert [each["spec"]["selector"].get(SLOT) for each in led if each["metadata"]["name"] == "app-former"] == [GREEN]


def _selector(made: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in made["app"]["spec"]["selector"].items() if key != SLOT}


def test_a_name_that_leads_to_pods_themselves_has_no_service_for_the_former_ones() -> None:
    assert "app-former" not in services_of(deploy={"endpoint_mode": "dnsrr"})
    for app in ({"deploy": {"endpoint_mode": "dnsrr"}, "expose": ["8000"]}, {}, {"network_mode": "none"}):
        model = {"image": "app", "x-slipway": {"rollout": "blue-green"}, **app}
        source = replace(release(app=model, edge=PROXY), slots={"app": "blue"})
        assert backed_names(source) == frozenset(), "nginx would not start with a name that nothing has"


def test_without_nginx_nobody_would_ask_the_former_pods() -> None:
    source = replace(release(app={"image": "app", "x-slipway": {"rollout": "blue-green"}}), slots={"app": "blue"})
    assert "app-former" not in {each["metadata"]["name"] for each in translate(source).objects}
