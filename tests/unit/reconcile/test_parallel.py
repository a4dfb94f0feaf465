"""Operations that are carried out in parallel: in threads, with real commands, signals and failures."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.host.engine.watch import WaitEndedError, Watch
from tasks.host.forwarding import signals_ignored
from tasks.host.runner import Runner
from tasks.model.command import Command
from tasks.model.errors import CommandError, DeployError, StoppedError
from tasks.reconcile import parallel
from tasks.reconcile.parallel import Parallel, Steps
from tasks.reconcile.plan.operation import Operation

Work = Callable[[Any, Operation], None]


class Engine:
    """An engine that is never called."""

    def __init__(self) -> None:
        connection: Any = SimpleNamespace(api=None, answering=None)
        self.watch = Watch(connection, lambda _: (), lambda _: None)


class Fake:
    """A project with a real runner; ``made`` are the projects of other threads."""

    def __init__(self) -> None:
        self.runner, self.engine, self.made = Runner(), Engine(), list[Fake]()

    def apart(self) -> "Fake":
        own = Fake()
        own.runner = self.runner
        self.made.append(own)
        return own


def operations(*after: Sequence[int]) -> tuple[Operation, ...]:
    """Return operations with the given ``after``; each is a step of its own."""
    return tuple(
        Operation("start", f"s{number}", group=f"step {number}", number=number, after=tuple(before))
        for number, before in enumerate(after, 1)
    )


def carried_out(listed: Sequence[Operation], work: Work, fake: Fake | None = None) -> list[dict[str, Any]]:
    """Carry operations out and return the steps of the report."""
    steps: list[dict[str, Any]] = []
    Parallel(fake or Fake(), listed, work, Steps(steps, listed)).carry_out()  # type: ignore[arg-type]
    return steps


def sh(script: str) -> Command:
    return Command(("sh", "-c", script))


def test_independent_operations_run_at_once_up_to_a_limit() -> None:
    now, most, lock, threads = [0], [0], threading.Lock(), set()
    together = threading.Barrier(parallel.AT_ONCE)

    def work(_: Any, operation: Operation) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            threads.add(threading.current_thread().name)
        if operation.number <= parallel.AT_ONCE:
            together.wait(10)
        with lock:
            now[0] -= 1

    steps = carried_out(operations(*[()] * 9), work)
    assert most == [parallel.AT_ONCE]
    assert "MainThread" not in threads
    assert [step["outcome"] for step in steps] == ["done"] * 9


def test_an_operation_waits_for_those_that_it_comes_after() -> None:
    ended: list[int] = []
    listed = operations((), (), (1,), (1, 2), (3, 4))

    def work(_: Any, operation: Operation) -> None:
        assert set(operation.after) <= set(ended)
        time.sleep(0.05 / operation.number)
        ended.append(operation.number)

    carried_out(listed, work)
    assert sorted(ended) == [1, 2, 3, 4, 5]
    assert ended[-1] == 5


def test_a_single_operation_runs_in_the_main_thread_with_the_main_project() -> None:
    fake, seen = Fake(), []
    carried_out(operations((), (1,), (2,)), lambda own, _: seen.append((own, threading.current_thread())), fake)
    assert seen == [(fake, threading.main_thread())] * 3
    assert fake.made == []


def test_threads_have_connections_of_their_own_and_use_them_again() -> None:
    fake, used = Fake(), []
    carried_out(operations((), (), (1,), (2,), (3,), (4,)), lambda own, _: used.append(own), fake)
    assert 2 <= len(fake.made) <= parallel.AT_ONCE
    assert fake not in used[:2]


def test_after_a_failure_nothing_is_started_and_waits_are_cancelled() -> None:
    fake, begun = Fake(), []
    waits = threading.Event()

    def work(own: Any, operation: Operation) -> None:
        begun.append(operation.number)
        if operation.number == 1:
            waits.wait(10)
            raise DeployError("it is sick")
        waits.set()
        own.engine.watch.pause(60)

    steps: list[dict[str, Any]] = []
    listed = operations((), (), (1,), (2,))
    started = time.monotonic()
    with pytest.raises(DeployError, match="it is sick"):
        Parallel(fake, listed, work, Steps(steps, listed)).carry_out()  # type: ignore[arg-type]
    assert time.monotonic() - started < 50
    assert sorted(begun) == [1, 2]
    assert [(step["name"], step["outcome"]) for step in steps] == [("step 2", "stopped"), ("step 1", "failed")]


def test_a_command_that_runs_when_another_fails_comes_to_its_end(tmp_path: Any) -> None:
    def work(own: Any, operation: Operation) -> None:
        if operation.number == 1:
            own.runner.run(sh(f"touch {tmp_path}/begun; sleep 0.5; touch {tmp_path}/ended"))
        else:
            while not (tmp_path / "begun").exists():
                time.sleep(0.01)
            own.runner.run(sh("exit 3"))

    with pytest.raises(CommandError) as caught:
        carried_out(operations((), ()), work)
    assert caught.value.exit_code == 3
    assert (tmp_path / "ended").exists()


def test_a_command_that_does_not_end_after_a_failure_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(parallel, "_FINISH", 0.3)

    def work(own: Any, operation: Operation) -> None:
        if operation.number == 1:
            own.runner.run(sh(f"touch {tmp_path}/begun; exec sleep 60"))
        else:
            while not (tmp_path / "begun").exists():
                time.sleep(0.01)
            raise DeployError("it is sick")

    started = time.monotonic()
    with pytest.raises(DeployError, match="it is sick"):
        carried_out(operations((), ()), work)
    assert time.monotonic() - started < 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_commands_of_all_threads_and_begins_nothing_new(
    number: signal.Signals, tmp_path: Any
) -> None:
    begun = []

    def work(own: Any, operation: Operation) -> None:
        begun.append(operation.number)
        number = operation.number
        script = f"trap 'echo {number} >> {tmp_path}/heard; exit 1' INT TERM; touch {tmp_path}/{number}; "
        own.runner.run(sh(script + "while :; do sleep 0.05; done"))

    def strike() -> None:
        while not all((tmp_path / name).exists() for name in "12"):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(StoppedError, match=number.name):
        carried_out(operations((), (), (1,), (2,)), work)
    thread.join()
    assert sorted((tmp_path / "heard").read_text().split()) == ["1", "2"]
    assert sorted(begun) == [1, 2]


def test_a_signal_that_is_kept_back_ends_nothing() -> None:
    def work(own: Any, operation: Operation) -> None:
        if operation.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        own.runner.run(sh("sleep 0.2"))

    with signals_ignored("going back"):
        steps = carried_out(operations((), ()), work)
    assert [step["outcome"] for step in steps] == ["done", "done"]


def test_a_step_lasts_as_long_as_any_of_its_operations_is_worked_on() -> None:
    listed = tuple(
        Operation("start", "s", group=group, number=number)
        for number, group in enumerate(("up a b", "up a b", "other", "up a b"), 1)
    )
    steps = carried_out(listed, lambda _, operation: time.sleep(2.0))
    assert [step["name"] for step in steps] == ["up a b", "other", "up a b"], "what stands apart in the plan is another"
    assert all(2.0 <= step["seconds"] < 3.9 for step in steps), steps


def test_a_cancelled_wait_is_not_started_again() -> None:
    engine = Engine()
    engine.watch.give_up()
    with pytest.raises(WaitEndedError):
        engine.watch.pause(60)
