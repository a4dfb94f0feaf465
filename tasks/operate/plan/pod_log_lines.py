"""What ``kubectl logs --timestamps`` prints, as lines with their times."""

from collections.abc import Iterator
from datetime import UTC, datetime

from ...model.engine.log_lines import SECOND, LogLine

_DATE = 19  # characters of a time without its fraction
_WAITS = ("is waiting to start", "ContainerCreating", "PodInitializing")


def parsed(text: str) -> Iterator[LogLine]:
    """Yield the lines of a log; the API server does not tell which of them went to stderr."""
    for line in text.splitlines():
        stamp, _, said = line.partition(" ")
        try:
            yield LogLine(moment(stamp), "stdout", said.removesuffix("\r"))
        except ValueError:  # what kubectl says itself, such as that the log was rotated
            continue


def moment(stamp: str) -> int:
    """Return a time such as 2026-11-29T08:00:00.123456789Z in nanoseconds since the epoch; raises ValueError."""
    seconds = int(datetime.fromisoformat(f"{stamp[:_DATE]}+00:00").timestamp())
    fraction = stamp[_DATE:].removesuffix("Z").removeprefix(".")
    return seconds * SECOND + int(fraction.ljust(9, "0")[:9] or 0)


def text(time: int) -> str:
    """Return nanoseconds since the epoch as kubectl takes them."""
    whole = datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{time % SECOND:09}Z"


def has_not_begun(said: str) -> bool:
    """Whether there is no log yet because the container was not started."""
    return any(words in said for words in _WAITS)
