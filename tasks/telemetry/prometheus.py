"""What Prometheus knows: numbers by PromQL, its targets, its rules, its alerts."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.errors import RefusedError
from .plan.series import (
    ActiveAlert,
    LoadedRule,
    ScrapeTarget,
    Series,
    parse_alerts,
    parse_rules,
    parse_series,
    parse_targets,
)
from .plan.traces import Exemplar, parse_exemplars
from .stores import PROMETHEUS, Store, store

if TYPE_CHECKING:
    from ..host.project import Project

Parsed = TypeVar("Parsed")


class Prometheus:
    """The Prometheus of a stack.

    What it is asked raises RefusedError, with its URL, when it does not answer, and InputError for an expression that
    it does not accept. No data is an empty answer, which is never the same as 0.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def of(cls, project: "Project") -> "Prometheus":
        """Return the Prometheus that monitors a project; raises RefusedError when it does not run."""
        return cls(store(project, PROMETHEUS))

    def query(self, expression: str, at: float | None = None) -> tuple[Series, ...]:
        """Return the series of an expression, at a time in seconds since the epoch (default: now), one point each."""
        form = {"query": expression} | ({"time": f"{at:.3f}"} if at is not None else {})
        return self._posted("/api/v1/query", form, parse_series)

    def query_range(self, expression: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        """Return the series of an expression between two times, with a point every ``step`` seconds.

        A point without data is left out.
        """
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._posted("/api/v1/query_range", form, parse_series)

    def value(self, expression: str, at: float | None = None) -> float | None:
        """Return the only number of an expression; None when there is no data.

        Raises ValueError for an expression that has several: it is to sum them up.
        """
        series = self.query(expression, at)
        if len(series) > 1:
            raise ValueError(f"{len(series)} series in place of one: {expression}")
        return series[0].value if series else None

    def exists(self, selector: str, start: float | None = None, end: float | None = None) -> bool:
        """Whether there is a series of a selector, between two times (default: in all that is kept).

        A metric that does not exist has none; one that is not updated any more has, with the times left out.
        """
        times = {name: f"{time:.3f}" for name, time in (("start", start), ("end", end)) if time is not None}
        form = {"match[]": selector, "limit": "1", **times}
        return self._posted("/api/v1/series", form, lambda found: bool(found))

    def targets(self) -> tuple[ScrapeTarget, ...]:
        """Return what it reads metrics from, by job and URL."""
        return self._got("/api/v1/targets", {"state": "active"}, parse_targets)

    def rules(self) -> tuple[LoadedRule, ...]:
        """Return the rules that it evaluates."""
        return self._got("/api/v1/rules", {}, parse_rules)

    def alerts(self) -> tuple[ActiveAlert, ...]:
        """Return the alerts that are pending or firing, the oldest first."""
        return self._got("/api/v1/alerts", {}, parse_alerts)

    def exemplars(self, selector: str, start: float, end: float) -> tuple[Exemplar, ...]:
        """Return the examples that name a trace of what a metric has counted between two times, the newest first."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        return self._posted("/api/v1/query_exemplars", {"query": selector, **times}, parse_exemplars)

    def _got(self, path: str, query: Mapping[str, object], parse: Callable[[Any], Parsed]) -> Parsed:
        return self._parsed(self.store.get(path, query), parse)

    def _posted(self, path: str, form: Mapping[str, object], parse: Callable[[Any], Parsed]) -> Parsed:
        return self._parsed(self.store.post_form(path, form), parse)

    def _parsed(self, answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
        try:
            return parse(answer["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(
                f"{self.store.url} does not answer as Prometheus does: {error}",
                "another program has the port, or its version is not known here (2.42 and newer are)",
            ) from None
