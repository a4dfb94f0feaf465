"""Stories told by threads, shown on terminals, in pipes and as JSON; with real terminals and signals."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import ROOT

from tasks.host import output
from tasks.host.runner import Runner
from tasks.host.story.screen import Screen
from tasks.host.story.story import Story, current_step, current_story, show_last_words, step
from tasks.host.story.telling import story
from tasks.model.command import Command
from tasks.model.errors import CommandError, StoppedError
from tasks.model.story.events import (
    Event,
    LinePrinted,
    Noted,
    StepFinished,
    StepsPlanned,
    StepStarted,
    StoryBegun,
)
from tasks.model.story.look import Look
from tests.terminal import Emulator, session

Captured = pytest.CaptureFixture[str]
BEGUN = StoryBegun("deploy", "shop", "dev", "1.4.3")


class Recorder:
    """A renderer that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def take(self, event: Event, now: float, time: str) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@contextmanager
def told() -> Iterator[Recorder]:
    """Tell a story to a recorder."""
    recorder = Recorder()
    with output.on_stage(Story([recorder])):
        yield recorder


def project(directory: Path, dry: bool = False) -> Any:
    """Return as much of a project as a story needs."""
    settings = SimpleNamespace(reports_dir=directory / "reports", shown=lambda path: str(path.relative_to(directory)))
    return SimpleNamespace(runner=Runner(dry=dry), settings=settings)


def sh(script: str, **more: Any) -> Command:
    return Command(("sh", "-c", script), **more)


# Events


def test_without_a_story_steps_are_silent(capfd: Captured) -> None:
    with step("build app") as silent:
        silent.wait(3.0)
        silent.hear("a line")
        assert current_step().name == ""
    assert current_story() is None
    assert capfd.readouterr() == ("", "")


def test_a_step_begins_and_ends_and_tells_how() -> None:
    with told() as recorder:
        with step("start app-2") as done:
            done.result = "fine"
        with pytest.raises(CommandError), step("build app") as failing:
            failing.hear("no rule to make target")
            raise CommandError("x", 1)
        with pytest.raises(StoppedError), step("watch app-2"):
            raise StoppedError(2, "stopped by SIGINT")
    assert [(event.name, event.outcome, event.result, event.output) for event in recorder.of(StepFinished)] == [
        ("start app-2", "done", "fine", ()),
        ("build app", "failed", "", ("no rule to make target",)),
        ("watch app-2", "stopped", "", ()),
    ]


def test_what_a_command_prints_belongs_to_the_step_of_its_thread(capfd: Captured) -> None:
    runner = Runner()

    def work(name: str) -> None:
        with step(name):
            runner.run(sh(f"for n in 1 2 3; do echo {name} $n; done"))

    with told() as recorder, runner.together():
        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = {event.step: event.name for event in recorder.of(StepStarted)}
    assert sorted(names.values()) == ["t0", "t1", "t2", "t3"]
    for number, name in names.items():
        lines = [event.line for event in recorder.of(LinePrinted) if event.step == number]
        assert lines == [f"{name} {count}" for count in (1, 2, 3)]
    assert capfd.readouterr() == ("", "")


def test_a_command_of_no_step_is_a_step_of_its_own() -> None:
    with told() as recorder, pytest.raises(CommandError):
        Runner().run(sh("echo so it goes; exit 3"))
    (finished,) = recorder.of(StepFinished)
    assert (finished.name, finished.outcome, finished.output) == (
        "sh echo so it goes; exit 3",
        "failed",
        ("so it goes",),
    )


def test_progress_of_compose_is_not_unfolded() -> None:
    with told() as recorder, pytest.raises(CommandError):
        Runner().run(sh("echo ' Container shop-app-1  Creating'; echo 'port is already allocated'; exit 1"))
    assert recorder.of(StepFinished)[0].output == ("port is already allocated",)


def test_planned_steps_keep_their_numbers() -> None:
    with told() as recorder:
        story_told = current_story()
        assert story_told
        first, second = story_told.plan(["a", "b"])
        with step("a", first), step("c"):
            pass
        with step("b", second):
            pass
    assert recorder.of(StepsPlanned)[0].steps == ((first, "a"), (second, "b"))
    assert {event.name: event.step for event in recorder.of(StepStarted)} == {"a": first, "b": second, "c": second + 1}


def test_secrets_and_control_characters_reach_no_renderer() -> None:
    output.add_mask(lambda text: text.replace("hunter2", "***"))
    with told() as recorder:
        output.note("password hunter2 \x1b[2J")
        with pytest.raises(CommandError), step("login hunter2") as failing:
            failing.hear("with hunter2 \x07")
            raise CommandError("x", 1)
        show_last_words("shop-app-1", "exited", ["hunter2"])
    text = repr(recorder.events)
    assert "hunter2" not in text
    assert "***" in text
    assert "\\x1b" not in text and "\\x07" not in text


def test_the_last_words_of_a_container_are_shown_once() -> None:
    with told() as recorder:
        for lines in (["no database"], ["no database"], ["no network"]):
            show_last_words("shop-app-1", "exited", lines)
    assert [event.lines for event in recorder.events] == [("no database",), ("no network",)]  # type: ignore[union-attr]


def test_a_signal_handler_that_tells_something_waits_for_the_event_before() -> None:
    class Interrupted(Recorder):
        def take(self, event: Event, now: float, time: str) -> None:
            if len(self.events) == 0 and event != Noted("late"):
                output.note("late")  # as a handler would, in the midst of this
                assert self.events == []
            super().take(event, now, time)

    recorder = Interrupted()
    with output.on_stage(Story([recorder])):
        output.note("first")
    assert recorder.events == [Noted("first"), Noted("late")]


# Without a terminal


def tell(directory: Path) -> None:
    """Tell a short story in which a command prints, and one fails."""
    with story(project(directory), BEGUN) as ending:
        with step("start app-1"):
            Runner().run(sh("echo Starting"))
        with pytest.raises(CommandError), step("build app"):
            Runner().run(sh("echo no rule; exit 2"))
        output.note("by the way")
        output.note("look at this", output.WARNING)
        ending.heading = "deployed shop"
        ending.summary = [("version", "1.4.3")]


def test_in_a_pipe_a_story_is_plain_lines_and_its_log_has_everything(capfd: Captured, tmp_path: Path) -> None:
    tell(tmp_path)
    out, err = capfd.readouterr()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert out == ""
    assert "Starting" not in err
    for pattern in (
        f"{stamp} deploy shop · dev · 1.4.3\n",
        rf"{stamp} ✓ start app-1 in \d\.\d s\n",
        rf"{stamp} ✗ build app failed in \d\.\d s\n    no rule\nby the way\nlook at this\n",
        r"deployed shop \(\d\.\d s\)\n  version   1.4.3\n  log       reports/\S+/deploy.log\n$",
    ):
        assert re.search(pattern, err), pattern
    (log,) = tmp_path.glob("reports/*/deploy.log")
    text = log.read_text("utf-8")
    assert re.search(rf"{stamp} start app-1 \| Starting\n", text)
    assert re.search(rf"{stamp} build app \| no rule\n", text)
    assert not (tmp_path / "reports" / "latest").exists()


def test_quiet_leaves_what_went_wrong(capfd: Captured, tmp_path: Path) -> None:
    output.speak(output.QUIET)
    tell(tmp_path)
    output.note("nothing")
    output.note("an error", output.ERROR)
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"\S+ ✗ build app failed in \d\.\d s", lines[0])
    assert lines[1:] == ["    no rule", "look at this", "an error"]


def test_as_json_every_line_is_an_event_of_the_schema(capfd: Captured, tmp_path: Path) -> None:
    output.speak(output.JSON)
    output.note("before")
    tell(tmp_path)
    output.note("an error", output.ERROR)
    validator = Draft202012Validator(json.loads((ROOT / "docs/schemas/event-v1.json").read_text("utf-8")))
    documents = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [error.message for document in documents for error in validator.iter_errors(document)] == []
    assert [document["event"] for document in documents] == [
        "noted", "story-begun", "step-started", "line-printed", "step-finished", "step-started", "line-printed",
        "step-finished", "noted", "noted", "story-ended", "noted",
    ]  # fmt: skip
    assert documents[-2]["summary"][0] == {"name": "version", "value": "1.4.3"}


def test_a_directory_that_cannot_be_written_to_costs_only_the_log(capfd: Captured, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("no directory")
    tell(tmp_path)
    assert "log  " not in capfd.readouterr().err


def test_a_story_in_a_story_is_part_of_it_and_a_dry_run_tells_none(capfd: Captured, tmp_path: Path) -> None:
    with story(project(tmp_path), BEGUN), story(project(tmp_path), BEGUN), step("a"):
        pass
    assert capfd.readouterr().err.count("deploy shop") == 1
    with story(project(tmp_path, dry=True), BEGUN), step("a"):
        pass
    assert capfd.readouterr().err == ""


# On a terminal


class Terminal:
    """A screen on an emulated terminal whose size can be changed."""

    def __init__(self, columns: int = 40, lines: int = 10, reflows: bool = True) -> None:
        self.emulator = Emulator(columns, lines, reflows)
        self.written: list[str] = []
        self.screen = Screen(Look(), self._write, lambda: (self.emulator.columns, self.emulator.lines))

    def _write(self, text: str) -> None:
        self.written.append(text)
        self.emulator.feed(text.replace("\n", "\r\n"))

    def text(self) -> list[str]:
        return self.emulator.text()


def started(terminal: Terminal) -> None:
    terminal.screen.take(Noted("first"), 0.0, "")
    for number, name in ((1, "build app"), (2, "build web")):
        terminal.screen.take(StepStarted(number, name), 0.0, "")
    terminal.screen.tick(0.1)


def test_what_runs_is_updated_in_place_and_what_has_ended_stays() -> None:
    terminal = Terminal()
    started(terminal)
    assert [line[4:13] for line in terminal.text()[1:3]] == ["build app", "build web"]
    terminal.screen.tick(0.2)
    terminal.screen.take(StepFinished(1, "build app", "done", 3.0), 3.0, "")
    terminal.screen.take(Noted("between"), 3.0, "")
    terminal.screen.tick(3.1)
    lines = terminal.text()
    assert [line.strip()[:11] for line in lines] == ["first", "✓ build app", "between", "⠸ build web", ""]
    terminal.screen.close()
    assert terminal.text() == [*lines[:3], ""]


def test_nothing_is_written_when_nothing_changes() -> None:
    terminal = Terminal()
    terminal.screen.take(Noted("first"), 0.0, "")
    before = len(terminal.written)
    for _ in range(20):
        terminal.screen.tick(1.0)
    assert terminal.written[before:] == []


@pytest.mark.parametrize("columns", [20, 33, 40, 41, 120])
def test_a_resize_leaves_no_line_twice(columns: int) -> None:
    terminal = Terminal()
    started(terminal)
    terminal.emulator.resize(columns, 10)
    terminal.screen.tick(0.2)
    terminal.screen.take(StepFinished(1, "build app", "done", 3.0), 0.3, "")
    text = "\n".join(terminal.text())
    assert (text.count("build "), text.count("first")) == (2, 1)
    terminal.screen.close()
    assert "build web" not in "\n".join(terminal.text())


def test_more_lines_than_the_terminal_has_scroll_away_once() -> None:
    terminal = Terminal(lines=5)
    for number in range(1, 30):
        terminal.screen.take(StepStarted(number, f"step {number}."), number, "")
        terminal.screen.tick(number + 0.1)
        if number % 2:
            terminal.screen.take(StepFinished(number, f"step {number}.", "done", 3.0), number, "")
    terminal.screen.close()
    text = "\n".join(terminal.text())
    assert [text.count(f"step {number}.") for number in range(1, 30)] == [number % 2 for number in range(1, 30)]


def test_a_question_has_the_terminal_for_itself() -> None:
    terminal = Terminal()
    started(terminal)
    terminal.screen.hold()
    before = terminal.text()
    terminal.screen.tick(0.3)
    assert terminal.text() == before == ["first", ""]
    terminal.screen.release()
    terminal.screen.tick(0.4)
    assert len(terminal.text()) == 4


def test_after_a_stop_the_story_goes_on_below_what_the_shell_wrote() -> None:
    terminal = Terminal()
    started(terminal)
    terminal.emulator.feed("[1]+ Stopped\r\n$ fg\r\n")  # ^Z, a shell, half a minute
    terminal.screen.tick(30.0)
    assert "[1]+ Stopped" in terminal.text()
    assert "$ fg" in terminal.text()


PROGRAM = """
import signal, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from types import SimpleNamespace
from tasks.model.command import Command
from tasks.model.story.events import StoryBegun
from tasks.cli.executor import _fail
from tasks.host import output
from tasks.host.runner import Runner
from tasks.host.story.story import step
from tasks.host.story.telling import story
from invoke.exceptions import Exit
def sh(script):
    return Command(("sh", "-c", script))
directory = Path({directory!r})
settings = SimpleNamespace(reports_dir=directory / "reports", shown=lambda path: str(path.relative_to(directory)))
project = SimpleNamespace(runner=Runner(), settings=settings)
try:
    with story(project, StoryBegun("deploy", "shop", "dev", "1.4.3")) as ending:
        with step("start app-1"):
            Runner().run(sh("echo Starting"))
        with step("app-1 healthy") as waits:
            waits.wait(90.0, "last answer: connection refused · Zoë")
            Runner().run(sh("sleep {seconds}"))
        ending.heading = "deployed shop"
    output.emit("data")
except KeyboardInterrupt:
    output.note("stopped by SIGINT")
    sys.exit(130)
except Exception as error:
    try:
        _fail(error)
    except Exit as end:
        sys.exit(end.code)
"""


def program(directory: Path, seconds: float = 0.5) -> list[str]:
    """Return the argument list of a program that tells a story which waits."""
    file = directory / "program.py"
    file.write_text(PROGRAM.format(root=str(ROOT), directory=str(directory), seconds=seconds))
    return [sys.executable, str(file)]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not re.match("LC_|LANG|NO_COLOR|TERM|SLIPWAY_", key)}
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **more}


def test_on_a_terminal_a_story_is_drawn_and_left_behind_as_lines(tmp_path: Path) -> None:
    with session(program(tmp_path), environment()) as running:
        running.sees("last answer: connection refused")
        assert running.end() == 0
    lines = running.emulator.text()
    assert lines[0] == "deploy shop · dev · 1.4.3"
    assert [line.split()[:3] for line in lines[1:3]] == [["✓", "start", "app-1"], ["✓", "app-1", "healthy"]]
    assert lines[3].startswith("deployed shop (")
    assert lines[-2:] == ["data", ""]
    assert "\x1b[32m" in running.raw


@pytest.mark.parametrize("value", ["1", "yes"])
def test_no_color_takes_the_colours_away_and_nothing_else(tmp_path: Path, value: str) -> None:
    with session(program(tmp_path), environment(NO_COLOR=value)) as running:
        running.sees("connection refused")
        assert running.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*m", running.raw)
    assert "\x1b[K" in running.raw


@pytest.mark.parametrize("terminal", ["dumb", ""])
def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, terminal: str) -> None:
    with session(program(tmp_path), environment(TERM=terminal)) as running:
        assert running.end() == 0
    assert "\x1b" not in running.raw
    assert re.search(r"\dZ … app-1 healthy: waits up to 1 m 30 s, last answer: connection refused", running.raw)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LANG": "POSIX"}, {"LANG": "C"}], ids=str)
def test_a_locale_without_unicode_gets_ascii_only(tmp_path: Path, locale: dict[str, str]) -> None:
    with session(program(tmp_path), {**environment(), **locale}, columns=120) as running:
        running.sees("connection refused - Zo\\xeb")
        assert running.end() == 0
    assert running.raw.isascii()
    assert "  + start app-1" in "\n".join(running.emulator.text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    with session(program(tmp_path, 60), environment(), columns=40) as running:
        before = running.modes()
        running.sees("connection refused")
        running.type("\x03") if number == signal.SIGINT else os.kill(running.pid, number)
        assert running.end() == 128 + number
        assert running.modes() == before
    lines = running.emulator.text()
    assert "-" in next(line for line in lines if "app-1 healthy" in line)
    assert lines[-2] == f"stopped by {number.name}"
    assert not re.search(r"\x1b\[\?", running.raw), "no mode was changed: there is nothing to restore"


def test_a_task_that_is_killed_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with session(program(tmp_path, 60), environment()) as running:
        before = running.modes()
        running.sees("connection refused")
        os.kill(running.pid, signal.SIGKILL)
        running.code = os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1])
        assert running.code == -signal.SIGKILL
        assert running.modes() == before
    assert not re.search(r"\x1b\[\?", running.raw)


def test_a_terminal_that_gets_narrower_and_wider_shows_each_line_once(tmp_path: Path) -> None:
    with session(program(tmp_path, 3), environment()) as running:
        running.sees("connection refused")
        for columns in (60, 40, 100, 30):
            running.resize(columns, 24)
            count = running.raw.count("\x1b[J")
            running.until(lambda count=count: running.raw.count("\x1b[J") > count + 2)  # type: ignore[misc]
            assert "\n".join(running.emulator.screen()).count("healthy") == 1
        assert running.end() == 0


def test_a_reader_of_stdout_that_leaves_and_a_stderr_in_a_file(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w") as err:
        read, write = os.pipe()
        os.close(read)
        pid = os.fork()
        if pid == 0:
            os.dup2(write, 1)
            os.dup2(err.fileno(), 2)
            os.execve(sys.executable, program(tmp_path), environment())
        os.close(write)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status != 0
    text = (tmp_path / "err").read_text()
    assert "deployed shop (" in text
    assert "\x1b" not in text
