"""Benchmarks: reads the output of ``go test -bench`` and compares it with the baseline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.lazy_pattern import lazy_pattern
from ...model.suite import FAILED, INVALID, PASSED
from .significance import ALPHA, holm, least_p, mann_whitney, median

# Samples by benchmark and unit: {"pkg.ListUsers": {"ns/op": (…,)}}
Samples = Mapping[str, Mapping[str, Sequence[float]]]

_SHARE = "%"
LATENCIES = ("p50", "p95", "p99")
_LOAD_MEASURES = {*LATENCIES, "errors"}
# Higher is worse for these units; whatever else a benchmark reports is shown and not judged.
_JUDGED = ("ns/op", "B/op", "allocs/op", _SHARE)
_LINE = lazy_pattern(r"Benchmark(?P<name>\S*?)(?:-(?P<cores>[0-9]+))?\s+[0-9]+\s+(?P<values>[0-9].*)")
_ROUNDS = 'rounds=$1; shift; while [ "$rounds" -gt 0 ]; do go test "$@"; rounds=$((rounds - 1)); done'
_HEADER = lazy_pattern(r"(?P<key>goos|goarch|pkg|cpu): (?P<value>.*)")
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
class BenchOutput:
    """The benchmarks of one service and the machine they ran on."""

    machine: str
    samples: Samples


@dataclass(frozen=True)
class BenchRow:
    """A measure compared with the baseline: ``old`` and ``new`` median, ``delta`` in per cent, and the verdict.

    ``old`` or ``new`` is None when it was not measured, ``delta`` when there is no old value other than 0. ``p`` is
    corrected by Holm's method over all measures of the unit, since among many measures some differ by chance.
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

    All benchmarks run once per round, in ``count`` rounds: other load on the machine for a second then disturbs one
    sample of many benchmarks, not all samples of one benchmark.
    """
    flags = ("-run=^$", "-bench=.", "-benchmem", "-count=1", f"-benchtime={time}", "./...")
    return ("-ec", _ROUNDS, "sh", str(count), *flags)


def parse(text: str) -> BenchOutput:
    """Return the samples in Go's benchmark output: https://go.dev/design/14313-benchmark-format"""
    header: dict[str, str] = {}
    cores = "1"
    benchmarks: dict[str, dict[str, list[float]]] = {}
    for line in text.splitlines():
        if match := _HEADER.fullmatch(line):
            header[match["key"]] = match["value"]
        elif match := _LINE.fullmatch(line.strip()):
            cores = match["cores"] or cores
            package = header.get("pkg", "").rpartition("/")[2]
            units = benchmarks.setdefault(f"{package}.{match['name']}", {})
            words = match["values"].split()
            for value, unit in zip(words[::2], words[1::2], strict=False):
                number = _number(value)
                if number is not None:
                    units.setdefault(unit, []).append(number)
    platform, cpu = f"{header.get('goos', '?')}/{header.get('goarch', '?')}", header.get("cpu", "unknown CPU")
    samples = {name: {unit: tuple(values) for unit, values in units.items()} for name, units in benchmarks.items()}
    return BenchOutput(f"{platform}, {cpu}, {cores} cores", samples)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def compare(service: str, old: Samples, new: Samples, limit: float) -> tuple[BenchRow, ...]:
    """Return a row for each measure; ``limit`` is the change in per cent up to which worse is no regression."""
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
) -> BenchRow:
    (name, unit), (old, new) = key, pair
    if not old or not new:
        value = median(old or new)
        verdict = NEW if new else GONE
        return BenchRow(service, name, unit, value if old else None, value if new else None, None, None, verdict)
    before, after = median(old), median(new)
    delta = (after - before) / before * 100 if before else None
    verdict = _verdict(before, after, delta, p, limit)
    if unit not in _JUDGED:
        verdict = SHOWN
    elif least_p(len(old), len(new)) * family > ALPHA:
        verdict = FEW
    return BenchRow(service, name, unit, before, after, delta, p, verdict)


def _verdict(before: float, after: float, delta: float | None, p: float, limit: float) -> str:
    if p > ALPHA or before == after:
        return SAME
    if after < before:
        return FASTER
    return SLOWER if delta is None or delta > limit else WITHIN


def judge(rows: Sequence[BenchRow]) -> tuple[str, str]:
    """Return the outcome and its reason; too few samples are INVALID, not a pass."""
    worse = [row for row in rows if row.verdict == SLOWER]
    if worse:
        return FAILED, "; ".join(f"{row.service}: {row.name} {row.unit} {show_delta(row)}" for row in worse)
    few = [row for row in rows if row.verdict == FEW]
    if few:
        family = max(sum(row.unit == other.unit for other in few) for row in few)
        needed = samples_needed(family)
        return INVALID, f"too few samples to tell a change in {len(few)} measures: {needed} on both sides or more"
    return PASSED, ""


def judged_rows(rows: Iterable[BenchRow], loads: Iterable[BenchRow]) -> tuple[BenchRow, ...]:
    """Return the rows to judge: without load tests that have too few samples, since benchmarks add none to them."""
    undecided = {row for row in loads if row.verdict == FEW}
    return tuple(row for row in rows if row not in undecided)


def samples_needed(family: int = 1) -> int:
    """Return how many samples per version it takes before one of ``family`` measures can differ significantly."""
    return next(count for count in range(1, 1000) if least_p(count, count) * family <= ALPHA)


def show_delta(row: BenchRow) -> str:
    """Return the change of a measure as text, such as ``+3.1 %``."""
    if row.old is None or row.new is None:
        return "-"
    return "from none" if row.delta is None and row.new else f"{row.delta or 0.0:+.1f} %"


def show_value(value: float | None, unit: str) -> str:
    """Return a value as text in a readable unit, such as ``1.20 ms``."""
    if value is None:
        return "-"
    if unit == "ns/op":
        for name, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
            if value >= factor:
                return f"{value / factor:.2f} {name}"
        return f"{value:.1f} ns"
    return f"{value:,.0f} {unit.removesuffix('/op')}" if value >= 10 else f"{value:g} {unit.removesuffix('/op')}"


def plain(samples: Samples) -> dict[str, dict[str, list[float]]]:
    """Return samples as data for JSON."""
    return {name: {unit: list(values) for unit, values in units.items()} for name, units in samples.items()}


def load_rows(history: Iterable[Mapping[str, Any]], baseline: Mapping[str, Any], limit: float) -> tuple[BenchRow, ...]:
    """Return the load tests of the newest version compared with those of the baseline's version.

    Only tests with the baseline's environment, rate, duration and targets are compared; each test is one sample.
    """
    same = ("environment", "key")
    complete = [entry for entry in history if set(entry.get("values") or ()) >= _LOAD_MEASURES]
    alike = [entry for entry in complete if baseline and all(entry.get(name) == baseline.get(name) for name in same)]
    before = [entry["values"] for entry in alike if entry.get("version") == baseline.get("version")]
    newest = alike[-1].get("version") if alike else None
    after = [entry["values"] for entry in alike if entry.get("version") == newest]
    if not before or newest == baseline.get("version"):
        return ()
    return compare(str(baseline.get("environment", "")), _load_samples(before), _load_samples(after), limit)


def _load_samples(tests: Sequence[Mapping[str, float]]) -> Samples:
    """Return load tests as samples; errors are one of the measures, since requests that fail can be fast."""
    latencies = {f"load {name}": {"ns/op": [values[name] * 1e9 for values in tests]} for name in LATENCIES}
    return {**latencies, "load errors": {_SHARE: [values["errors"] for values in tests]}}
