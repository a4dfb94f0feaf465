"""What Jaeger knows: the spans of traces."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..model.errors import RefusedError
from .plan.traces import TraceSpan, parse_traces
from .stores import JAEGER, Store, store

if TYPE_CHECKING:
    from ..host.project import Project


class Jaeger:
    """The Jaeger of a stack; what it is asked raises RefusedError, with its URL, when it does not answer."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def of(cls, project: "Project") -> "Jaeger":
        """Return the Jaeger that has the traces of a project; raises RefusedError when it does not run."""
        return cls(store(project, JAEGER))

    def traces(self, ids: Iterable[str]) -> dict[str, tuple[TraceSpan, ...]]:
        """Return the spans of traces by their ids; a trace that it does not have is left out."""
        wanted = list(ids)
        return self._asked({"traceID": wanted}) if wanted else {}

    def active(self, service: str, since: float, until: float) -> bool:
        """Whether a service has made a span between two times, in seconds since the epoch."""
        times = {"start": round(since * 1e6), "end": round(until * 1e6)}
        return bool(self._asked({"service": service, "limit": 1, **times}))

    def _asked(self, query: Mapping[str, object]) -> dict[str, tuple[TraceSpan, ...]]:
        answer = self.store.get("/api/traces", query)
        try:
            return parse_traces(answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RefusedError(
                f"{self.store.url} does not answer as Jaeger does: {error}",
                "another program has the port, or its version is not known here (1.60 and newer are)",
            ) from None
