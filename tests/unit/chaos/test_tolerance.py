"""What a probe saw, judged as Chaos Toolkit judges it."""

from typing import Any

import pytest

from tasks.chaos.plan.tolerance import fault, within

ANSWER = {"status": 200, "headers": {}, "body": {"users": [{"id": 1}, {"id": 2}], "total": 20}}
DONE = {"status": 0, "stdout": "p95 12 ms\n", "stderr": ""}


@pytest.mark.parametrize(
    ("tolerance", "value", "met"),
    [
        (200, ANSWER, True),
        (503, ANSWER, False),
        ([200, 503], ANSWER, True),
        ([500, 502, 504], ANSWER, False),
        (0, DONE, True),
        (True, True, True),
        (True, False, False),
        ("up", "up", True),
        ([1, 5], 3, True),
        ([1, 5], 6, False),
        (["a", "b", "c"], "b", True),
        ({"type": "range", "range": [200, 299], "target": "status"}, ANSWER, True),
        ({"type": "range", "range": [200, 299]}, "many", False),
        ({"type": "regex", "pattern": r"p95 \d+ ms", "target": "stdout"}, DONE, True),
        ({"type": "regex", "pattern": "^p99", "target": "stdout"}, DONE, False),
        ({"type": "regex", "pattern": "x"}, ANSWER, False),
        ({"type": "jsonpath", "path": "$.total", "expect": 20, "target": "body"}, ANSWER, True),
        ({"type": "jsonpath", "path": "$.users[*].id", "expect": [1, 2], "target": "body"}, ANSWER, True),
        ({"type": "jsonpath", "path": "$.users[1].id", "expect": 1, "target": "body"}, ANSWER, False),
        ({"type": "jsonpath", "path": "$.users[*]", "count": 2, "target": "body"}, ANSWER, True),
        ({"type": "jsonpath", "path": "$.nobody", "target": "body"}, ANSWER, False),
        ({"type": "jsonpath", "path": "$.a['b c']"}, '{"a": {"b c": 1}}', True),
        ({"type": "jsonpath", "path": "$.a"}, "no json", False),
    ],
)
def test_what_is_seen_is_tolerated_or_not(tolerance: Any, value: Any, met: bool) -> None:
    assert fault(tolerance) == ""
    assert within(tolerance, value) is met


@pytest.mark.parametrize(
    ("tolerance", "reason"),
    [
        (None, "a number, a text, a list or an object"),
        ({"type": "probe"}, "type 'probe' is not known"),
        ({"type": "regex", "pattern": "("}, "is no pattern"),
        ({"type": "regex"}, "has a `pattern`"),
        ({"type": "jsonpath", "path": "$..x[?(@.a>1)]"}, "only names"),
        ({"type": "range", "range": [1]}, "two numbers"),
    ],
)
def test_a_tolerance_that_cannot_be_judged_is_a_fault(tolerance: Any, reason: str) -> None:
    assert reason in fault(tolerance)
