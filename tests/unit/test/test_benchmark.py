"""Tests of reading benchmarks and of telling a change from noise."""

import math
import random

import pytest
from support import profile

from tasks.model.errors import InputError
from tasks.test.plan import plot
from tasks.test.plan.bench import (
    arguments,
    compare,
    judge,
    judged_rows,
    load_rows,
    parse,
    samples_needed,
    show_delta,
    show_value,
)
from tasks.test.plan.significance import holm, least_p, mann_whitney, median

OUTPUT = """goos: linux
goarch: amd64
pkg: example.com/shop/src/handlers
cpu: Some CPU
BenchmarkList-2       	   10000	     13012 ns/op	    7713 B/op	      37 allocs/op
BenchmarkList-2       	   10000	     10133.5 ns/op	    7712 B/op	      37 allocs/op
{"a": "log line"}
BenchmarkList/big-2   	    10	  1e+06 ns/op
PASS
ok  	example.com/shop/src/handlers	1.343s
pkg: example.com/shop/src/models
BenchmarkList-2   	  240956	       484.3 ns/op
BenchmarkBroken
"""


def test_the_output_of_go_is_read_by_package() -> None:
    output = parse(OUTPUT)
    assert output.machine == "linux/amd64, Some CPU, 2 cores"
    assert output.samples["handlers.List"]["ns/op"] == (13012, 10133.5)
    assert output.samples["handlers.List"]["allocs/op"] == (37, 37)
    assert output.samples["handlers.List/big"] == {"ns/op": (1e6,)}
    assert output.samples["models.List"] == {"ns/op": (484.3,)}
    assert len(output.samples) == 3


def test_output_without_benchmarks_has_none() -> None:
    assert parse("PASS\nok\n").samples == {}


def test_every_benchmark_runs_and_no_test() -> None:
    words = arguments(6, "1s")
    assert words[2:6] == ("sh", "6", "-run=^$", "-bench=.")
    assert "-benchtime=1s" in words


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        # Extreme separation: 2 / C(n+m, n).
        ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2 / 252),
        ([1, 2, 3, 4], [5, 6, 7, 8], 2 / 70),
        ([1, 2, 3], [4, 5, 6], 2 / 20),
        # Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, example 4.1 (two-sided 0.2544).
        ([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46], [1.15, 0.88, 0.90, 0.74, 1.21], 0.2544),
        # No difference at all.
        ([5, 5, 5, 5], [5, 5, 5, 5], 1.0),
        ([], [1.0], 1.0),
    ],
)
def test_the_p_of_samples_with_a_known_result(first: list[float], second: list[float], p: float) -> None:
    assert mann_whitney(first, second) == pytest.approx(p, abs=5e-5)
    assert mann_whitney(second, first) == pytest.approx(p, abs=5e-5)


def test_p_is_exact_also_with_ties() -> None:
    # 20 choices of 3 of the ranks 1.5 1.5 3 4.5 4.5 6: only {1.5, 1.5, 3} is as low as the first sample.
    assert mann_whitney([1, 1, 2], [3, 3, 4]) == pytest.approx(2 / 20)


def test_the_approximation_agrees_with_the_exact_count() -> None:
    generator = random.Random(1)
    first = [generator.gauss(0, 1) for _ in range(20)]
    second = [generator.gauss(0.7, 1) for _ in range(20)]
    exact = mann_whitney(first, second)
    # With one value more on each side, p is approximated.
    approximate = mann_whitney([*first, median(first)], [*second, median(second)])
    assert math.isclose(exact, approximate, rel_tol=0.5)


def test_samples_of_the_same_distribution_differ_in_about_five_of_a_hundred_cases() -> None:
    generator = random.Random(7)
    significant = 0
    for _ in range(1000):
        first = [generator.expovariate(1) for _ in range(6)]
        significant += mann_whitney(first, [generator.expovariate(1) for _ in range(6)]) <= 0.05
    assert 20 <= significant <= 65


def test_three_samples_on_each_side_can_never_be_significant() -> None:
    assert least_p(3, 3) > 0.05 >= least_p(4, 4)
    assert samples_needed() == 4


def test_holm_corrects_for_the_number_of_comparisons() -> None:
    # Holm, S. (1979): the least p times their number, the next times one less, never falling.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert holm({}) == {}


def test_more_benchmarks_need_more_samples_until_one_can_be_significant() -> None:
    assert [samples_needed(family) for family in (1, 6, 23, 24)] == [4, 5, 6, 7]
    six = {f"a.B{number}": {"ns/op": FAST[:4]} for number in range(6)}
    assert {row.verdict for row in compare("app", six, six, 10)} == {"too few samples"}
    assert "5 on both sides" in judge(compare("app", six, six, 10))[1]


def test_the_same_code_measured_many_times_is_rarely_a_regression() -> None:
    generator = random.Random(3)

    def measure() -> dict[str, dict[str, list[float]]]:
        return {f"a.B{number}": {"ns/op": [generator.lognormvariate(3, 0.4) for _ in range(6)]} for number in range(12)}

    closed = sum(judge(compare("app", measure(), measure(), 10))[0] == "failed" for _ in range(200))
    assert closed <= 12


def rows(old: list[float], new: list[float], limit: float = 10.0, unit: str = "ns/op") -> tuple[str, ...]:
    return tuple(row.verdict for row in compare("app", {"a.B": {unit: old}}, {"a.B": {unit: new}}, limit))


FAST = [100.0, 101.0, 102.0, 99.0, 98.0, 100.5]


def test_a_significant_change_beyond_the_limit_is_a_regression() -> None:
    assert rows(FAST, [value * 1.3 for value in FAST]) == ("regression",)
    assert rows(FAST, [value * 1.08 for value in FAST]) == ("worse, within BENCH_REGRESSION_MAX",)
    assert rows(FAST, [value * 0.5 for value in FAST]) == ("better",)


def test_a_single_outlier_is_not_a_regression() -> None:
    assert rows(FAST, [99.5, 100.2, 101.5, 98.5, 100.0, 900.0]) == ("no significant change",)


def test_too_few_samples_are_never_reported_as_no_change() -> None:
    assert rows(FAST[:3], FAST[:3]) == ("too few samples",)
    compared = compare("app", {"a.B": {"ns/op": FAST[:3]}}, {"a.B": {"ns/op": [900.0]}}, 10)
    outcome, reason = judge(compared)
    assert outcome == "invalid"
    assert "4 on both sides" in reason


def test_an_allocation_where_there_was_none_is_a_regression() -> None:
    compared = compare("app", {"a.B": {"allocs/op": [0.0] * 6}}, {"a.B": {"allocs/op": [2.0] * 6}}, 10)
    assert (compared[0].verdict, compared[0].delta, show_delta(compared[0])) == ("regression", None, "from none")


def test_new_and_removed_benchmarks_are_shown_and_do_not_fail() -> None:
    compared = compare("app", {"a.Old": {"ns/op": FAST}}, {"a.New": {"ns/op": FAST}}, 10)
    assert [(row.name, row.verdict) for row in compared] == [("a.New", "new"), ("a.Old", "gone")]
    assert judge(compared) == ("passed", "")


def test_custom_units_are_shown_and_not_judged() -> None:
    assert rows(FAST, [value * 9 for value in FAST], unit="widgets/op") == ("not judged",)


def test_a_regression_is_named_in_the_reason() -> None:
    compared = compare("app", {"a.B": {"ns/op": FAST}}, {"a.B": {"ns/op": [value * 2 for value in FAST]}}, 10)
    assert judge(compared) == ("failed", "app: a.B ns/op +100.0 %")


@pytest.mark.parametrize(("key", "value"), [("BENCH_REGRESSION_MAX", "ten"), ("BENCH_TIME", "1")])
def test_a_setting_that_is_not_a_number_is_an_error_of_the_profile(key: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{key}: expected"):
        profile(**{key: value})


def load(version: str, p95: float, key: str = "k", errors: float = 0.0) -> dict:
    return {"version": version, "key": key, "values": {"p50": p95, "p95": p95, "p99": p95, "errors": errors}}


def test_load_tests_of_two_versions_are_compared_run_by_run() -> None:
    history = [load("1", 0.01 + n / 1e4) for n in range(5)] + [load("2", 0.05 + n / 1e4) for n in range(5)]
    verdicts = {row.name: row.verdict for row in load_rows(history, load("1", 0.01), 10)}
    assert verdicts.pop("load errors") == "no significant change"
    assert verdicts == {"load p50": "regression", "load p95": "regression", "load p99": "regression"}
    assert {row.verdict for row in load_rows(history[:7], load("1", 0.01), 10)} == {"too few samples"}
    assert load_rows(history[:5], load("1", 0.01), 10) == ()
    assert load_rows([*history[:5], {"version": "2", "key": "k"}], load("1", 0.01), 10) == ()
    assert load_rows(history, {}, 10) == ()
    assert load_rows(history, {**load("1", 0.01), "environment": "staging"}, 10) == ()
    assert load_rows([load("1", 1, "other"), load("2", 9, "other")], load("1", 0.01), 10) == ()


def test_too_few_load_tests_are_shown_and_do_not_fail_the_benchmarks() -> None:
    history = [load("1", 0.01) for _ in range(2)] + [load("2", 0.05) for _ in range(2)]
    loads = load_rows(history, load("1", 0.01), 10)
    go = compare("app", {"a.B": {"ns/op": FAST}}, {"a.B": {"ns/op": FAST}}, 10)
    assert {row.verdict for row in loads} == {"too few samples"}
    assert judge(judged_rows([*go, *loads], loads)) == ("passed", "")
    few = compare("app", {"a.B": {"ns/op": FAST[:2]}}, {"a.B": {"ns/op": FAST[:2]}}, 10)
    assert judge(judged_rows([*few, *loads], loads))[0] == "invalid"
    worse = load_rows([load("1", 0.01)] * 5 + [load("2", 0.05)] * 5, load("1", 0.01), 10)
    assert judge(judged_rows([*go, *worse], worse))[0] == "failed"


def test_a_version_that_fails_fast_is_a_regression() -> None:
    history = [load("1", 0.05 + n / 1e4) for n in range(5)] + [load("2", 0.001, errors=60.0 + n) for n in range(5)]
    compared = load_rows(history, load("1", 0.05), 10)
    assert {row.name: row.verdict for row in compared}["load errors"] == "regression"
    assert judge(compared)[0] == "failed"


def test_times_are_shown_in_their_unit() -> None:
    assert [show_value(nanoseconds, "ns/op") for nanoseconds in (484.3, 13012.0, 2.5e6, None)] == [
        "484.3 ns",
        "13.01 µs",
        "2.50 ms",
        "-",
    ]
    assert show_value(7713, "B/op") == "7,713 B"


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    lines = [plot.Line("<p50>", ((0, 1), (1, 2)))]
    text = plot.page("<script>", [plot.chart('"x"', "ms", lines), plot.table(("a",), [("<b>",)])])
    assert "<script>" not in text
    assert "<b>" not in text
    assert "http" not in text.replace('http-equiv="', "")
    assert text.count("<polyline") == 1


def test_a_chart_of_nothing_says_so() -> None:
    assert "nothing measured" in plot.chart("empty", "ms", [plot.Line("a", ())])
    assert "<svg" in plot.chart("flat", "ms", [plot.Line("a", ((0, 0),))])
