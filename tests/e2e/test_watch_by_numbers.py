"""New containers are watched by numbers of a real Prometheus: what does worse than the old ones is taken back."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.life.load import load

from .lean import Lean
from .metered import Metered, make_metered
from .support import docker, until

TAKES = 150  # seconds
# An answer takes 40 ms, and now and then much longer where the machine has other things to do.
RULE = {"errors": "1%", "p99": "50x", "requests": 50}
TWICE = {**RULE, "p99": "2x"}
_RATE = 80.0
_NAMES = itertools.count()


@pytest.fixture(scope="module")
def deployed(fresh_lean: Callable[[], Lean]) -> Iterator[Metered]:
    """A stack that serves, with its Prometheus."""
    stack = make_metered(fresh_lean(), judged=RULE)
    stack.release("one")
    stack.inv("deploy.dev")
    try:
        stack.watched()
        yield stack
    finally:
        stack.away()


@pytest.fixture
def stack(deployed: Metered) -> Iterator[Metered]:
    """The stack, as each test finds it."""
    deployed.judged, deployed.canary, deployed.histogram = RULE, None, "http_server_request_duration_seconds"
    yield deployed
    assert deployed.orphans() == []


def brought(stack: Metered, code: int, rate: float = _RATE, **extra: str) -> dict[str, Any]:
    """Deploy under load, after the old containers have served for a while; return the document."""
    before = stack.answer()
    with load(stack.api, rate) as requests:
        time.sleep(4.0)
        until(lambda: len(requests.seconds) >= 4 * RULE["requests"], "the old ones have served")
        result = stack.inv("deploy.dev", "--json", code=code, **extra)
    lost = [line for line in requests.failures if not line.endswith("status 500")]
    assert lost == [], stack.proxy_errors()
    assert (stack.answer() == before) == bool(code)
    document: dict[str, Any] = json.loads(result.stdout)
    newest = stack.json("deploy.history")["releases"][0]
    assert [line.split(": ", 1)[1] for line in newest["watched"]] == [one["line"] for one in document["watched"]]
    assert newest["outcome"] == document["outcome"] == ("rolled-back" if code else "deployed")
    document["reason"] = newest["reason"]
    document["stderr"] = result.stderr
    return document


def name() -> str:
    return f"v{next(_NAMES)}"


def test_a_release_that_does_as_well_serves(stack: Metered) -> None:
    stack.release(name())
    plan = stack.json("deploy.plan")
    assert [one["against"] for one in plan["operations"] if one["kind"] == "watch"] == [stack.serving()]
    document = brought(stack, 0)

    assert [one["verdict"] for one in document["watched"]] == ["kept"]
    numbers = document["watched"][0]
    assert numbers["requests"] >= RULE["requests"]
    assert numbers["errors"] == 0
    assert 0.03 < numbers["p99"] <= 1
    assert numbers["before"]["requests"] >= RULE["requests"]
    assert numbers["line"] in document["stderr"], "the story tells them"


# Each kind of number at each moment: tests/unit/telemetry/test_comparison.py.
@pytest.mark.parametrize(
    ("worse", "rule", "reason", "canary"),
    [
        ({"fail_of": 20}, RULE, "requests failed (before: 0.0 %; at most 1.0 % more)", None),
        # Compared with what the others do in the same time: a busy machine makes both slower.
        ({"delay": 400}, TWICE, "at most 2x)", {"weight": [20], "every": "10s"}),
    ],
    ids=["5 % errors after the switch", "10 times slower at 20 %"],
)
def test_a_release_that_does_worse_is_taken_back_with_the_numbers(
    stack: Metered, worse: dict[str, int], rule: dict[str, Any], reason: str, canary: dict[str, Any] | None
) -> None:
    stack.canary, stack.judged = canary, rule
    stack.release(stack.answer())
    stack.inv("deploy.dev")
    stack.release(name(), **worse)
    document = brought(stack, 4, rate=_RATE if canary is None else 2 * _RATE)

    assert [one["verdict"] for one in document["watched"]] == ["breach"]
    assert document["watched"][0]["share"] == (20 if canary else 100)
    assert reason in document["reason"]
    assert reason in document["stderr"]


def test_too_few_requests_are_said(stack: Metered) -> None:
    stack.judged = {**RULE, "requests": 5000}
    stack.release(name(), fail_of=20)
    document = brought(stack, 0)

    assert [one["verdict"] for one in document["watched"]] == ["too-few-requests"]
    assert "too few to judge, 5000 are needed" in document["stderr"]
    stack.inv("deploy.rollback", "--env", "dev")


def test_a_metric_that_does_not_exist_is_no_zero(stack: Metered) -> None:
    stack.histogram = "requests_seconds"
    stack.release(name())
    document = brought(stack, 4)

    assert document["watched"] == []
    assert "has no metric http_server_request_duration_seconds" in document["reason"]
    assert "x-slipway.metrics.duration says what" in document["stderr"]


def test_without_prometheus_the_profile_says_whether_that_matters(stack: Metered) -> None:
    docker("stop", "--time=1", f"{stack.monitoring}-prometheus-1")
    try:
        stack.release(name())
        document = brought(stack, 4, WATCH_WITHOUT_METRICS="fail")
        assert "prometheus of dev does not run" in document["reason"]
        assert "WATCH_WITHOUT_METRICS=fail" in document["reason"]
        document = brought(stack, 0)
        assert [one["verdict"] for one in document["watched"]] == ["no-metrics"]
        assert "not judged by numbers: prometheus of dev does not run" in document["stderr"]
    finally:
        docker("start", f"{stack.monitoring}-prometheus-1")
