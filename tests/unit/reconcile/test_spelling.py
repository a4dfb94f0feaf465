"""A model spelled as containers were created, so that Compose sees no change where there is none."""

from typing import Any

import pytest
from support import container

from tasks.reconcile.plan.spelling import spelled_as_created, with_counts, with_namespaces, with_unlisted_services

WEB = {"image": "redis", "volumes": [{"type": "bind", "source": "/b/page", "target": "/page/"},
                                     {"type": "volume", "source": "data", "target": "/data"}]}  # fmt: skip


def model(**services: Any) -> dict[str, Any]:
    return {"name": "shop", "services": services}


def test_an_image_and_bind_mounts_are_spelled_as_the_container_has_them() -> None:
    made = container(image_reference="redis:latest", binds=(("/a/page", "/page"), ("/a/other", "/other")))
    service = spelled_as_created(model(web=WEB), [made])["services"]["web"]

    assert service["image"] == "redis:latest"
    assert [mount["source"] for mount in service["volumes"]] == ["/a/page", "data"]
    assert WEB["image"] == "redis", "what was given stays as it is"


@pytest.mark.parametrize("reference", ["", "sha256:0123"])
def test_an_image_without_a_name_leaves_the_name_as_it_is(reference: str) -> None:
    assert (
        spelled_as_created(model(web=WEB), [container(image_reference=reference)])["services"]["web"]["image"]
        == "redis"
    )


def test_a_service_that_names_no_image_gets_none() -> None:
    built = {"build": {"context": "/srv"}}
    assert spelled_as_created(model(web=built), [container(image_reference="shop-web")]) == model(web=built)


def test_a_service_that_is_to_change_is_left_as_it_is_said() -> None:
    made = container(image_reference="redis:latest", binds=(("/a/page", "/page"),))
    assert spelled_as_created(model(web=WEB), [made], leave=["web"]) == model(web=WEB)


def test_without_a_container_there_is_nothing_to_spell_by() -> None:
    by_hand = container("shop-web-9", image_reference="other", oneoff=True)
    assert spelled_as_created(model(web=WEB), [by_hand, container("shop-db-1", image_reference="db")]) == model(web=WEB)


@pytest.mark.parametrize("key", ["network_mode", "ipc", "pid"])
def test_a_namespace_of_a_service_is_that_of_its_first_container(key: str) -> None:
    containers = [container("shop-db-1"), container("shop-db-2"), container("shop-web-1")]
    by_hand = container("shop-db-9", oneoff=True)
    result = with_namespaces(model(web={key: "service:db"}, db={key: "host"}), [by_hand, *containers])

    assert result["services"] == {"web": {key: "container:id-shop-db-1"}, "db": {key: "host"}}


def test_a_namespace_of_a_service_without_a_container_stays_as_it_is_said() -> None:
    said = model(web={"network_mode": "service:db"})
    assert with_namespaces(said, []) == said


def test_every_service_has_as_many_containers_as_are_there() -> None:
    containers = [container("shop-web-1"), container("shop-web-2"), container("shop-web-7", oneoff=True)]
    said = model(web={"deploy": {"replicas": 5, "mode": "replicated"}}, job={}, one={"scale": 3})
    services = with_counts(said, [*containers, container("shop-one-1")], {})["services"]

    assert services["web"] == {"deploy": {"replicas": 2, "mode": "replicated"}}
    assert services["job"] == {"scale": 0}, "a job that has done its work gets no container again"
    assert services["one"] == {"scale": 1}


def test_a_count_that_is_asked_for_wins() -> None:
    containers = [container("shop-web-1"), container("shop-db-1")]
    services = with_counts(model(web={}, db={}), containers, {"web": 2})["services"]
    assert services == {"web": {"scale": 2}, "db": {}}


def test_only_one_of_scale_and_replicas_is_set() -> None:
    services = with_counts(model(web={"scale": 2, "deploy": {"replicas": 2}}), [container()], {})["services"]
    assert services == {"web": {"deploy": {"replicas": 1}}}


def test_a_service_that_is_in_no_file_is_added_to_the_model_with_its_image() -> None:
    containers = [container("shop-web-1", image_reference="web"), container("shop-old-1", image_reference="old:1")]
    assert with_unlisted_services(model(web=WEB), containers) == model(web=WEB, old={"image": "old:1"})
