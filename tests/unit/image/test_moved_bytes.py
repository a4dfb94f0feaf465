"""How many bytes a push or a pull has moved, from what docker 26 printed on a terminal (recorded, thinned out)."""

from pathlib import Path

import pytest
from support import ROOT

from tasks.host import output
from tasks.host.runner import Runner
from tasks.host.story.story import Story
from tasks.image.plan.progress import moved_bytes
from tasks.image.pulls import pulls_told
from tasks.model.command import Command
from tasks.model.story.events import BytesMoved, Event, LinePrinted, StepFinished

RECORDED = (ROOT / "tests/data/push.txt").read_text("utf-8").splitlines()
COMPOSE = (ROOT / "tests/data/compose-pull.txt").read_text("utf-8").splitlines()


def test_the_bytes_of_a_push_never_get_fewer_and_end_at_all() -> None:
    steps = [moved_bytes(RECORDED[:number]) for number in range(1, len(RECORDED) + 1)]
    assert [moved for moved, _ in steps] == sorted(moved for moved, _ in steps)
    assert steps[-1][0] == steps[-1][1] > 400_000_000
    assert any(0 < moved < total for moved, total in steps)


def test_the_bytes_that_compose_pulls_are_read_where_it_has_no_terminal() -> None:
    steps = [moved_bytes(COMPOSE[:number]) for number in range(1, len(COMPOSE) + 1)]
    assert [moved for moved, _ in steps] == sorted(moved for moved, _ in steps)
    assert steps[-1] == (94_400_000, 94_400_000)
    assert any(0 < moved < total for moved, total in steps)


class Events:
    """A renderer that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def take(self, event: Event, now: float, time: str) -> None:
        self.events.append(event)


def test_a_step_tells_how_much_its_command_pulls_and_ends_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.image.pulls.tells_progress", lambda: True)
    monkeypatch.setattr("tasks.image.pulls._TELL", 0.0)
    seen = Events()
    told = Story([seen])
    command = Command(("cat", str(ROOT / "tests/data/compose-pull.txt")))
    with output.on_stage(told), told.step("pull"), pulls_told():
        Runner().run(command)

    moved = [event for event in seen.events if isinstance(event, BytesMoved)]
    assert len(moved) > 5
    assert (moved[-1].moved, moved[-1].total) == (94_400_000, 94_400_000)
    assert [event.result for event in seen.events if isinstance(event, StepFinished)] == ["94.4 MB"]
    assert sum(isinstance(event, LinePrinted) for event in seen.events) == len(COMPOSE)


def test_without_a_story_a_pull_prints_as_it_does_by_itself() -> None:
    with pulls_told():
        assert output.current_stage() is None


@pytest.mark.parametrize(
    ("lines", "moved"),
    [
        ([], (0, 0)),
        (["1.4: Pulling from shop/web", "Digest: sha256:1", "Status: Image is up to date"], (0, 0)),
        (["3f2a5d9c8b7e: Pulling fs layer", "3f2a5d9c8b7e: Waiting"], (0, 0)),
        (["3f2a5d9c8b7e: Downloading [==>      ]  1.2MB/3.4MB"], (1_200_000, 3_400_000)),
        (["3f2a5d9c8b7e: Downloading [==>      ]  1.2MB/3.4MB", "0f2a5d9c8b7e: Downloading [>  ]  512B/1.5kB"],
         (1_200_512, 3_401_500)),
        (["3f2a5d9c8b7e: Downloading [==>      ]  1.2MB/3.4MB", "3f2a5d9c8b7e: Verifying Checksum"],
         (3_400_000, 3_400_000)),
        (["3f2a5d9c8b7e: Downloading [==>      ]  1.2MB/3.4MB", "3f2a5d9c8b7e: Extracting [>   ]  32kB/3.4MB"],
         (3_400_000, 3_400_000)),
        (["3f2a5d9c8b7e: Already exists"], (0, 0)),
    ],
)  # fmt: skip
def test_layers_are_added_up(lines: list[str], moved: tuple[int, int]) -> None:
    assert moved_bytes(lines) == moved


def test_a_command_that_writes_to_a_terminal_is_in_its_file_without_escape_sequences(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    script = r"test -t 1 && printf '\033[1A\033[2K\rone\r\033[1Btwo\n'; echo three >&2; exit 4"
    with Runner().in_parallel() as children:
        number = children.start(Command(("sh", "-c", script)), log, terminal=True)
        while children.ended(number) is None or "three" not in log.read_text("utf-8"):
            pass
    assert children.ended(number) == 4
    assert log.read_text("utf-8").splitlines() == ["one", "two", "three"]
