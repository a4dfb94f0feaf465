"""How often a Go vulnerability database elsewhere is asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.host import code_scans, go_database
from tasks.host.project import Project
from tasks.host.reports import Run
from tasks.plan.code_scan import Database


class _Asked(Project):
    """A project of which only the profile's SCAN_GO_DB is looked at."""

    def __init__(self) -> None:
        self.profile: Any = SimpleNamespace(text=lambda _: "https://vuln.example.com")


def test_one_scan_asks_once_for_the_date(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(url: str) -> bytes:
        asked.append(url)
        return b'{"modified": "2026-11-01T00:00:00Z"}'

    monkeypatch.setattr(go_database, "_get", answer)
    project, run = _Asked(), Run("1", tmp_path)

    assert project.go_database.date == project.go_database.date == "2026-11-01T00:00:00Z"
    code_scans.hand_over(project, run)
    assert code_scans.handed_over(_Asked(), run) == project.go_database
    assert len(asked) == 1


def test_one_that_does_not_answer_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(url: str) -> bytes:
        asked.append(url)
        raise TimeoutError("timed out")

    monkeypatch.setattr(go_database, "_get", answer)
    project, run = _Asked(), Run("1", tmp_path)

    code_scans.hand_over(project, run)
    found = code_scans.handed_over(_Asked(), run)
    assert found.missing.endswith("timed out")
    assert len(asked) == 1


def test_a_scan_that_nothing_was_handed_to_asks_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(go_database, "_get", lambda _: b'{"modified": "x"}')
    assert code_scans.handed_over(_Asked(), Run("1", tmp_path)) == Database(date="x")
