"""Which process a mark names, and whether it has ended; UNKNOWN rather than a guess."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.host import machine, processes
from tasks.host.processes import ALIVE, GONE, UNKNOWN


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def marked(pid: int, **parts: str) -> str:
    boot, namespace, started = processes.identity(pid).split("/")
    machine = parts.get("machine", processes.mark().partition(":")[0])
    identity = f"{parts.get('boot', boot)}/{parts.get('namespace', namespace)}/{parts.get('started', started)}"
    return f"{machine}:{parts.get('pid', str(pid))}:{identity}"


def test_a_process_is_alive_until_it_has_ended(child: "subprocess.Popen[bytes]") -> None:
    mark = marked(child.pid)
    assert processes.state(mark) == processes.state(processes.mark()) == ALIVE
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.state(mark) == GONE  # not waited for yet
    child.wait()
    assert processes.state(mark) == GONE


def test_a_later_process_with_the_same_id_is_not_taken_for_it() -> None:
    assert processes.state(marked(os.getpid(), started="1")) == GONE


def test_a_process_of_another_machine_is_not_judged() -> None:
    assert processes.state(marked(os.getpid(), boot="other", machine="elsewhere/77")) == UNKNOWN
    assert processes.state(marked(os.getpid(), boot="other", namespace="1")) == UNKNOWN


def test_a_process_of_before_this_machine_started_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_namespace", lambda: processes._MACHINE)
    monkeypatch.setattr(processes, "_machine", lambda: "here/1")
    mark = f"here/1:1:earlier/{processes._MACHINE}/5"
    assert processes.state(mark) == GONE
    assert processes.state(mark.replace("here/1", "here/2")) == UNKNOWN
    monkeypatch.setattr(processes, "_machine", lambda: "here")
    assert processes.state(mark.replace("here/1", "here")) == UNKNOWN  # a host name alone proves nothing


def test_a_process_of_another_container_is_not_judged_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = marked(os.getpid(), namespace="4026539999")
    monkeypatch.setattr(processes, "_namespace", lambda: "4026538888")
    assert processes.state(mark) == UNKNOWN


def test_a_namespace_number_that_the_next_container_reuses_proves_no_life(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def entry(number: str, started: int) -> Path:
        directory = tmp_path / number
        (directory / "ns").mkdir(parents=True)
        (directory / "status").write_text(f"Name:\tx\nNSpid:\t{number}\t1\n")
        (directory / "stat").write_text(f"{number} (a b) S {' '.join(['0'] * 18)} {started} 0\n")
        (directory / "ns" / "pid").write_text("")
        (directory / "ns" / "time").symlink_to("/proc/self/ns/time")
        return directory

    process = entry("70", started=500)
    namespace = str((process / "ns" / "pid").stat().st_ino)
    assert processes._may_be(process, namespace, "1", "500")
    assert not processes._may_be(process, namespace, "1", "499")  # the process 1 of the next container
    assert not processes._may_be(process, namespace, "2", "500")
    assert not processes._may_be(process, "1", "1", "500")
    (process / "ns" / "time").unlink()
    (process / "ns" / "time").write_text("")  # its clock has another offset
    assert processes._may_be(process, namespace, "1", "499")
    assert not processes._may_be(tmp_path / "none", namespace, "1", "500")


def test_where_processes_of_others_are_hidden_none_is_called_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_sees_others", lambda: False)
    assert processes.state(marked(os.getpid(), started="1")) == UNKNOWN


def test_in_a_container_nothing_is_known_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_namespace", lambda: "4026538888")
    assert not processes._ended("4026539999", "1", "1")


@pytest.mark.parametrize("mark", ["", "here", "here:12", "here:12:345", "here:x:a/b/c", "here:12:/1/2"])
def test_what_cannot_be_understood_is_not_judged(mark: str) -> None:
    assert processes.state(mark) == UNKNOWN


def test_a_mark_is_shown_as_process_and_machine() -> None:
    assert processes.shown("runner-1/3d12:4711:a/b/c") == "process 4711 on runner-1"
    assert processes.shown("") == "process ? on ?"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces")
def test_a_real_namespace_of_its_own_is_seen_while_it_lives() -> None:
    if processes._namespace() != processes._MACHINE:
        pytest.skip("in a container there is no seeing into others")
    script = (
        "import os; from tasks.host.processes import mark, state\n"
        "print(mark(), state(os.environ['M']), flush=True); input()"
    )
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        env={**os.environ, "M": processes.mark()},
    ) as process:  # fmt: skip
        assert process.stdout and process.stdin
        line = process.stdout.readline()
        if not line:
            pytest.skip("namespaces cannot be made here")
        mark, ours = line.split()
        assert ours == UNKNOWN  # seen from inside
        assert mark.split(":")[1] == "1"
        assert processes.state(mark) == UNKNOWN  # the process 1 of our own namespace is another process
        process.stdin.close()
        process.wait(timeout=10)
    assert processes.state(mark) == GONE


def test_a_thread_gives_way_with_all_that_it_starts_and_never_takes_back() -> None:
    """In a thread of its own: without being root one cannot go back, and the other tests keep their priority."""
    told: list[str] = []

    def give_way() -> None:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        for nice in (min(before + 3, 19), 0):
            machine.give_way(nice)
            told.append(subprocess.run(["nice"], capture_output=True, text=True, check=True).stdout.strip())
        told.append(str(min(before + 3, 19)))

    thread = threading.Thread(target=give_way)
    thread.start()
    thread.join()
    assert told[0] == told[1] == told[2]
    assert os.getpriority(os.PRIO_PROCESS, 0) != int(told[0]) or told[0] == "19"
