"""How new containers of a rollout are proven: the shares of a canary, and what numbers judge them."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import stack

from tasks.model.errors import InputError
from tasks.model.stack.extension import SlipwaySettings
from tasks.model.stack.proving import Canary, WatchRule, shares


def said(**own: Any) -> SlipwaySettings:
    return stack({"web": {"x-slipway": own}}).service("web").slipway


def test_a_canary_gets_shares_that_grow_and_each_is_watched() -> None:
    assert said(canary={"weight": [1, 50], "every": "90s"}).canary == Canary((1, 50), 90.0)
    assert said(canary={"weight": [1, 50]}).rollout == "canary", "the key alone says the rollout"
    assert said(rollout="canary").canary == Canary((5, 25, 50), 60.0)
    assert said(rollout="blue-green").canary is None


def test_numbers_judge_what_is_watched() -> None:
    assert said(watch={"errors": "1%", "p99": "2x", "requests": 20}).watch == WatchRule(0.01, 2.0, 0.0, 20)
    assert said(watch={"p99": "300ms"}).watch == WatchRule(None, 0.0, 0.3, 50)
    assert said(watch={"errors": "0.5 %"}).watch == WatchRule(0.005)
    assert said(rollout="blue-green").watch is None


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"canary": {"weight": [25, 5]}}, "canary.weight: expected growing shares of 1 to 99 percent, got [25, 5]"),
        ({"canary": {"weight": [5, 5]}}, "canary.weight: expected growing shares"),
        ({"canary": {"weight": [5, 100]}}, "canary.weight: expected growing shares"),
        ({"canary": {"weight": []}}, "canary.weight: expected growing shares"),
        ({"canary": {"weight": 5}}, "canary.weight: expected growing shares of 1 to 99 percent, got 5"),
        ({"canary": {"weight": [True]}}, "canary.weight: expected growing shares"),
        ({"canary": {"every": "0s"}}, "canary.every: expected how long each share is watched, got '0s'"),
        ({"canary": {"every": "5"}}, "canary.every: expected a duration such as 30s, got '5'"),
        ({"canary": {"wait": "1m"}}, "canary: unknown key 'wait'"),
        ({"canary": [5]}, "canary: expected a mapping, got [5]"),
        ({"canary": {}, "rollout": "blue-green"}, "canary: with rollout: blue-green no container gets a share"),
        ({"watch": {}}, "watch: it judges by nothing"),
        ({"watch": {"requests": 5}}, "watch: it judges by nothing"),
        ({"watch": {"errors": "one"}}, "watch.errors: expected a percentage below 100, got 'one'"),
        ({"watch": {"errors": 1}}, "watch.errors: expected a percentage below 100, got 1"),
        ({"watch": {"errors": "100%"}}, "watch.errors: expected a percentage below 100, got '100%'"),
        ({"watch": {"p99": "2"}}, "watch.p99: expected a factor or a duration, got '2'"),
        ({"watch": {"p99": "0.5x"}}, "watch.p99: expected 1x or more, got '0.5x'"),
        ({"watch": {"errors": "1%", "requests": 0}}, "watch.requests: expected a whole number from 1 on, got 0"),
        ({"watch": {"p95": "2x"}}, "watch: unknown key 'p95'"),
    ],
)
def test_what_cannot_be_meant_is_refused(own: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        said(**own)
    assert reason in caught.value.message
    assert caught.value.hint


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 99))
def test_the_new_containers_together_get_their_share(old: int, new: int, percent: int) -> None:
    stays, comes = shares(old, new, percent)
    assert stays > 0
    assert comes > 0
    assert new * comes * 100 == percent * (new * comes + old * stays)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(5, 99))
@example(1, 10, 7)
@example(12, 1, 99)
def test_where_weights_are_bounded_the_share_is_not_more_and_hardly_less(old: int, new: int, percent: int) -> None:
    stays, comes = shares(old, new, percent, most=256)
    assert 0 < stays <= 256
    assert 0 < comes <= 256
    share = 100 * new * comes / (new * comes + old * stays)
    assert percent - 3.5 <= share <= percent + 1e-9
