"""Compose is asked for hashes of other spellings only where one may be what a container was created from."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine, World
from support import container, profile, stack

from tasks.reconcile import desire
from tasks.reconcile.plan.observed import State

SERVICES: dict[str, Any] = {
    "web": {"image": "shop", "environment": {"LEVEL": "warn", "PRICE": "1$$", "ANY": None}},
    "job": {"image": "shop", "environment": {"LEVEL": "warn"}, "x-slipway": {"job": "migrate"}},
}
FIRST = {"web": "first-web", "job": "first-job"}


def hashes(
    monkeypatch: pytest.MonkeyPatch, has: Mapping[str, Mapping[str, str]], first: Mapping[str, str] | None = None
) -> tuple[dict[str, frozenset[str]], bool]:
    """Return the hashes by service, and whether Compose was asked again; ``has``: environments by container name.

    A container whose name ends with 1 was created from another configuration than that of the first hash.
    """
    containers = [
        container(name, config_hash="other" if name.endswith("1") else FIRST[name.split("-")[1]]) for name in has
    ]
    world = World(containers, raws={f"id-{name}": {"environment": env} for name, env in has.items()})
    project = SimpleNamespace(engine=FakeEngine(world), stack=stack(SERVICES), profile=profile(), cwd="/srv")
    asked = []

    def ask(_project: Any, models: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        asked.extend(models)
        return [{"web": "second-web"}]

    monkeypatch.setattr(desire, "_asked", ask)
    sources = desire.Sources(project, tuple(containers), {}, None, State())  # type: ignore[arg-type]
    found = desire._hashes(sources, {"services": SERVICES}, FIRST if first is None else first, {})
    return found, bool(asked)


ALIKE = {"LEVEL": "warn", "PRICE": "1$", "PATH": "/bin"}


@pytest.mark.parametrize(
    ("has", "asks"),
    [
        ({"shop-web-2": {}}, False),
        ({"shop-web-1": {**ALIKE, "LEVEL": "info"}}, False),
        ({"shop-web-1": {"PRICE": "1$"}}, False),
        ({"shop-web-1": {**ALIKE, "PRICE": "1$$"}}, False),
        ({"shop-web-1": ALIKE}, True),
        ({"shop-web-1": {}}, True),
        ({"shop-web-1": {**ALIKE, "LEVEL": "info"}, "shop-web-11": ALIKE}, True),
        ({"shop-web-1": {**ALIKE, "LEVEL": "info"}, "shop-web-11": {**ALIKE, "LEVEL": "error"}}, False),
        ({"shop-web-1": {**ALIKE, "LEVEL": "info"}, "shop-job-2": {"LEVEL": "warn"}}, False),
        ({"shop-job-1": {"LEVEL": "info"}}, True),
    ],
    ids=[
        "as the first hash says", "another value", "no value", "a value that is escaped", "the same environment",
        "a container that is gone", "one of two", "both of two", "a job that is as it was", "a job",
    ],
)  # fmt: skip
def test_compose_is_asked_again_where_another_spelling_may_be_meant(
    monkeypatch: pytest.MonkeyPatch, has: Mapping[str, Mapping[str, str]], asks: bool
) -> None:
    found, asked = hashes(monkeypatch, has)

    assert asked is asks
    assert found == {"web": {"first-web", *(["second-web"] if asks else [])}, "job": {"first-job"}}


def test_without_first_hashes_compose_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hashes(monkeypatch, {"shop-web-1": {**ALIKE, "LEVEL": "info"}}, {}) == ({"web": {"second-web"}}, True)
