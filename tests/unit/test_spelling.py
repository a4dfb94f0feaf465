"""A model spelled as containers were made, so that Compose takes what has not changed for the same."""

from typing import Any

import pytest
from support import container

from tasks.plan.spelling import scaled_for, spelled, with_namespaces, with_others

WEB = {"image": "redis", "volumes": [{"type": "bind", "source": "/b/page", "target": "/page/"},
                                     {"type": "volume", "source": "data", "target": "/data"}]}  # fmt: skip


def model(**services: Any) -> dict[str, Any]:
    return {"name": "shop", "services": services}


def test_an_image_and_bind_mounts_are_spelled_as_the_container_has_them() -> None:
    made = container(image_reference="redis:latest", binds=(("/a/page", "/page"), ("/a/other", "/other")))
    found = spelled(model(web=WEB), [made])["services"]["web"]

    assert found["image"] == "redis:latest"
    assert [one["source"] for one in found["volumes"]] == ["/a/page", "data"]
    assert WEB["image"] == "redis", "what was given stays as it is"


@pytest.mark.parametrize("reference", ["", "sha256:0123"])
def test_an_image_without_a_name_leaves_the_name_as_it_is(reference: str) -> None:
    assert spelled(model(web=WEB), [container(image_reference=reference)])["services"]["web"]["image"] == "redis"


def test_a_service_that_names_no_image_gets_none() -> None:
    built = {"build": {"context": "/srv"}}
    assert spelled(model(web=built), [container(image_reference="shop-web")]) == model(web=built)


def test_a_service_that_is_to_change_is_left_as_it_is_said() -> None:
    made = container(image_reference="redis:latest", binds=(("/a/page", "/page"),))
    assert spelled(model(web=WEB), [made], leave=["web"]) == model(web=WEB)


def test_without_a_container_there_is_nothing_to_spell_by() -> None:
    by_hand = container("shop-web-9", image_reference="other", oneoff=True)
    assert spelled(model(web=WEB), [by_hand, container("shop-db-1", image_reference="db")]) == model(web=WEB)


@pytest.mark.parametrize("key", ["network_mode", "ipc", "pid"])
def test_a_namespace_of_a_service_is_that_of_its_first_container(key: str) -> None:
    there = [container("shop-db-1"), container("shop-db-2"), container("shop-web-1")]
    by_hand = container("shop-db-9", oneoff=True)
    found = with_namespaces(model(web={key: "service:db"}, db={key: "host"}), [by_hand, *there])

    assert found["services"] == {"web": {key: "container:id-shop-db-1"}, "db": {key: "host"}}


def test_a_namespace_of_a_service_without_a_container_stays_as_it_is_said() -> None:
    said = model(web={"network_mode": "service:db"})
    assert with_namespaces(said, []) == said


def test_every_service_has_as_many_containers_as_are_there() -> None:
    there = [container("shop-web-1"), container("shop-web-2"), container("shop-web-7", oneoff=True)]
    said = model(web={"deploy": {"replicas": 5, "mode": "replicated"}}, job={}, one={"scale": 3})
    found = scaled_for(said, [*there, container("shop-one-1")], {})["services"]

    assert found["web"] == {"deploy": {"replicas": 2, "mode": "replicated"}}
    assert found["job"] == {"scale": 0}, "a job that has done its work gets no container again"
    assert found["one"] == {"scale": 1}


def test_a_count_that_is_asked_for_wins() -> None:
    there = [container("shop-web-1"), container("shop-db-1")]
    found = scaled_for(model(web={}, db={}), there, {"web": 2})["services"]
    assert found == {"web": {"scale": 2}, "db": {}}


def test_of_scale_and_replicas_only_one_is_said() -> None:
    found = scaled_for(model(web={"scale": 2, "deploy": {"replicas": 2}}), [container()], {})["services"]
    assert found == {"web": {"deploy": {"replicas": 1}}}


def test_a_service_that_is_in_no_file_is_there_for_compose_with_its_image() -> None:
    there = [container("shop-web-1", image_reference="web"), container("shop-old-1", image_reference="old:1")]
    assert with_others(model(web=WEB), there) == model(web=WEB, old={"image": "old:1"})
