"""The routes of a service that take longest."""

from collections.abc import Mapping, Sequence
from typing import Any

from ....model.record import Record
from ....model.stack.telemetry.metrics import Metrics
from ....telemetry.plan.queries import Requests
from ....telemetry.plan.series import Series

_MOST = 10  # routes
# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
_LABELS = ("http_request_method", "http_route")


class Route(Record):
    """A route of a service: how often it was asked, which share failed, p99 in seconds; None for what is not known."""

    method: str
    route: str
    requests: float | None
    errors: float | None
    p99: float | None

    def document(self) -> dict[str, Any]:
        """Return the route as JSON data."""
        return {"method": self.method or None, "route": self.route or None, "requests": self.requests,
                "errors": self.errors, "p99": self.p99}  # fmt: skip


def expressions(service: str, metrics: Metrics, seconds: float) -> dict[str, str]:
    """Return the expressions for the routes of a service over some seconds."""
    requests = Requests.of(service, metrics)
    return {
        "requests": requests.count(seconds, _LABELS),
        "errors": requests.errors(seconds, _LABELS),
        "p99": requests.quantile(0.99, seconds, _LABELS),
    }


def slowest(answers: Mapping[str, Sequence[Series]]) -> tuple[Route, ...]:
    """Return the routes that were asked, the slowest first, from the answers to ``expressions``."""
    values = {name: {_key(one): one.value for one in series} for name, series in answers.items()}
    asked = [key for key, number in values["requests"].items() if number > 0]
    routes = (Route(*key, values["requests"][key], values["errors"].get(key), values["p99"].get(key)) for key in asked)
    return tuple(sorted(routes, key=lambda one: (-(one.p99 or 0.0), one.route, one.method))[:_MOST])


def _key(series: Series) -> tuple[str, str]:
    method, route = (series.labels.get(label, "") for label in _LABELS)
    return method, route
