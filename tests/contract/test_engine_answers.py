"""What is read from an engine without the SDK is what the SDK reads, in refusals too."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.host.engine.client import Engine
from tasks.model.errors import SlipwayError


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine of this machine; the contract cannot be held without one."""
    engine = Engine()
    if not engine._connection._socket:
        pytest.skip("the engine has no Unix socket here")
    return engine


def names(listed: list[dict[str, Any]]) -> set[str]:
    return {str(network["Name"]) for network in listed}


def test_the_engine_describes_itself_and_its_networks_alike(engine: Engine) -> None:
    read, sdk = engine._read, engine._api
    assert read("/version") == sdk.version()
    assert read("/info")["ID"] == sdk.info()["ID"]
    assert read("/networks/bridge")["Id"] == sdk.inspect_network("bridge")["Id"]
    chosen = {"driver": ["host", "null"]}
    assert names(read("/networks", filters=chosen)) == names(sdk.networks(filters=chosen)) == {"host", "none"}


def test_a_name_of_other_letters_is_asked_for_as_it_is(engine: Engine) -> None:
    assert engine.image("no.such.registry:5000/name:tag") is None
    assert engine.inspect("no such container?x=ü#1") is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            lambda engine: engine._read("/containers/json", filters={"no such filter": ["x"]}),
            lambda engine: engine._api.containers(filters={"no such filter": "x"}),
        ),
        (
            lambda engine: engine._read("/containers/no-such-container/top"),
            lambda engine: engine._api.top("no-such-container"),
        ),
    ],
    ids=["bad request", "gone"],
)
def test_the_engine_refuses_in_the_same_words(
    engine: Engine, ours: Callable[[Engine], Any], theirs: Callable[[Engine], Any]
) -> None:
    with pytest.raises(SlipwayError) as read:
        ours(engine)
    with pytest.raises(SlipwayError) as asked, engine._answering():
        theirs(engine)
    assert str(read.value.message) == str(asked.value.message)
    assert (read.value.hint, read.value.exit_code) == (asked.value.hint, asked.value.exit_code)
