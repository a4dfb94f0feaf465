"""The program in the helper container: what it makes it undoes, also when it is killed in between."""

import importlib.util
import json
import socket
import struct
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support import ROOT

FILE = ROOT / "docker_project" / "chaos" / "helper" / "fault.py"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with its mark in a directory of the test, and told to end by nobody."""
    monkeypatch.syspath_prepend(str(FILE.parent))
    found = importlib.util.spec_from_file_location("fault", FILE)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(module, "MARK", tmp_path / "begun")
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    return module


class Filter:
    """A packet filter that knows its rules, and refuses some."""

    def __init__(self, refuses: str = "") -> None:
        self.rules: list[tuple[str, ...]] = []
        self._refuses = refuses

    def __call__(self, program: str, verb: str, *rule: str) -> "subprocess.CompletedProcess[str]":
        known = (program, *rule)
        code = 0
        if verb == "-I" and self._refuses and self._refuses in known:
            return subprocess.CompletedProcess(known, 4, "", "warning\nno such target\n")
        if verb == "-I":
            self.rules.append(known)
        elif known not in self.rules:
            code = 1
        elif verb == "-D":
            self.rules.remove(known)
        return subprocess.CompletedProcess(known, code, "", "")


class Given:
    """A fault that is as a test says."""

    def __init__(self, **raises: BaseException) -> None:
        self.calls: list[str] = []
        self._raises = raises

    def begin(self) -> None:
        self._do("begin")

    def last(self, seconds: float) -> None:
        self._do("last")

    def end(self) -> None:
        self._do("end")

    def _do(self, what: str) -> None:
        self.calls.append(what)
        if what in self._raises:
            raise self._raises[what]


def test_a_cut_is_two_rules_for_each_address_and_none_afterwards(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = Filter()
    monkeypatch.setattr(program, "filtered", packets)
    cut = program.cut(["172.19.0.3", "fd00::3"])
    cut.begin()
    assert packets.rules == [
        ("iptables", "OUTPUT", "-d", "172.19.0.3", "-j", "DROP"),
        ("iptables", "INPUT", "-s", "172.19.0.3", "-j", "DROP"),
        ("ip6tables", "OUTPUT", "-d", "fd00::3", "-j", "DROP"),
        ("ip6tables", "INPUT", "-s", "fd00::3", "-j", "DROP"),
    ]
    cut.end()
    cut.end()
    assert packets.rules == []


def test_without_an_address_everything_is_meant_but_for_what_stays_inside(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = Filter()
    monkeypatch.setattr(program, "filtered", packets)
    program.loss([], 0.25).begin()
    assert {rule[2:5] for rule in packets.rules} == {("!", "-o", "lo"), ("!", "-i", "lo")}
    assert all("0.2500" in rule for rule in packets.rules)


def test_a_rule_that_the_kernel_refuses_is_said_and_the_others_are_taken_away(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packets = Filter(refuses="INPUT")
    monkeypatch.setattr(program, "filtered", packets)
    program.carry_out(program.cut(["172.19.0.3"]), 0)
    assert capsys.readouterr().out == "failed: the packet filter refused: no such target\nover\n"
    assert packets.rules == []


def test_a_fault_lasts_and_is_undone(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    fault = Given()
    program.carry_out(fault, 0)
    assert fault.calls == ["begin", "last", "end"]
    assert capsys.readouterr().out == "in effect\nover\n"


def test_a_fault_that_is_told_to_end_is_undone(program: ModuleType) -> None:
    fault = Given(last=program.Ended())
    program.carry_out(fault, 0)
    assert fault.calls == ["begin", "last", "end"]


def test_after_a_kill_only_what_undoes_the_fault_is_left(program: ModuleType) -> None:
    killed = Given(last=SystemExit())
    with pytest.raises(SystemExit):
        program.carry_out(killed, 0)
    again = Given()
    program.carry_out(again, 0)
    assert again.calls == ["end"]


def test_what_cannot_be_undone_is_no_success(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "fault", lambda _: Given(end=program.FaultError("the engine does not answer")))
    assert program.main(["cut", "--seconds=0"]) == 1
    monkeypatch.setattr(program, "fault", lambda _: Given())
    assert program.main(["cut", "--seconds=0"]) == 0


def test_the_numbers_of_waiting_packets_are_read_from_what_the_kernel_says(program: ModuleType) -> None:
    def packet(number: int) -> bytes:
        header = struct.pack("=HH", 11, 1) + struct.pack(">I", number) + bytes(3) + bytes(1)
        body = struct.pack(">BBH", socket.AF_INET, 0, program.QUEUE) + struct.pack("=HH", 8, 5) + bytes(4) + header
        return struct.pack("=IHHII", 16 + len(body), 3 << 8, 0, 0, 0) + body

    other = struct.pack("=IHHII", 20, 2, 0, 0, 0) + bytes(4)
    assert list(program.queued(packet(7) + other + packet(8))) == [7, 8]
    assert list(program.queued(b"")) == []


class Engine:
    """What a container is, and what the engine was asked for."""

    def __init__(self, **host: Any) -> None:
        self.host, self.updates = host, list[dict[str, int]]()

    def running(self) -> dict[str, Any]:
        return {"HostConfig": self.host}

    def ask(self, method: str, what: str, body: Any = None) -> Any:
        if what.startswith("stats"):
            return {"memory_stats": {"usage": 50 << 20}}
        self.updates.append(body)
        return {}


@pytest.mark.parametrize(
    ("host", "lowered", "undone"),
    [
        ({}, {"CpuPeriod": 100_000, "CpuQuota": 10_000}, {"CpuPeriod": 100_000, "CpuQuota": -1}),
        (
            {"CpuPeriod": 50_000, "CpuQuota": 25_000},
            {"CpuPeriod": 50_000, "CpuQuota": 5_000},
            {"CpuPeriod": 50_000, "CpuQuota": 25_000},
        ),
        ({"NanoCpus": 5 * 10**8}, {"NanoCpus": 10**8}, {"NanoCpus": 5 * 10**8}),
    ],
)
def test_a_processor_limit_is_lowered_and_put_back_by_whoever_comes(
    program: ModuleType, tmp_path: Path, host: dict[str, int], lowered: dict[str, int], undone: dict[str, int]
) -> None:
    engine = Engine(**host)
    program.Cpu(engine, tmp_path / "before", 0.1).begin()
    assert json.loads((tmp_path / "before").read_text()) == undone
    program.Cpu(engine, tmp_path / "before", 0.1).end()
    program.Cpu(engine, tmp_path / "before", 0.1).end()
    assert engine.updates == [lowered, undone]


def test_a_memory_limit_is_what_is_used_and_some_and_never_more_than_before(
    program: ModuleType, tmp_path: Path
) -> None:
    engine = Engine(Memory=128 << 20, MemorySwap=256 << 20)
    program.Memory(engine, tmp_path / "before", 4 << 20).begin()
    program.Memory(engine, tmp_path / "before", 0).end()
    assert engine.updates == [
        {"Memory": 54 << 20, "MemorySwap": 54 << 20},
        {"Memory": 128 << 20, "MemorySwap": 256 << 20},
    ]
    with pytest.raises(program.FaultError, match="no more than what it uses now"):
        program.Memory(Engine(Memory=52 << 20), tmp_path / "before", 4 << 20).begin()


def test_a_disk_is_not_filled_through_a_link_nor_on_the_disk_of_all(program: ModuleType, tmp_path: Path) -> None:
    disk = program.DiskFull(None, "", 0)
    disk._root = lambda: tmp_path
    (tmp_path / "real").mkdir()
    (tmp_path / "volume").symlink_to("real")
    with pytest.raises(program.FaultError, match="a link leads to it"):
        disk.begin()
    (tmp_path / "volume").unlink()
    (tmp_path / "volume").mkdir()
    with pytest.raises(program.FaultError, match="the engine's own disk"):
        disk.begin()
    assert list((tmp_path / "volume").iterdir()) == []
