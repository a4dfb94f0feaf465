"""The maintenance page: who shows it, and where its file belongs."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from support import container, profile, stack

from tasks.deploy import maintenance as acting
from tasks.deploy.plan.maintenance import containers, hides, parse_state, proxy, required_proxy
from tasks.model.errors import InputError, RefusedError

FILE = "/etc/edge/servers/maintenance"
SHOP = stack({"web": {}, "edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge/servers", "maintenance": FILE}}}})


def test_a_state_is_on_or_off() -> None:
    assert (parse_state("on"), parse_state("off")) == (True, False)
    with pytest.raises(InputError, match="expected on or off, got 'On'"):
        parse_state("On")


def test_the_proxy_is_the_service_that_says_where_its_maintenance_file_is() -> None:
    edge = proxy(SHOP)

    assert edge
    assert (edge.name, edge.slipway.proxy.maintenance) == ("edge", FILE)
    assert required_proxy(SHOP) == edge


def test_without_such_a_service_what_to_add_is_said() -> None:
    plain = stack({"web": {}, "edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge/servers"}}}})

    assert proxy(plain) is None
    with pytest.raises(InputError, match=r"no service of project shop says x-slipway\.proxy\.maintenance"):
        required_proxy(plain)


def test_smoke_checks_that_go_through_the_proxy_get_the_page() -> None:
    edge: dict[str, Any] = {"proxy": {"upstreams": "/etc/edge/servers", "maintenance": FILE}}
    edge["smoke"] = [{"url": "https://localhost:8443/"}, {"url": "http://localhost:81/", "status": 503}]
    web = [{"url": f"http://localhost:{port}/"} for port in (80, 8000)] + [{"url": "http://shop.example/"}]
    web.append({"url": "http://localhost:80/inside", "from": "container"})
    shop = stack(
        {
            "web": {"x-slipway": {"smoke": web}},
            "edge": {"ports": [{"target": 8080, "published": "80"}], "x-slipway": edge},
        }
    )

    assert hides(shop) == ("GET http://localhost/", "GET https://localhost:8443/")
    assert hides(stack({"web": {"x-slipway": {"smoke": web}}})) == ()


@pytest.mark.parametrize(("on", "clustered", "said"), [(True, False, 1), (False, False, 0), (True, True, 0)])
def test_only_a_page_that_is_on_and_hides_a_check_is_a_reason(on: bool, clustered: bool, said: int) -> None:
    edge: dict[str, Any] = {"proxy": {"upstreams": "/etc/edge/servers", "maintenance": FILE}}
    shop = stack({"edge": {"x-slipway": {**edge, "smoke": [{"url": "http://localhost/"}]}}})
    engine = SimpleNamespace(
        containers=lambda _: (container("shop-edge-1"),), is_file=lambda _, path: on and path == FILE
    )
    project: Any = SimpleNamespace(stack=shop, clustered=clustered, engine=engine, profile=profile("prod"))

    assert len(acting.unmet(project)) == said
    with pytest.raises(RefusedError, match="page of shop is on") if said else nullcontext():
        acting.refuse_hidden(project)
    project.stack = stack({"edge": {"x-slipway": edge}})
    assert acting.unmet(project) == (), "no check goes through it"


@pytest.mark.parametrize("path", ["maintenance", "/maintenance", "/etc/", 7, "/etc//x"])
def test_a_place_that_is_no_file_in_a_directory_is_refused(path: object) -> None:
    with pytest.raises(InputError, match=r"x-slipway\.proxy\.maintenance: expected the absolute path of a file"):
        stack({"edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge", "maintenance": path}}}})


def test_the_file_belongs_into_every_container_of_the_proxy_but_no_one_off() -> None:
    edge = required_proxy(SHOP)
    two = (container("shop-edge-1"), container("shop-edge-2", state="exited"))

    assert containers(edge, (*two, container("shop-edge-3", oneoff=True), container("shop-web-1"))) == two
