"""The maintenance page: who shows it, and where its file belongs."""

import pytest
from support import container, stack

from tasks.plan.errors import InputError
from tasks.plan.maintenance import containers, proxy, required_proxy, wanted

FILE = "/etc/edge/servers/maintenance"
SHOP = stack({"web": {}, "edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge/servers", "maintenance": FILE}}}})


def test_a_state_is_on_or_off() -> None:
    assert (wanted("on"), wanted("off")) == (True, False)
    with pytest.raises(InputError, match="expected on or off, got 'On'"):
        wanted("On")


def test_the_proxy_is_the_service_that_says_where_its_maintenance_file_is() -> None:
    found = proxy(SHOP)

    assert found
    assert (found.name, found.slipway.proxy.maintenance) == ("edge", FILE)
    assert required_proxy(SHOP) == found


def test_without_such_a_service_what_to_add_is_said() -> None:
    plain = stack({"web": {}, "edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge/servers"}}}})

    assert proxy(plain) is None
    with pytest.raises(InputError, match=r"no service of project shop says x-slipway\.proxy\.maintenance"):
        required_proxy(plain)


@pytest.mark.parametrize("path", ["maintenance", "/maintenance", "/etc/", 7, "/etc//x"])
def test_a_place_that_is_no_file_in_a_directory_is_refused(path: object) -> None:
    with pytest.raises(InputError, match=r"x-slipway\.proxy\.maintenance: expected the absolute path of a file"):
        stack({"edge": {"x-slipway": {"proxy": {"upstreams": "/etc/edge", "maintenance": path}}}})


def test_the_file_belongs_into_every_container_of_the_proxy_but_no_one_off() -> None:
    edge = required_proxy(SHOP)
    two = (container("shop-edge-1"), container("shop-edge-2", state="exited"))

    assert containers(edge, (*two, container("shop-edge-3", oneoff=True), container("shop-web-1"))) == two
