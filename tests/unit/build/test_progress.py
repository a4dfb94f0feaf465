"""What buildx 0.13 printed, recorded: which image did what, and what is shown of a build that failed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import ROOT

from tasks.build.plan.progress import BuildLog, BuildNews
from tasks.build.telling import told
from tasks.host import output
from tasks.host.story.story import Story
from tasks.model.story.events import Event, LinePrinted, StepAdvanced, StepFinished, StepsPlanned, StepStarted


def recorded(name: str) -> list[str]:
    return (ROOT / "tests/data/bake" / f"{name}.txt").read_text("utf-8").splitlines()


def news(name: str, *images: str) -> tuple[BuildLog, list[BuildNews]]:
    log = BuildLog({image: image for image in images})
    return log, [log.take(line) for line in recorded(name)]


def test_each_line_belongs_to_the_image_whose_step_it_is() -> None:
    log, lines = news("two-images", "a", "b")
    texts = {image: [told.text for told in lines if told.image == image and told.text] for image in ("a", "b")}
    assert "builder 2/3 RUN echo hello a $RANDOM && sleep 1 && printf 'x\\ny\\n' > /out" in texts["a"]
    assert "2/2 RUN echo hello b; sleep 0.5" in texts["b"]
    assert [told.image for told in lines if told.done] == ["b", "a"]
    assert (log.result("a"), log.result("b")) == ("4 steps, 1 from the cache", "1 step, 0 from the cache")
    assert log.failed is None


def test_a_single_image_has_all_lines() -> None:
    log, lines = news("one-image", "a")
    assert {told.image for told in lines} == {"a"}
    assert [told.done for told in lines].count(True) == 1
    assert log.result("a") == "4 steps, 3 from the cache"


def test_a_bake_target_may_be_called_otherwise_than_its_service() -> None:
    log = BuildLog({"shop_web": "shop.web", "b": "b"})
    assert log.take("#7 [shop_web builder 1/2] RUN make") == BuildNews("shop.web", "builder 1/2 RUN make")


def test_of_a_failed_build_the_step_all_that_it_printed_and_the_place_are_shown() -> None:
    log, lines = news("failing", "a", "bad")
    assert log.failed
    assert log.failed.image == "bad"
    assert [told.image for told in lines if told.done] == ["a"]
    shown = log.unfolded()
    assert shown[:3] == [
        '> [bad 2/2] RUN echo hello b; echo "no such thing" >&2; exit 3',
        "hello b",
        "no such thing",
    ]
    assert "Dockerfile.bad:2" in shown
    assert shown[-1].startswith("ERROR: failed to solve: process")
    assert shown.count("no such thing") == 1


def test_what_a_step_printed_is_bounded() -> None:
    log = BuildLog({"a": "a"})
    log.take("#7 [builder 1/2] RUN make")
    for number in range(1000):
        log.take(f"#7 {number}.5 line {number}")
    log.take("#7 ERROR: process did not complete")
    assert len(log.unfolded()) == 201
    assert log.unfolded()[-1] == "line 999"


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def take(self, event: Event, now: float, time: str) -> None:
        self.events.append(event)


@contextmanager
def telling(*images: str) -> Iterator[Recorder]:
    recorder = Recorder()
    stage = Story([recorder])
    with output.on_stage(stage), told({image: image for image in images}):
        yield recorder


def feed(name: str) -> None:
    stage = output.current_stage()
    assert stage
    with stage.hearing("docker buildx bake") as hear:
        for line in recorded(name):
            hear(line)


def test_a_build_is_a_step_for_each_image() -> None:
    with telling("a", "b") as recorder:
        feed("two-images")
    planned = [event for event in recorder.events if isinstance(event, StepsPlanned)]
    started = {event.name: event.step for event in recorder.events if isinstance(event, StepStarted)}
    finished = [event for event in recorder.events if isinstance(event, StepFinished)]
    assert [dict((name, step) for step, name in event.steps) for event in planned] == [started]
    assert [(event.name, event.outcome, event.result) for event in finished] == [
        ("build b", "done", "1 step, 0 from the cache"),
        ("build a", "done", "4 steps, 1 from the cache"),
    ]
    for number in started.values():
        texts = [event.text for event in recorder.events if isinstance(event, StepAdvanced) and event.step == number]
        assert len(texts) > 3
        assert not any(first == second for first, second in itertools.pairwise(texts))
    lines = [event.line for event in recorder.events if isinstance(event, LinePrinted)]
    assert lines == [line for line in recorded("two-images") if line]


def test_of_a_failed_build_the_image_that_failed_is_unfolded_and_the_others_were_stopped() -> None:
    with pytest.raises(RuntimeError), telling("bad", "a", "c") as recorder:
        feed("failing")
        stage = output.current_stage()
        assert stage
        with stage.hearing("") as hear:
            hear("#20 [c 1/2] RUN make")
        raise RuntimeError
    finished = [event for event in recorder.events if isinstance(event, StepFinished)]
    assert {event.name: event.outcome for event in finished} == {
        "build a": "done",
        "build bad": "failed",
        "build c": "stopped",
    }
    assert [event.output[1:3] for event in finished if event.output] == [("hello b", "no such thing")]
