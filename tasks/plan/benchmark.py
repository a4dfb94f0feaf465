"""Benchmarks: what ``go test -bench`` prints, and whether it differs from the baseline."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .statistic import ALPHA, holm, least_p, mann_whitney, median
from .suites import FAILED, INVALID, PASSED

# Samples by benchmark and unit: {"pkg.ListUsers": {"ns/op": (…,)}}
Samples = Mapping[str, Mapping[str, Sequence[float]]]

# More of these is worse; what a benchmark reports beside them is shown and not judged.
_SHARE = "%"
LATENCIES = ("p50", "p95", "p99")
_LOAD_MEASURES = {*LATENCIES, "errors"}
_JUDGED = ("ns/op", "B/op", "allocs/op", _SHARE)
_LINE = re.compile(r"Benchmark(?P<name>\S*?)(?:-(?P<cores>[0-9]+))?\s+[0-9]+\s+(?P<values>[0-9].*)")
_ROUNDS = 'rounds=$1; shift; while [ "$rounds" -gt 0 ]; do go test "$@"; rounds=$((rounds - 1)); done'
_HEADER = re.compile(r"(?P<key>goos|goarch|pkg|cpu): (?P<value>.*)")
SLOWER, FASTER, SAME, FEW, NEW, GONE, SHOWN = (
    "regression",
    "better",
    "no significant change",
    "too few samples",
    "new",
    "gone",
    "not judged",
)
WITHIN = "worse, within BENCH_REGRESSION_MAX"


@dataclass(frozen=True)
class Parsed:
    """The benchmarks of one service and the machine they ran on."""

    machine: str
    samples: Samples


@dataclass(frozen=True)
class Row:
    """One measure compared: medians, change in per cent (None when there was nothing before), and what it means.

    ``p`` is Holm's, for all measures of the unit together: of many that are looked at, some differ by chance.
    """

    service: str
    name: str
    unit: str
    old: float | None
    new: float | None
    delta: float | None
    p: float | None
    verdict: str

    def document(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        return dict(vars(self))


def arguments(count: int, time: str) -> tuple[str, ...]:
    """Return the arguments of ``sh`` that run every benchmark ``count`` times and no test.

    Round by round, and not each benchmark ``count`` times at a stretch: what else the machine does for a second
    then falls on one sample of many benchmarks and not on all samples of one.
    """
    flags = ("-run=^$", "-bench=.", "-benchmem", "-count=1", f"-benchtime={time}", "./...")
    return ("-ec", _ROUNDS, "sh", str(count), *flags)


def parse(text: str) -> Parsed:
    """Return what benchmarks printed, in Go's benchmark format: https://go.dev/design/14313-benchmark-format"""
    header: dict[str, str] = {}
    cores = "1"
    found: dict[str, dict[str, list[float]]] = {}
    for line in text.splitlines():
        if match := _HEADER.fullmatch(line):
            header[match["key"]] = match["value"]
        elif match := _LINE.fullmatch(line.strip()):
            cores = match["cores"] or cores
            package = header.get("pkg", "").rpartition("/")[2]
            units = found.setdefault(f"{package}.{match['name']}", {})
            words = match["values"].split()
            for value, unit in zip(words[::2], words[1::2], strict=False):
                number = _number(value)
                if number is not None:
                    units.setdefault(unit, []).append(number)
    machine = (
        f"{header.get('goos', '?')}/{header.get('goarch', '?')}, {header.get('cpu', 'unknown CPU')}, {cores} cores"
    )
    return Parsed(machine, {name: {unit: tuple(all_) for unit, all_ in one.items()} for name, one in found.items()})


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def compare(service: str, old: Samples, new: Samples, limit: float) -> tuple[Row, ...]:
    """Return each measure compared; ``limit`` is the change in per cent up to which worse is not a regression."""
    pairs: dict[tuple[str, str], tuple[Sequence[float], Sequence[float]]] = {}
    for name in dict.fromkeys([*new, *old]):
        before, after = old.get(name, {}), new.get(name, {})
        for unit in dict.fromkeys([*after, *before]):
            pairs[name, unit] = (before.get(unit, ()), after.get(unit, ()))
    adjusted: dict[tuple[str, str], float] = {}
    families: dict[str, int] = {}
    for unit in dict.fromkeys(unit for _, unit in pairs):
        both = {key: mann_whitney(*pair) for key, pair in pairs.items() if key[1] == unit and all(pair)}
        adjusted.update(holm(both))
        families[unit] = len(both)
    return tuple(
        _row(service, key, pair, adjusted.get(key, 1.0), families[key[1]], limit) for key, pair in pairs.items()
    )


def _row(
    service: str,
    key: tuple[str, str],
    pair: tuple[Sequence[float], Sequence[float]],
    p: float,
    family: int,
    limit: float,
) -> Row:
    (name, unit), (old, new) = key, pair
    if not old or not new:
        value = median(old or new)
        verdict = NEW if new else GONE
        return Row(service, name, unit, value if old else None, value if new else None, None, None, verdict)
    before, after = median(old), median(new)
    delta = (after - before) / before * 100 if before else None
    verdict = _verdict(before, after, delta, p, limit)
    if unit not in _JUDGED:
        verdict = SHOWN
    elif least_p(len(old), len(new)) * family > ALPHA:
        verdict = FEW
    return Row(service, name, unit, before, after, delta, p, verdict)


def _verdict(before: float, after: float, delta: float | None, p: float, limit: float) -> str:
    if p > ALPHA or before == after:
        return SAME
    if after < before:
        return FASTER
    return SLOWER if delta is None or delta > limit else WITHIN


def judge(rows: Sequence[Row]) -> tuple[str, str]:
    """Return the outcome and the reason: too few samples to tell are no pass."""
    worse = [one for one in rows if one.verdict == SLOWER]
    if worse:
        return FAILED, "; ".join(f"{one.service}: {one.name} {one.unit} {show_delta(one)}" for one in worse)
    few = [one for one in rows if one.verdict == FEW]
    if few:
        family = max(sum(one.unit == other.unit for other in few) for one in few)
        needed = samples_needed(family)
        return INVALID, f"too few samples to tell a change in {len(few)} measures: {needed} on both sides or more"
    return PASSED, ""


def decisive(rows: Iterable[Row], loads: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows to judge by: not load tests of which there are too few, since a benchmark's run adds none."""
    undecided = {one for one in loads if one.verdict == FEW}
    return tuple(one for one in rows if one not in undecided)


def samples_needed(family: int = 1) -> int:
    """Return how many samples on each side are needed before one of ``family`` measures can be significant."""
    return next(count for count in range(1, 1000) if least_p(count, count) * family <= ALPHA)


def show_delta(row: Row) -> str:
    """Return a change for a person."""
    if row.old is None or row.new is None:
        return "-"
    return "from none" if row.delta is None and row.new else f"{row.delta or 0.0:+.1f} %"


def show_value(value: float | None, unit: str) -> str:
    """Return a measure for a person."""
    if value is None:
        return "-"
    if unit == "ns/op":
        for name, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
            if value >= factor:
                return f"{value / factor:.2f} {name}"
        return f"{value:.1f} ns"
    return f"{value:,.0f} {unit.removesuffix('/op')}" if value >= 10 else f"{value:g} {unit.removesuffix('/op')}"


def plain(samples: Samples) -> dict[str, dict[str, list[float]]]:
    """Return samples as JSON data."""
    return {name: {unit: list(values) for unit, values in one.items()} for name, one in samples.items()}


def load_rows(history: Iterable[Mapping[str, Any]], baseline: Mapping[str, Any], limit: float) -> tuple[Row, ...]:
    """Return the load tests of the newest version compared with those of the baseline's version.

    Only tests of the same environment, rate, duration and targets are alike; each test is one sample.
    """
    same = ("environment", "key")
    whole = [one for one in history if set(one.get("values") or ()) >= _LOAD_MEASURES]
    alike = [one for one in whole if baseline and all(one.get(name) == baseline.get(name) for name in same)]
    before = [one["values"] for one in alike if one.get("version") == baseline.get("version")]
    newest = alike[-1].get("version") if alike else None
    after = [one["values"] for one in alike if one.get("version") == newest]
    if not before or newest == baseline.get("version"):
        return ()
    return compare(str(baseline.get("environment", "")), _load_samples(before), _load_samples(after), limit)


def _load_samples(tests: Sequence[Mapping[str, float]]) -> Samples:
    """Return load tests as samples: errors too, since what fails at once is fast."""
    found = {f"load {name}": {"ns/op": [one[name] * 1e9 for one in tests]} for name in LATENCIES}
    return {**found, "load errors": {_SHARE: [one["errors"] for one in tests]}}
