"""What a service says about Kubernetes: how many Pods there may be, and whether a check restarts them."""

import pytest
from support import service

from tasks.model.errors import InputError
from tasks.model.stack.cluster.scale import Scale


def test_a_scale_has_two_numbers_and_a_share_of_the_cpu() -> None:
    assert service(image="a", **{"x-slipway": {"scale": {"min": 2, "max": 9, "cpu": "70%"}}}).slipway.scale == Scale(
        2, 9, 70
    )
    assert service(image="a", **{"x-slipway": {"scale": {"max": 9}}}).slipway.scale == Scale(1, 9, 80)
    assert service(image="a").slipway.scale is None


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (3, "expected a mapping"),
        ({"max": 0}, "scale.max: expected a number of Pods"),
        ({"min": 3}, "says no max"),
        ({"min": 3, "max": 2}, "min 3 is more than max 2"),
        ({"max": 2, "cpu": "much"}, "scale.cpu: expected a percentage"),
        ({"max": 2, "memory": "70%"}, "unknown key 'memory'"),
    ],
)
def test_a_scale_that_is_none_is_refused(scale: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        service(image="app", **{"x-slipway": {"scale": scale}})


def test_liveness_is_true_or_false() -> None:
    with pytest.raises(InputError, match=r"x-slipway\.liveness: expected true or false, got 'yes'"):
        service(image="app", **{"x-slipway": {"liveness": "yes"}})


def test_no_check_restarts_a_container_unless_that_is_said() -> None:
    assert service(image="a").slipway.liveness is False
    assert service(image="a", **{"x-slipway": {"liveness": True}}).slipway.liveness is True
