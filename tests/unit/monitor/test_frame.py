"""The table of monitor.status."""

import pytest

from tasks.model.quoting import without_escapes
from tasks.model.story.look import Look, cells
from tasks.monitor.view.plan.figures import ServiceFigures
from tasks.monitor.view.plan.frame import frame

TRENDS = {"rate": (1.0, 2.0, None, 4.0), "errors": (0.0, 0.0, None, 0.5), "p99": (0.1, 0.1, None, 0.4)}
WEB = ServiceFigures(
    "web", "metrics", rate=12.44, errors=0.021, p50=0.004, p95=0.0182, p99=1.2, cpu=0.31, cpu_of="limit", cores=0.31,
    memory=0.93, bytes=1e8, trends=TRENDS,
)  # fmt: skip
QUEUE = ServiceFigures("queue", "exporter", "commands", rate=3.2, cpu=0.01, cpu_of="machine", cores=0.02, bytes=5e7)
WORKER = ServiceFigures("worker")
SENTENCE = ("worker", "no data in the last 5 m: no container of it was seen, and no metrics of it")


def test_each_service_has_a_line_and_what_is_not_known_is_a_dash() -> None:
    assert frame([WEB, QUEUE, WORKER], [SENTENCE], 0, Look()) == [
        "SERVICE    RATE       ERRORS          P50    P95     P99          CPU   MEMORY",
        "web      12.4/s ▃▅ █  2.10 % ▁▁ █  4.0 ms  18 ms  1.20 s ▃▃ █  31.0 %   93.0 %",
        "queue    3.20/s            -            -      -       -         0.02  50.0 MB",
        "worker        -            -            -      -       -            -        -",
        "worker: no data in the last 5 m: no container of it was seen, and no metrics of it",
    ]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = frame([WEB], [("web", "5 → 6 …")], 0, Look(unicode=False))
    assert all(line.isascii() for line in lines)
    assert lines[1].startswith("web      12.4/s -+ @  2.10 % .. @")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 81, 100, 120, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, colour: bool) -> None:
    look = Look(colour=colour)
    long = ServiceFigures("web", "metrics", rate=1.0, trends={"rate": tuple(range(60)), "p99": tuple(range(60))})
    lines = frame([WEB, long, WORKER], [SENTENCE], width, look)
    assert [line for line in lines if cells(without_escapes(line)) > width] == []


def test_where_there_is_little_room_the_rate_keeps_its_sparkline() -> None:
    wide = {name: tuple(float(number) for number in range(20)) for name in TRENDS}
    one = ServiceFigures("web", "metrics", rate=12.4, errors=0.0, p50=0.004, p95=0.018, p99=1.2, trends=wide)
    header = frame([one], [], 66, Look())[0]
    assert frame([one], [], 66, Look())[1].count("█") == 1
    assert header.index("ERRORS") - header.index("RATE") > len("RATE  ")


def test_a_sentence_that_is_too_long_is_broken_and_not_cut() -> None:
    lines = frame([WORKER], [SENTENCE], 40, Look())
    assert " ".join(line.strip() for line in lines[2:]) == f"{SENTENCE[0]}: {SENTENCE[1]}"


def test_errors_and_containers_that_are_nearly_full_are_coloured() -> None:
    line = frame([WEB], [], 0, Look(colour=True))[1]
    assert "\x1b[31m2.10 %\x1b[0m" in line and "\x1b[31m93.0 %\x1b[0m" in line
    assert "\x1b[31m31.0 %" not in line
