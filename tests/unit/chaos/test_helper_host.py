"""Faults of the whole host: whose rules are taken out again, and which process is the engine.

That an engine comes back, and that a registry is away for it, is proven on an engine (tests/e2e/test_remote.py).
"""

import importlib
import os
import subprocess
from types import ModuleType

import pytest
from support import ROOT


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The part of the program that is about the host."""
    monkeypatch.syspath_prepend(str(ROOT / "docker_project" / "chaos" / "helper"))
    return importlib.import_module("host_fault")


class Filter:
    """A packet filter of two chains, which lists its rules as iptables does."""

    def __init__(self) -> None:
        self.rules: dict[str, list[list[str]]] = {"iptables": [["OUTPUT", "-j", "DOCKER"]], "ip6tables": []}

    def __call__(self, program: str, verb: str, *words: str) -> "subprocess.CompletedProcess[str]":
        rules, rule = self.rules[program], list(words)
        code, said = 0, ""
        if verb == "-S":
            listed = (one for one in rules if one[0] == words[0])
            said = "".join(f"-A {subprocess.list2cmdline(one)}\n" for one in listed)
        elif verb == "-I":
            rules.insert(0, rule)
        elif rule not in rules:
            code = 1
        elif verb == "-D":
            rules.remove(rule)
        return subprocess.CompletedProcess(words, code, said, "")


def test_the_rules_of_a_registry_are_found_by_their_mark_whatever_its_address_is_by_then(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = Filter()
    monkeypatch.setattr(program, "_filtered", packets)
    away = program.RegistryAway(["127.0.0.1:5000", "[::1]:5000"], "shop")
    away.begin()
    assert [rule[0] for rule in packets.rules["iptables"]] == ["FORWARD", "OUTPUT", "OUTPUT"]
    assert len(packets.rules["ip6tables"]) == 2
    assert "--ctorigdstport" in packets.rules["iptables"][0] and "5000" in packets.rules["iptables"][0]
    program.RegistryAway(["other.invalid:443"], "other").end()
    assert len(packets.rules["iptables"]) == 3, "those of another project stay"
    program.RegistryAway([], "shop").end()
    assert packets.rules == {"iptables": [["OUTPUT", "-j", "DOCKER"]], "ip6tables": []}


def test_registries_without_an_address_are_away_already(program: ModuleType) -> None:
    with pytest.raises(program.FaultError, match=r"no registry has an address: nowhere\.invalid:443"):
        program.RegistryAway(["nowhere.invalid:443"], "shop").begin()


def test_a_process_that_has_ended_does_not_run_though_nobody_has_asked_for_its_end(program: ModuleType) -> None:
    assert program._runs(os.getpid())
    ended = subprocess.Popen(["true"])
    assert program._until(lambda: not program._runs(ended.pid), 20), "it is a zombie"
    ended.wait()
    assert not program._runs(ended.pid)


MOUNTS = """30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
32 30 0:28 /docker/a1 /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate"""


@pytest.mark.parametrize(
    ("line", "directory"),
    [
        ("1:name=systemd:/system.slice/docker.service", "/sys/fs/cgroup/systemd/system.slice/docker.service"),
        ("4:cpu,cpuacct:/docker/a1", "/sys/fs/cgroup/cpu,cpuacct"),
        ("4:cpuacct,cpu:/docker/a1/inner", "/sys/fs/cgroup/cpu,cpuacct/inner"),
        ("0::/system.slice", "/sys/fs/cgroup/unified/system.slice"),
    ],
)
def test_a_control_group_is_where_the_engine_finds_it(program: ModuleType, line: str, directory: str) -> None:
    assert str(program.group_of(line, MOUNTS)) == directory


def test_a_control_group_that_is_not_mounted_is_none_that_a_container_could_end(program: ModuleType) -> None:
    assert program.group_of("4:cpu,cpuacct:/docker/other", MOUNTS) is None
