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
