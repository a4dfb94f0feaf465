"""Every key of a Compose service belongs to exactly one aspect, so that none is dropped silently."""

import re
from collections import Counter
from typing import Any

import pytest
from outside import source
from support import ROOT

from tasks.kube.plan.translate import aspects, translate

# The keys of a service by the schema of the Compose specification, in groups of aspects that are made together. A group
# is not looked at while none of its aspects is there; with the first one, all of its keys are expected.
_SECTIONS = re.findall(
    r"\[(\w+)\]\n([^\[]+)", (ROOT / "tests" / "data" / "compose-service-keys.txt").read_text(encoding="utf-8")
)
GROUPS = {name: frozenset(keys.split()) for name, keys in _SECTIONS}
KEYS = frozenset[str]().union(*GROUPS.values())
# What a key that is no text may say.
VALUES: dict[str, Any] = {
    "blkio_config": {"weight": 300},
    "build": {"context": "."},
    "cap_add": ["CHOWN"],
    "cap_drop": ["CHOWN"],
    "cpu_period": 100_000,
    "cpus": 0.5,
    "credential_spec": {"file": "spec.json"},
    "deploy.endpoint_mode": "dnsrr",
    "deploy.resources": {"limits": {"cpus": 1}},
    "develop": {"watch": []},
    "device_cgroup_rules": ["c 1:3 mr"],
    "devices": [{"source": "/dev/fuse", "target": "/dev/fuse", "permissions": "rwm"}],
    "expose": ["80"],
    "extends": {"service": "base"},
    "external_links": ["cache"],
    "gpus": [{"count": 1}],
    "group_add": ["1000"],
    "image": "registry.example.com/web:1",
    "ipc": "host",
    "links": ["db:mysql"],
    "models": {"llm": None},
    "network_mode": "none",
    "networks": {"front": None},
    "oom_kill_disable": True,
    "pid": "host",
    "platform": "linux/amd64",
    "ports": [{"target": 80, "published": "80"}],
    "privileged": True,
    "provider": {"type": "cloud"},
    "read_only": True,
    "runtime": "runsc",
    "security_opt": ["no-new-privileges:true"],
    "storage_opt": {"size": "1G"},
    "sysctls": {"net.core.somaxconn": "1024"},
    "ulimits": {"nofile": 1024},
    "use_api_socket": True,
}


def claimed() -> Counter[str]:
    """Return how many aspects account for each key."""
    return Counter(key for aspect in aspects() for key in aspect.keys)


def test_no_key_belongs_to_two_aspects() -> None:
    assert {key: number for key, number in claimed().items() if number > 1} == {}


def test_every_key_belongs_to_an_aspect() -> None:
    known = claimed()
    waiting = {key for group in GROUPS.values() if not known.keys() & group for key in group}
    assert not GROUPS["outside"] & waiting
    assert KEYS - known.keys() == waiting


def test_an_aspect_accounts_only_for_keys_that_there_are() -> None:
    assert claimed().keys() - KEYS == set()
    assert len(KEYS) == sum(len(group) for group in GROUPS.values())


def _said(key: str) -> dict[str, Any]:
    """Return a service that says something under a key, as Compose prints it."""
    value: Any = VALUES.get(key, "1")
    for name in reversed(key.split(".")):
        value = {name: value}
    return dict(value)


@pytest.mark.parametrize("key", sorted(GROUPS["outside"]))
def test_a_key_that_is_there_is_accounted_for(key: str) -> None:
    found = translate(source({"web": _said(key), "db": {}}, networks={"front": {}}))
    told = [outcome for outcome in found.outcomes if f"{outcome.key}.".startswith(f"services.web.{key}.")]
    assert told
    assert all(outcome.into or outcome.reason for outcome in told)
    assert all(outcome.hint for outcome in told if outcome.kind == "refused")


def test_a_key_that_nobody_knows_is_refused() -> None:
    found = translate(source({"web": {"teleport": True}}))
    assert [outcome.kind for outcome in found.outcomes if outcome.key == "services.web.teleport"] == ["refused"]
