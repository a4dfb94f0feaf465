"""What new and old containers did is asked of Prometheus by the same expression, at two moments each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from store_server import Asked, serving, success
from support import stack

from tasks.model.errors import DeployError, RefusedError
from tasks.telemetry.comparison import Comparison
from tasks.telemetry.prometheus import Prometheus
from tasks.telemetry.stores import Store

NEW, OLD = "shop-web-2", "shop-web-1"
BEGAN = 1000.0


class Counting:
    """A Prometheus whose containers have counted so many requests at each time, in seconds; its clock is set.

    Those that ``fail`` answer with 500, those that are ``slow`` need half a second.
    """

    def __init__(self) -> None:
        self.now = BEGAN
        self.rates: dict[str, float] = {NEW: 10.0, OLD: 20.0}
        self.status, self.known, self.up = "200", True, [1001.0, 1002.0]
        self.fail, self.slow = frozenset[str](), frozenset[str]()
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        query = asked.fields.get("query", "")
        if asked.path.endswith("/series"):
            found = self.known and ('status!=""' not in asked.fields["match[]"] or bool(self.status))
            return success([{"__name__": "x"}] if found else [])
        if query == "time()":
            return success({"resultType": "scalar", "result": [self.now, str(self.now)]})
        if query.startswith("up"):
            values = [[time, "1"] for time in self.up]
            return success({"resultType": "matrix", "result": [{"metric": {"container": NEW}, "values": values}]})
        time = float(asked.fields["time"])
        result: list[dict[str, Any]] = []
        for name, rate in self.rates.items():
            for bound in ("0.1", "1", "+Inf"):
                count = rate * max(time - (BEGAN if name == NEW else 0.0), 0.0)
                count *= name not in self.slow or bound != "0.1"
                labels = {"container": name, "le": bound, "status": "500" if name in self.fail else self.status}
                result.append({"metric": labels, "value": [time, str(count)]})
        return success({"resultType": "vector", "result": result if self.known else []})


@contextmanager
def compared(share: int = 0, **rule: Any) -> Iterator[tuple[Counting, Comparison]]:
    own = {"metrics": {"port": 80, "duration": "d", "status": "status"}, "watch": {"errors": "1%", **rule}}
    service = stack({"web": {"x-slipway": {"rollout": "blue-green", **own}}}).service("web")
    prometheus = Counting()
    with serving(prometheus.answer) as server:
        yield (
            prometheus,
            Comparison(Prometheus(Store("prometheus", server.port, "dev")), "shop", service, [NEW], [OLD], share),
        )


def test_a_canary_is_compared_in_the_same_time() -> None:
    with compared(share=5) as (prometheus, comparison):
        prometheus.now = BEGAN + 30
        judged = comparison.judgement()
    assert (judged.new.requests, judged.old.requests) == (300.0, 600.0)
    queries = {asked.fields["query"] for asked in prometheus.asked if "sum by" in asked.fields.get("query", "")}
    assert len(queries) == 1, "the same expression for both, at every moment"
    assert f'container=~"{NEW}|{OLD}"' in queries.pop()


def test_after_a_switch_the_old_ones_count_from_before_it() -> None:
    with compared() as (prometheus, comparison):
        prometheus.now = BEGAN + 30
        assert comparison.judgement().old.requests == 20 * 60, "a minute at least"
        prometheus.now = BEGAN + 120
        judged = comparison.judgement()
    assert (judged.new.requests, judged.old.requests) == (1200.0, 2400.0)


@pytest.mark.parametrize("share", [0, 20], ids=["after the switch", "at 20 %"])
@pytest.mark.parametrize(
    ("fails", "slow", "reason"),
    [
        ({NEW}, set(), "100.0 % of 1,200 requests failed (before: 0.0 %; at most 1.0 % more)"),
        (set(), {NEW}, "p99 of 1,200 requests is 991 ms (before: 99 ms; at most 2x)"),
        (set(), set(), None),
    ],
    ids=["errors", "slower", "as well"],
)
def test_what_is_worse_is_a_breach_wherever_it_is_counted(
    fails: set[str], slow: set[str], reason: str | None, share: int
) -> None:
    with compared(share, p99="2x") as (prometheus, comparison):
        prometheus.fail, prometheus.slow, prometheus.now = frozenset(fails), frozenset(slow), BEGAN + 120
        judged = comparison.judgement()
    assert judged.breaches == ((reason,) if reason else ())
    assert judged.sure == bool(reason)


def test_a_container_has_been_read_as_often_as_it_answered_since_the_beginning() -> None:
    with compared() as (prometheus, comparison):
        prometheus.now = BEGAN + 3
        assert comparison.scrapes() == 2
        prometheus.up = [999.0, 1001.0]
        assert comparison.scrapes() == 1


def test_a_metric_that_does_not_exist_is_not_the_same_as_no_requests() -> None:
    with compared() as (prometheus, comparison):
        prometheus.now = BEGAN + 30
        comparison.refuse_unknown(comparison.judgement())
        prometheus.known = False
        with pytest.raises(DeployError, match="shop-web-2 has no metric d: no number judges it") as caught:
            comparison.refuse_unknown(comparison.judgement())
    assert "x-slipway.metrics.duration" in caught.value.hint


def test_a_label_that_does_not_exist_is_not_the_same_as_no_errors() -> None:
    with compared() as (prometheus, comparison):
        prometheus.now, prometheus.status = BEGAN + 30, ""
        with pytest.raises(DeployError, match="d of web has no label status, so its errors cannot be counted"):
            comparison.refuse_unknown(comparison.judgement())


def test_a_prometheus_that_does_not_answer_is_refused() -> None:
    with compared() as (_, comparison):
        pass
    with pytest.raises(RefusedError, match="prometheus of dev does not answer"):
        comparison.judgement()
