"""The pictures of docs/output.md are what the renderer draws."""

import re

import pytest
from support import ROOT

from tasks.host.story.screen import Screen
from tasks.model.quoting import without_escapes
from tasks.model.story.events import (
    ContainerFailed,
    Event,
    Noted,
    StepAdvanced,
    StepFinished,
    StepsPlanned,
    StepStarted,
    StepWaiting,
    StoryBegun,
    StoryEnded,
)
from tasks.model.story.look import Look
from tests.terminal import Emulator

DOCUMENT = (ROOT / "docs/output.md").read_text("utf-8")
BEGUN = StoryBegun(
    "deploy", "shop", "staging", "1.4.3",
    changes=("roll app: image to be built: its sources, arguments or base images changed",
             "run migrate: image to be built: its sources, arguments or base images changed"),
)  # fmt: skip
BUILDING: list[tuple[float, Event]] = [
    (0.0, BEGUN),
    (0.0, StepsPlanned(((1, "build app"), (2, "build migrate")))),
    (0.1, StepStarted(1, "build app")),
    (0.4, StepStarted(2, "build migrate")),
    (0.6, StepAdvanced(2, "2/2 COPY migrations /migrations")),
    (1.2, StepAdvanced(1, "builder 4/5 RUN go build -trimpath -o /out/app ./cmd/app")),
]
ROLLING: list[tuple[float, Event]] = [
    *BUILDING,
    (1.5, StepFinished(2, "build migrate", "done", 1.1, "2 steps, 1 from the cache")),
    (5.8, StepFinished(1, "build app", "done", 5.7, "7 steps, 5 from the cache")),
    (5.8, StepsPlanned(tuple(enumerate((
        "backup database", "run migrate", "create app-8", "start app-8", "app-8 healthy", "announce app-8",
        "proxy → app-8", "watch app-8", "drain old workers of app", "app-8 proven", "stop app-7", "remove app-7",
    ), 3)))),
    (5.8, StepStarted(3, "backup database")),
    (6.6, StepFinished(3, "backup database", "done", 0.8, "backed up: backups/shop/20261129T080006Z.dump")),
    (6.6, StepStarted(4, "run migrate")),
    (8.1, StepFinished(4, "run migrate", "done", 1.5)),
    (8.1, StepStarted(5, "create app-8")),
    (8.6, StepFinished(5, "create app-8", "done", 0.5)),
    (8.6, StepStarted(6, "start app-8")),
    (9.3, StepFinished(6, "start app-8", "done", 0.7)),
    (9.3, StepStarted(7, "app-8 healthy")),
    (9.3, StepWaiting(7, 90.0)),
    (10.5, StepWaiting(7, 90.0, "last answer: connection refused")),
]  # fmt: skip
FAILED: list[tuple[float, Event]] = [
    *ROLLING,
    (13.0, ContainerFailed("shop-app-8", "restarting", ("listen tcp :8000: bind: address already in use",))),
    (14.3, StepFinished(7, "app-8 healthy", "failed", 5.0)),
    (14.3, Noted("blue-green app: shop-app-8 was restarted 3 times, exit code 1", "warning")),
    (14.3, StepStarted(20, "roll back")),
    (14.4, StepsPlanned(((21, "stop app-8"), (22, "remove app-8"), (23, "verify: app, nginx healthy")))),
    (14.4, StepStarted(21, "stop app-8")),
]  # fmt: skip
DONE: list[tuple[float, Event]] = [
    *ROLLING,
    (11.4, StepFinished(7, "app-8 healthy", "done", 2.1)),
    *((12.0 + number, StepFinished(8 + number, name, "done", seconds)) for number, (name, seconds) in enumerate((
        ("announce app-8", 1.1), ("proxy → app-8", 1.3), ("watch app-8", 5.0), ("drain old workers of app", 0.1),
        ("app-8 proven", 0.1), ("stop app-7", 0.5), ("remove app-7", 0.3)))),
    (20.0, StepFinished(30, "record", "done", 0.2)),
    (20.0, StoryEnded("done", 20.0, "deployed shop as release 13: app, migrate", (
        ("version", "1.4.3 (1a2b3c4d5e6f)"),
        ("changed", "roll app: image to be built: its sources, arguments or base images changed"),
        ("changed", "run migrate: image to be built: its sources, arguments or base images changed"),
        ("took", "build 6.8 s, backup 0.8 s, run migrate 1.5 s, blue-green app 10.6 s, record 0.2 s"),
        ("requests", "412, none answered with 502, 503 or 504"),
        ("back", "inv deploy.rollback --env staging (to release 12, 1.4.2)"),
        ("log", "reports/20261129-080000-1f3a/deploy.log"),
    ))),
]  # fmt: skip
PICTURES = {"building": (BUILDING, 3.2), "waiting": (ROLLING, 12.4), "failing": (FAILED, 15.0), "done": (DONE, 21.0)}


def drawn(events: list[tuple[float, Event]], now: float, columns: int = 100) -> str:
    """Return what is on a terminal after some events."""
    emulator = Emulator(columns, 40)
    screen = Screen(Look(), lambda text: emulator.feed(text.replace("\n", "\r\n")), lambda: (columns, 40))
    for at, event in events:
        screen.take(event, at, "")
        screen.tick(at)
    screen.tick(now - 0.5)
    screen.tick(now)
    return without_escapes("\n".join(emulator.text())).rstrip()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_documentation_is_what_is_drawn(name: str) -> None:
    match = re.search(rf"<!-- picture: {name} -->\n```text\n(.*?)\n```", DOCUMENT, re.DOTALL)
    assert match, f"docs/output.md has no picture {name}"
    assert match[1] == drawn(*PICTURES[name])
