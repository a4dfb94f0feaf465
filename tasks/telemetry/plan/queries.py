"""PromQL: how often a service is asked, how many of its answers are errors, how long they take, how full it is.

An expression returns nothing where there is no data: 0 means that it was counted, and that there was none.
"""

from collections.abc import Collection

from ...model.record import Record
from ...model.stack.telemetry.metrics import DURATION, STATUS, Metrics

Matcher = str | Collection[str]
"""What a label must be: a text, or one of several texts."""

_SPECIAL = frozenset("\\.+*?()|[]{}^$")


class Requests(Record):
    """The requests of a service: of the histogram ``duration``, in seconds, whose label ``status`` has the HTTP status.

    ``window`` is a duration as ``5m``, or in seconds. ``matchers`` choose series by their labels, ``by`` are the labels
    that the result is split by.
    """

    service: str
    duration: str = DURATION
    status: str = STATUS

    @classmethod
    def of(cls, service: str, metrics: Metrics) -> "Requests":
        """Return the requests of a service that says where its metrics are."""
        return cls(service, metrics.duration, metrics.status)

    def rate(self, window: str | float, by: tuple[str, ...] = (), **matchers: Matcher) -> str:
        """Return the expression of the requests per second."""
        return f"sum{_by(by)} ({self._counted(window, '', matchers)})"

    def failures(self, window: str | float, by: tuple[str, ...] = (), **matchers: Matcher) -> str:
        """Return the expression of the answers per second with a status of 500 or more: 0 when there are none."""
        failed = self._counted(window, f'{self.status}=~"5.."', matchers)
        return f"(sum{_by(by)} ({failed}) or 0 * {self.rate(window, by, **matchers)})"

    def errors(self, window: str | float, by: tuple[str, ...] = (), **matchers: Matcher) -> str:
        """Return the expression of the share of answers with a status of 500 or more, from 0 to 1.

        Without requests there is no share, so it returns no number.
        """
        return f"{self.failures(window, by, **matchers)} / {self.rate(window, by, **matchers)}"

    def quantile(self, q: float, window: str | float, by: tuple[str, ...] = (), **matchers: Matcher) -> str:
        """Return the expression of a quantile of how long requests took, in seconds: 0.99 for p99."""
        chosen = selector(f"{self.duration}_bucket", service=self.service, **matchers)
        return f"histogram_quantile({q:g}, sum by ({', '.join(('le', *by))}) (rate({chosen}[{span(window)}])))"

    def count(self, window: str | float, by: tuple[str, ...] = (), **matchers: Matcher) -> str:
        """Return the expression of the number of requests in the window; Prometheus estimates it at the edges."""
        chosen = selector(f"{self.duration}_count", service=self.service, **matchers)
        return f"sum{_by(by)} (increase({chosen}[{span(window)}]))"

    def _counted(self, window: str | float, status: str, matchers: dict[str, Matcher]) -> str:
        chosen = selector(f"{self.duration}_count", status, service=self.service, **matchers)
        return f"rate({chosen}[{span(window)}])"


def cpu(window: str | float, **matchers: Matcher) -> str:
    """Return the expression of the processors that each service uses: 1 is one processor."""
    return f"sum by (service) (rate({selector('container_cpu_usage_seconds_total', **matchers)}[{span(window)}]))"


def throttled(window: str | float, **matchers: Matcher) -> str:
    """Return the expression of the share of periods in which each service had to wait for its CPU limit, 0 to 1."""
    held = f"rate({selector('container_cpu_cfs_throttled_periods_total', **matchers)}[{span(window)}])"
    periods = f"rate({selector('container_cpu_cfs_periods_total', **matchers)}[{span(window)}])"
    return f"sum by (service) ({held}) / sum by (service) ({periods})"


def memory(**matchers: Matcher) -> str:
    """Return the expression of the bytes that each service has in use."""
    return f"sum by (service) ({selector('container_memory_working_set_bytes', **matchers)})"


def memory_share(**matchers: Matcher) -> str:
    """Return the expression of the share of its memory limit that the fullest container of each service uses, 0 to 1.

    A service without a limit has none.
    """
    used = selector("container_memory_working_set_bytes", **matchers)
    limit = selector("container_spec_memory_limit_bytes", **matchers)
    return f"max by (service) ({used} / {limit})"


def selector(metric: str, *written: str, **matchers: Matcher) -> str:
    """Return a selector of series; ``written`` are matchers in PromQL's own words, "" for none."""
    parts = [*(word for word in written if word), *(_matcher(label, value) for label, value in matchers.items())]
    return f"{metric}{{{', '.join(parts)}}}" if parts else metric


def span(window: str | float) -> str:
    """Return a duration as PromQL writes it; a number is in seconds."""
    return window if isinstance(window, str) else f"{round(window * 1000)}ms"


def quoted(text: str) -> str:
    """Return a text as a PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _matcher(label: str, value: Matcher) -> str:
    if isinstance(value, str):
        return f"{label}={quoted(value)}"
    return f"{label}=~{quoted('|'.join(_literally(text) for text in value))}"


def _literally(text: str) -> str:
    """Return the regular expression (RE2) of a text; Python's own would escape characters that RE2 does not."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
