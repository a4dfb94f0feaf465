"""Reads JUnit reports: what testmoapp/junitxml describes, as gotestsum, pytest, Jest and others write it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from xml.parsers import expat

from .errors import CheckError

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_ENDINGS = {"failure": FAILED, "error": FAILED, "skipped": SKIPPED}


@dataclass(frozen=True)
class Case:
    """One test: its package (the suite that holds it), name, outcome, seconds, and what a failure said."""

    package: str
    name: str
    outcome: str = PASSED
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Report:
    """The tests of one report, and the packages that it names, those without a test included (with their seconds)."""

    cases: tuple[Case, ...] = ()
    packages: Mapping[str, float] | None = None

    def count(self, outcome: str = "") -> int:
        """Return how many tests ended so; all without an outcome."""
        return sum(1 for case in self.cases if outcome in ("", case.outcome))

    def failed(self) -> tuple[Case, ...]:
        """Return the tests that failed."""
        return tuple(case for case in self.cases if case.outcome == FAILED)


class _Reader:
    """Collects tests while expat reads. A document type is refused: entities are how XML is made to explode."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.packages: dict[str, float] = {}
        self.root = ""
        self._suites: list[str] = []
        self._case: dict[str, str] | None = None
        self._outcome, self._text = PASSED, [""]
        self._inside = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        self.root = self.root or name
        if name == "testsuite":
            self._suites.append(attributes.get("name", "") or (self._suites[-1] if self._suites else ""))
            self.packages[self._suites[-1]] = _seconds(attributes)
        elif name == "testcase":
            self._case, self._outcome, self._text = attributes, PASSED, []
        elif name in _ENDINGS and self._case is not None:
            # What failed and was skipped afterwards has failed.
            self._outcome = FAILED if self._outcome == FAILED else _ENDINGS[name]
            self._inside = name
            self._text.append(attributes.get("message", ""))

    def text(self, data: str) -> None:
        """Take text: what a failure said."""
        if self._inside:
            self._text.append(data)

    def end(self, name: str) -> None:
        """Take the end of an element."""
        if name == "testsuite":
            self._suites.pop()
        elif name == self._inside:
            self._inside = ""
        elif name == "testcase" and self._case is not None:
            package = self._suites[-1] if self._suites else self._case.get("classname", "")
            text = "\n".join(part for part in ("".join(self._text[1:]) or "".join(self._text)).splitlines())
            seconds = _seconds(self._case)
            self.cases.append(Case(package, self._case.get("name", ""), self._outcome, seconds, text.strip()))
            self._case = None

    def refuse(self, *_: object) -> NoReturn:
        """Refuse a document type."""
        raise ValueError("it has a document type, which no test report needs")


def _seconds(attributes: Mapping[str, str]) -> float:
    """Return the time of an element; some tools write thousands with a comma."""
    try:
        value = float(attributes.get("time", "0").replace(",", "") or 0)
    except ValueError:
        raise ValueError(f"time={attributes['time']!r} is no number") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"time={attributes['time']!r} is no time")
    return value


def parse(data: bytes, where: str) -> Report:
    """Return a JUnit report; raises CheckError when it cannot be understood. ``where`` is what a person knows it by."""
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
    return Report(tuple(reader.cases), reader.packages)
