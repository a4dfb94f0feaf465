"""Fixtures of all unit tests."""

import pytest

from tasks.host import output


@pytest.fixture(autouse=True)
def nothing_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reset what an earlier test had masked, and how it spoke, which a process keeps until its end."""
    monkeypatch.setattr(output, "_masked", [])
    monkeypatch.setattr(output, "_manner", [])
    monkeypatch.setattr(output, "_stages", [])
