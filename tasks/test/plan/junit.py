"""Reads and writes JUnit reports as gotestsum, pytest, Jest and others do: https://github.com/testmoapp/junitxml"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NoReturn
from xml.parsers import expat

from ...model.errors import CheckError

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_ENDINGS = {"failure": FAILED, "error": FAILED, "skipped": SKIPPED}


@dataclass(frozen=True)
class Case:
    """One test. ``package`` is the name of its suite, ``output`` the message of a failure.

    ``classname`` depends on the tool: pytest writes the module there, such as ``tests.unit.test_junit``.
    """

    package: str
    name: str
    outcome: str = PASSED
    seconds: float = 0.0
    output: str = ""
    classname: str = ""


@dataclass(frozen=True)
class JUnitReport:
    """The tests of one report, and the seconds of each package in it, including packages without tests."""

    cases: tuple[Case, ...] = ()
    packages: Mapping[str, float] | None = None

    def count(self, outcome: str = "") -> int:
        """Return the number of tests with an outcome, "" for all tests."""
        return sum(1 for case in self.cases if outcome in ("", case.outcome))

    def failed(self) -> tuple[Case, ...]:
        """Return the tests that failed."""
        return tuple(case for case in self.cases if case.outcome == FAILED)


class _Reader:
    """Collects tests while expat parses. A document type is refused: entities can expand without limit (XML bomb)."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.packages: dict[str, float] = {}
        self.root = ""
        self._suites: list[str] = []
        self._case: dict[str, str] | None = None
        self._outcome, self._text = PASSED, [""]
        self._inside = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        self.root = self.root or name
        if name == "testsuite":
            self._suites.append(attributes.get("name", "") or (self._suites[-1] if self._suites else ""))
            self.packages[self._suites[-1]] = _seconds(attributes)
        elif name == "testcase":
            self._case, self._outcome, self._text = attributes, PASSED, []
        elif name in _ENDINGS and self._case is not None:
            # A test that failed and was skipped afterwards has failed.
            self._outcome = FAILED if self._outcome == FAILED else _ENDINGS[name]
            self._inside = name
            self._text.append(attributes.get("message", ""))

    def text(self, data: str) -> None:
        """Handle text: the message of a failure."""
        if self._inside:
            self._text.append(data)

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        if name == "testsuite":
            self._suites.pop()
        elif name == self._inside:
            self._inside = ""
        elif name == "testcase" and self._case is not None:
            package = self._suites[-1] if self._suites else self._case.get("classname", "")
            text = "\n".join(part for part in ("".join(self._text[1:]) or "".join(self._text)).splitlines())
            seconds = _seconds(self._case)
            name, owner = self._case.get("name", ""), self._case.get("classname", "")
            self.cases.append(Case(package, name, self._outcome, seconds, text.strip(), owner))
            self._case = None

    def refuse(self, *_: object) -> NoReturn:
        """Raise ValueError for a document type."""
        raise ValueError("it has a document type, which no test report needs")


def _seconds(attributes: Mapping[str, str]) -> float:
    """Return the seconds of an element; some tools write thousands with a comma."""
    try:
        value = float(attributes.get("time", "0").replace(",", "") or 0)
    except ValueError:
        raise ValueError(f"time={attributes['time']!r} is no number") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"time={attributes['time']!r} is no time")
    return value


def parse(data: bytes, where: str) -> JUnitReport:
    """Return a JUnit report; raises CheckError when it cannot be read. ``where`` names the file in the error."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(data, True)
        if reader.root not in ("testsuites", "testsuite"):
            raise ValueError(f"its root is <{reader.root}>, not <testsuites>")
    except (expat.ExpatError, ValueError) as error:
        raise CheckError(
            f"{where}: is not a JUnit report: {error}", "let the tests write JUnit XML to /reports/junit.xml"
        ) from None
    return JUnitReport(tuple(reader.cases), reader.packages)


def document(suite: str, cases: Sequence[Case], seconds: float) -> str:
    """Return a JUnit report of one suite."""
    bad, skipped = (sum(case.outcome == outcome for case in cases) for outcome in (FAILED, SKIPPED))
    numbers = f'tests="{len(cases)}" failures="{bad}" errors="0" skipped="{skipped}" time="{seconds:.3f}"'
    body = "".join(f"    {_element(suite, case)}\n" for case in cases)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {numbers}>\n'
        f'  <testsuite name="{_text(suite)}" {numbers}>\n{body}  </testsuite>\n</testsuites>\n'
    )


def _element(suite: str, case: Case) -> str:
    names = f'classname="{_text(case.classname or suite)}" name="{_text(case.name)}" time="{case.seconds:.3f}"'
    kind = {FAILED: "failure", SKIPPED: "skipped"}.get(case.outcome)
    inside = f'<{kind} message="{_text(case.output)}"/>' if kind else ""
    return f"<testcase {names}>{inside}</testcase>"


def _text(text: str) -> str:
    """Return text for XML, without the characters that XML 1.0 does not have."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
