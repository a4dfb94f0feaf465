"""New containers are judged by the numbers of their requests, and of those of the old ones."""

import math

import pytest

from tasks.model.stack.proving import WatchRule
from tasks.telemetry.plan.judging import Counts, Judgement, between, chance, judge, moment
from tasks.telemetry.plan.series import Series

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, math.inf)
RULE = WatchRule(errors=0.01, times=2.0, requests=50)


def counts(requests: int, errors: int = 0, seconds: float = 0.015, slow: int = 0, slowest: float = 0.2) -> Counts:
    """Return requests that took ``seconds``, and ``slow`` of them as long as the slowest."""
    buckets = [(b, float((requests - slow) * (seconds <= b) + slow * (slowest <= b))) for b in BOUNDS]
    took = (requests - slow) * seconds + slow * slowest
    return Counts(float(requests), float(errors), tuple(buckets), took)


GOOD = counts(500)


@pytest.mark.parametrize(
    ("new", "old", "rule", "breaches"),
    [
        (counts(412), GOOD, RULE, 0),
        (counts(412, errors=4), GOOD, RULE, 0),
        (counts(412, errors=21), GOOD, RULE, 1),
        (counts(412, errors=5), counts(500, errors=10), RULE, 0),
        (counts(412, errors=13), counts(500, errors=10), RULE, 1),
        (counts(412, errors=412), counts(0), RULE, 1),
        (counts(412, seconds=0.028), GOOD, RULE, 0),
        (counts(412, seconds=0.09), GOOD, RULE, 1),
        (counts(412, seconds=0.09), counts(500, seconds=0.09), RULE, 0),
        (counts(412, seconds=0.18), counts(500, seconds=0.06), RULE, 1),
        (counts(412, seconds=0.033), counts(500, seconds=0.011), RULE, 1),
        (counts(412, seconds=0.026), counts(500, seconds=0.02), RULE, 0),
        (counts(412, slow=3), GOOD, RULE, 0),
        (counts(100, slow=3), GOOD, RULE, 0),
        (counts(412, slow=12), GOOD, RULE, 1),
        (counts(412, errors=30, seconds=0.2), GOOD, RULE, 2),
        (counts(412, seconds=0.2), counts(20), RULE, 0),
        (counts(412, seconds=0.2), counts(20), WatchRule(longest=0.1), 1),
        (counts(412, seconds=0.2), GOOD, WatchRule(longest=0.3), 0),
        (counts(412, errors=412, seconds=0.9), GOOD, WatchRule(longest=2.0), 0),
    ],
    ids=[
        "as the old ones", "few errors", "5 % errors", "as many errors as the old ones", "more errors than those",
        "all fail, the old ones unknown", "nearly twice as slow", "6 times slower", "as slow as the old ones",
        "3 times slower, two buckets on", "3 times slower, in the next bucket", "in the next bucket, hardly slower",
        "a few slow requests are chance", "a few of a hundred, too", "more slow requests than chance brings",
        "slow and failing", "too few old requests to compare", "an absolute limit needs none", "below it",
        "only what the rule names",
    ],
)  # fmt: skip
def test_a_rule_says_what_is_not_kept(new: Counts, old: Counts, rule: WatchRule, breaches: int) -> None:
    judged = judge(rule, new, old)
    assert len(judged.breaches) == breaches, judged.breaches
    assert not judged.few


def test_the_numbers_are_in_the_reason() -> None:
    judged = judge(RULE, counts(412, errors=21), counts(1830))
    assert judged.breaches == ("5.1 % of 412 requests failed (before: 0.0 %; at most 1.0 % more)",)
    assert judged.sure
    slow = judge(RULE, counts(412, seconds=0.09), GOOD)
    assert slow.breaches == ("p99 of 412 requests is 100 ms (before: 25 ms; at most 2x)",)
    near = judge(RULE, counts(412, seconds=0.033), counts(500, seconds=0.011))
    assert near.breaches == (
        "p99 of 412 requests is about 50 ms (before: 25 ms; at most 2x), and the average 33 ms (before: 11 ms)",
    )


def test_a_machine_that_was_busy_for_a_moment_is_not_the_fault_of_a_release() -> None:
    busy = counts(412, slow=40)
    assert judge(RULE, busy, GOOD, [counts(206), counts(206, slow=40)]).breaches == ()
    assert judge(RULE, busy, GOOD, [counts(206, slow=20), counts(206, slow=20)]).breaches
    assert judge(RULE, busy, GOOD, [counts(10), counts(402, slow=40)]).breaches, "ten requests say nothing"
    slow = judge(RULE, counts(412, seconds=0.033), counts(500, seconds=0.011), [counts(206, seconds=0.033)] * 2)
    assert slow.breaches
    assert judge(RULE, counts(412, errors=21), GOOD, [counts(206), counts(206, errors=21)]).breaches, (
        "errors are errors"
    )


def test_too_few_requests_are_not_judged() -> None:
    judged = judge(RULE, counts(49, errors=49), GOOD)
    assert judged.few
    assert judged.breaches == ()
    assert not judge(RULE, counts(50, errors=50), GOOD).few


def test_a_watch_ends_early_only_where_chance_is_no_explanation() -> None:
    assert judge(RULE, counts(50, errors=1), GOOD).breaches
    assert not judge(RULE, counts(50, errors=1), GOOD).sure
    assert judge(RULE, counts(50, errors=10), GOOD).sure
    assert not judge(RULE, counts(412, slow=10), GOOD).sure
    assert judge(RULE, counts(412, slow=40), GOOD).sure


def test_the_line_for_people_says_both() -> None:
    assert judge(RULE, counts(412), GOOD).line() == "412 requests, 0 errors, p99 25 ms (before: 25 ms)"
    failing = judge(RULE, counts(1412, errors=21), GOOD).line()
    assert failing == "1,412 requests, 21 errors (1.5 %, before: 0.0 %), p99 25 ms (before: 25 ms)"
    assert judge(RULE, Counts(), Counts()).line() == "0 requests, 0 errors"
    assert judge(RULE, GOOD, Counts()).line().endswith("(before: no data)"), "no data is not 0"


def test_the_numbers_are_data() -> None:
    assert Judgement(counts(412, errors=2), Counts()).document() == {
        "requests": 412, "errors": 2, "p99": 0.02485, "before": {"requests": 0, "errors": 0, "p99": None},
    }  # fmt: skip


def bucket(container: str, status: str, le: str, value: float) -> Series:
    return Series({"container": container, "code": status, "le": le}, ((1.0, value),))


def test_what_happened_is_the_difference_of_two_moments() -> None:
    begin = moment([bucket("a", "200", "0.1", 10), bucket("a", "200", "+Inf", 12)], "code")
    end = moment(
        [
            bucket("a", "200", "0.1", 15), bucket("a", "200", "+Inf", 20),
            bucket("a", "500", "0.1", 1), bucket("a", "500", "+Inf", 3),
            bucket("b", "503", "+Inf", 7),
        ],
        "code",
    )  # fmt: skip
    took = [Series({"container": "a", "code": "200"}, ((1.0, 2.5),))]
    assert between({}, moment(took, "code"), {"a"}) == Counts(seconds=2.5)
    assert between(begin, end, {"a"}) == Counts(11.0, 3.0, ((0.1, 6.0), (math.inf, 11.0)))
    assert between(begin, end, {"b"}) == Counts(7.0, 7.0, ((math.inf, 7.0),)), "new: from its first request on"
    assert between(begin, end, {"c"}) == Counts()
    assert between(end, begin, {"a"}) == Counts(12.0, 0.0, ((0.1, 10.0), (math.inf, 12.0))), "it began again"


def test_a_p99_lies_where_prometheus_says() -> None:
    assert counts(100, seconds=0.02).p99 == pytest.approx(0.01 + 0.015 * 0.99)
    assert Counts(10.0, 0.0, ((0.1, 0.0), (math.inf, 10.0))).p99 == 0.1, "the greatest bound that is known"
    assert Counts().p99 is None
    assert counts(100, seconds=0.02).slower(0.0175) == pytest.approx(50)
    assert counts(100, seconds=0.02).slower(0.5) == 0
    assert Counts(10.0, 0.0, ((0.1, 4.0), (math.inf, 10.0))).slower(5.0) == 6.0


def test_chance_is_that_of_the_binomial_distribution() -> None:
    assert chance(0, 100, 0.01) == 1.0
    assert chance(3, 100, 0.01) == pytest.approx(0.0794, abs=1e-3)
    assert chance(5, 150, 0.01) == pytest.approx(0.0181, abs=1e-3)
    assert chance(100, 100, 0.01) == pytest.approx(0.0, abs=1e-12)
    assert chance(1, 100, 0.0) == 0.0
    assert chance(1, 100, 1.0) == 1.0
    assert chance(20000, 1_000_000, 0.01) == pytest.approx(0.0, abs=1e-9)
