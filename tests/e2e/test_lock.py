"""The deploy lock on a real engine: one lock holder at a time, whatever is killed; none goes on after losing it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .starting import Started
from .support import Checkout, docker, until

HOLDER = Path(__file__).with_name("holder.py")
# Ready as soon as the test says so.
GATED = """
services:
  web:
    image: IMAGE
    command: [sleep, infinity]
    init: true
    volumes: ["./gate:/gate:ro"]
    healthcheck: {test: [CMD, test, -e, /gate/open], interval: 300ms, retries: 1000, timeout: 2s}
"""
IDLE = "services: {web: {image: IMAGE, command: [sleep, infinity], init: true}}"
Small = Callable[..., Checkout]


class Holder:
    """A process that takes the lock (``holder.py``), on this host or as if on another one."""

    def __init__(self, checkout: Checkout, wait: float = 0, host: str = "", **extra: str) -> None:
        command = [sys.executable, str(HOLDER), str(wait)]
        if host:  # a name, and processes, of its own
            script = f'hostname {host} && exec "$0" "$@"'
            command = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", script, *command]
        self.process = Started(
            command, env=checkout.environment(SLIPWAY_ENV="dev", **extra), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.token = self.said = ""

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def acquired(self) -> "Holder":
        word, _, self.token = self.line().partition(" ")
        assert word == "acquired"
        return self

    def verify(self) -> str:
        assert self.process.stdin
        self.process.stdin.write("verify\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> tuple[int, str]:
        if self.process.stdout and not self.process.stdout.closed:
            self.said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, self.said

    def kill(self) -> "Holder":
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=30)
        return self


@pytest.fixture
def checkout(small: Small) -> Checkout:
    return small(IDLE)


@pytest.fixture
def holder(checkout: Checkout) -> Iterator[Callable[..., Holder]]:
    made: list[Holder] = []

    def make(wait: float = 0, host: str = "", **extra: str) -> Holder:
        made.append(Holder(checkout, wait, host, **extra))
        return made[-1]

    yield make
    for started in made:
        started.end()


def locks(checkout: Checkout) -> list[str]:
    label = f"label=slipway.lock={checkout.projects[0]}"
    return docker("ps", "-aq", "--no-trunc", "--filter", label).split()


def root_only() -> None:
    if os.getuid():
        pytest.skip("only root can have another host's name")


def test_of_ten_that_find_an_expired_lock_exactly_one_takes_over(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    root_only()
    for _ in range(3):
        dead = holder(host="runner", LOCK_TTL="2s").acquired()
        dead.kill()
        assert locks(checkout) == [dead.token]
        time.sleep(2.1)  # it has expired
        ten = [holder() for _ in range(10)]
        lines = [process.line() for process in ten]
        winners = [process for process, line in zip(ten, lines, strict=True) if line.startswith("acquired ")]
        assert len(winners) == 1
        assert [f"acquired {token}" for token in locks(checkout)] == [
            line for line in lines if line.startswith("acquired ")
        ]
        assert sum(" is locked by " in line for line in lines) == 9
        ended = [process.end() for process in ten]
        assert sorted(code for code, _ in ended) == [0, *[3] * 9]
        assert sum("took over the lock of" in said for _, said in ended) <= 1
        assert locks(checkout) == []


def test_a_killed_lock_holder_on_another_host_blocks_for_its_time_to_live_only(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    root_only()
    holder(host="runner", LOCK_TTL="40s").acquired().kill()
    refused = checkout.inv("deploy.dev", code=3).stderr
    assert "@runner since " in refused
    assert "(test)" in refused
    said = checkout.inv("deploy.dev", "--wait", "5m").stderr
    assert said.count("is locked by") == 1
    assert "took over the lock of" in said
    assert "it was not renewed for" in said
    assert locks(checkout) == []


def test_a_lock_is_renewed_for_as_long_as_it_is_held(checkout: Checkout, holder: Callable[..., Holder]) -> None:
    root_only()
    first = holder(host="runner", LOCK_TTL="20s").acquired()
    time.sleep(24.0)  # it would have expired
    assert " is locked by " in holder().line()
    assert first.verify() == "verified"
    assert locks(checkout) == [first.token]


def test_a_holder_whose_lock_was_broken_is_refused_what_needs_it(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    first = holder().acquired()
    assert first.verify() == "verified"
    assert "not confirmed" in checkout.inv("deploy.unlock", code=3).stderr
    checkout.inv("deploy.unlock", "--yes")
    second = holder().acquired()
    assert "is no longer ours" in first.verify()
    assert first.end()[0] == 4
    assert locks(checkout) == [second.token]


def test_a_holder_that_was_asleep_meets_that_another_took_over(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    first = holder(LOCK_TTL="2s").acquired()
    first.process.send_signal(signal.SIGSTOP)
    second = holder(wait=60).acquired()
    first.process.send_signal(signal.SIGCONT)
    assert "is no longer ours" in first.verify()
    assert first.end()[0] == 4
    assert second.verify() == "verified"
    assert locks(checkout) == [second.token]


def test_a_holder_that_was_asleep_and_not_replaced_goes_on(checkout: Checkout, holder: Callable[..., Holder]) -> None:
    first = holder(LOCK_TTL="2s").acquired()
    first.process.send_signal(signal.SIGSTOP)
    time.sleep(2.1)  # it has expired
    first.process.send_signal(signal.SIGCONT)
    assert first.verify() == "verified"


def test_a_waiting_process_gets_the_lock_when_it_is_free_and_gives_up_after_its_time(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    first = holder().acquired()
    impatient, patient = holder(wait=1), holder(wait=120)
    assert "waited 1.0 s for it" in impatient.line()
    assert impatient.end()[0] == 3
    assert first.end()[0] == 0
    assert patient.acquired().end()[0] == 0


@pytest.mark.parametrize("task", ["deploy.dev", "deploy.down", "deploy.rollback", "clean"])
def test_a_wait_that_is_no_duration_is_bad_input(checkout: Checkout, task: str) -> None:
    said = checkout.inv(task, "--wait", "soon", code=2).stderr
    assert "--wait: expected a duration such as 5m, got 'soon'" in said


def tickets(checkout: Checkout) -> list[str]:
    label = f"label=slipway.ticket={checkout.projects[0]}"
    return docker("ps", "-aq", "--no-trunc", "--filter", label).split()


def queued(checkout: Checkout, number: int) -> None:
    until(lambda: len(tickets(checkout)) == number, f"{number} processes wait")


def test_waiting_processes_get_the_lock_in_the_order_in_which_they_came(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    first = holder().acquired()
    waiting = []
    for number in range(1, 5):
        waiting.append(holder(wait=300))
        queued(checkout, number)
    waiting.pop(1).kill()  # the others do not wait for its place in the queue
    first.end()
    for process in waiting:
        token = process.acquired().token
        assert locks(checkout) == [token]
        process.end()
        # A process that has not waited does not get in between.
        assert process is waiting[-1] or not holder().line().startswith("acquired")
    assert [process.end()[0] for process in waiting] == [0, 0, 0]
    assert tickets(checkout) == locks(checkout) == []


def test_a_process_that_died_waiting_on_another_host_delays_the_others_only_for_its_time_to_live(
    checkout: Checkout, holder: Callable[..., Holder]
) -> None:
    root_only()
    first = holder().acquired()
    dead = holder(wait=60, host="runner", LOCK_TTL="10s")  # longer than another one takes to wait as well
    queued(checkout, 1)
    dead.kill()
    second = holder(wait=60)
    queued(checkout, 2)
    first.end()
    assert second.acquired().end()[0] == 0
    assert tickets(checkout) == []


def test_a_process_that_gives_up_waiting_leaves_the_queue(checkout: Checkout, holder: Callable[..., Holder]) -> None:
    holder().acquired()
    for task in ("deploy.dev", "deploy.down"):
        said = checkout.inv(task, "--wait", "1s", code=3).stderr
        assert "waited 1.0 s for it" in said
    assert tickets(checkout) == []


def deploys(checkout: Checkout, number: int, *words: str) -> list["subprocess.Popen[str]"]:
    return [
        Started(
            checkout.command("deploy.dev", *words), env=checkout.environment(HEALTH_TIMEOUT="9m"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(number)
    ]  # fmt: skip


def until_running(checkout: Checkout) -> str:
    """Wait until a container of the project runs; return the filter for the project's containers."""
    label = f"label=com.docker.compose.project={checkout.projects[0]}"
    until(lambda: docker("ps", "-q", "--filter", label), "a container runs", 120)
    return label


def test_of_ten_deploys_at_once_one_works_and_nine_say_who_does(small: Small) -> None:
    checkout = small(GATED)
    gate = checkout.project_dir / "gate"
    gate.mkdir()
    tasks = deploys(checkout, 10)
    until(lambda: sum(task.poll() is not None for task in tasks) == 9, "nine deploys are refused", 240)
    (gate / "open").touch()
    said = [task.communicate(timeout=120)[1] for task in tasks]
    assert sorted(task.returncode for task in tasks) == [0, *[3] * 9]
    refused = [text for task, text in zip(tasks, said, strict=True) if task.returncode == 3]
    assert all(f"{checkout.projects[0]} is locked by " in text for text in refused)
    assert locks(checkout) == []


def test_ten_deploys_that_wait_end_well_in_turn_and_one_of_them_did_the_work(small: Small) -> None:
    checkout = small(GATED)
    (checkout.project_dir / "gate").mkdir()
    (checkout.project_dir / "gate" / "open").touch()
    tasks = deploys(checkout, 10, "--wait", "8m")
    said = [task.communicate(timeout=500)[1] for task in tasks]
    assert [task.returncode for task in tasks] == [0] * 10
    assert sum("deployed " in text for text in said) == 1
    assert sum("nothing to do" in text for text in said) == 9
    assert all(text.count("is locked by") <= 1 for text in said)
    assert len(docker("ps", "-q", "--filter", f"label=com.docker.compose.project={checkout.projects[0]}").split()) == 1
    assert locks(checkout) == []


def test_a_deploy_whose_lock_was_broken_records_nothing_and_undoes_nothing(small: Small) -> None:
    checkout = small(GATED)
    gate = checkout.project_dir / "gate"
    gate.mkdir()
    (task,) = deploys(checkout, 1)
    label = until_running(checkout)
    checkout.inv("deploy.unlock", "--yes")
    (gate / "open").touch()
    said = task.communicate(timeout=120)[1]
    assert task.returncode == 4, said
    assert "is no longer ours" in said
    assert checkout.json("deploy.history")["releases"] == []
    assert len(docker("ps", "-q", "--filter", label).split()) == 1
    checkout.inv("deploy.dev")


def test_what_a_killed_deploy_left_running_is_ended_before_the_next_one_works(small: Small) -> None:
    later = "image: IMAGE, command: [sleep, infinity], init: true, depends_on: {web: {condition: service_healthy}}"
    checkout = small(f"{GATED}  later: {{{later}}}\n")
    gate = checkout.project_dir / "gate"
    gate.mkdir()
    (task,) = deploys(checkout, 1)
    label = until_running(checkout)
    task.kill()
    task.wait()
    left = set(working(checkout))
    assert left
    (following,) = deploys(checkout, 1)
    until(lambda: not left & set(working(checkout)), "what the first one had started has ended", 120)
    (gate / "open").touch()
    _, said = following.communicate(timeout=120)
    task.communicate()
    assert following.returncode == 0, said
    assert "took over the lock of" in said
    assert working(checkout) == []
    assert len(docker("ps", "-q", "--filter", label).split()) == 2


def working(checkout: Checkout) -> list[str]:
    """Return the ids of the processes that work on a project."""
    mark = f"COMPOSE_PROJECT_NAME={checkout.projects[0]}".encode()
    pids = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                pids.append(entry.parent.name)
    return pids
