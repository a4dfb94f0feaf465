"""Whether what a probe saw is what an experiment tolerates, as Chaos Toolkit judges it.

https://chaostoolkit.org/reference/api/experiment/#steady-state-probe-tolerance
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...model.lazy_pattern import lazy_pattern

_PATH = lazy_pattern(r"\$(?:\.[A-Za-z_][\w-]*|\.\*|\[\d+\]|\[\*\]|\['[^']*'\])*")
_STEP = lazy_pattern(r"\.([A-Za-z_][\w-]*)|(\.\*|\[\*\])|\[(\d+)\]|\['([^']*)'\]")
_KINDS = ("regex", "jsonpath", "range")


def fault(tolerance: Any) -> str:
    """Return why a tolerance cannot be judged, "" when it can."""
    if not isinstance(tolerance, Mapping):
        known = isinstance(tolerance, bool | int | float | str | list)
        return "" if known else "a tolerance is a number, a text, a list or an object"
    kind = tolerance.get("type")
    if kind not in _KINDS:
        return f"a tolerance of type {kind!r} is not known; there are {', '.join(_KINDS)}"
    if kind == "regex":
        try:
            re.compile(str(tolerance.get("pattern", "")))
        except re.error as error:
            return f"{tolerance.get('pattern')!r} is no pattern: {error}"
        return "" if tolerance.get("pattern") else "a regex has a `pattern`"
    if kind == "jsonpath":
        path = str(tolerance.get("path", ""))
        return "" if _PATH.fullmatch(path) else f"{path!r}: of JSONPath only names, [number] and * are understood"
    ends = tolerance.get("range")
    good = isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends)
    return "" if good else "a range has two numbers"


def within(tolerance: Any, value: Any) -> bool:
    """Whether a value, such as ``{"status": 200, "body": …}`` of a probe by HTTP, is tolerated."""
    if isinstance(tolerance, Mapping):
        return _within_object(tolerance, value)
    status = value["status"] if isinstance(value, Mapping) and "status" in value else value
    if isinstance(tolerance, bool | str):
        return bool(value == tolerance)
    if not isinstance(tolerance, list):
        return bool(status == tolerance)
    if isinstance(value, Mapping) and "status" in value:
        return status in tolerance
    if len(tolerance) == 2 and isinstance(value, int | float):
        return bool(tolerance[0] <= value <= tolerance[1])
    return value in tolerance


def _within_object(tolerance: Mapping[str, Any], value: Any) -> bool:
    if (target := tolerance.get("target")) and isinstance(value, Mapping):
        value = value.get(target, value)
    if tolerance["type"] == "regex":
        return isinstance(value, str) and re.search(str(tolerance["pattern"]), value) is not None
    if tolerance["type"] == "range":
        first, last = tolerance["range"]
        try:
            return bool(first <= float(value) <= last)
        except (TypeError, ValueError):
            return False
    return _matches(tolerance, value)


def _matches(tolerance: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    found = list(_found(value, str(tolerance["path"])[1:]))
    if "expect" in tolerance:
        expected = tolerance["expect"]
        return found == (expected if isinstance(expected, list) else [expected])
    return len(found) == tolerance["count"] if tolerance.get("count") is not None else bool(found)


def _found(value: Any, path: str) -> Iterator[Any]:
    """Yield the values that a path leads to."""
    if not path:
        yield value
        return
    step = _STEP.match(path)
    if step is None:
        return
    rest, key = path[step.end() :], step[1] or step[4]
    if step[2]:
        for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
            yield from _found(item, rest)
    elif step[3] is not None:
        if isinstance(value, list) and int(step[3]) < len(value):
            yield from _found(value[int(step[3])], rest)
    elif isinstance(value, Mapping) and key in value:
        yield from _found(value[key], rest)
