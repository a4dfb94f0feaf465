"""How often a remote Go vulnerability database is requested."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.host.project import Project
from tasks.host.reports import Run
from tasks.scan import code, go_db
from tasks.scan.plan.code import GoDatabase


class _ProfileOnly(Project):
    """A project of which only the profile's SCAN_GO_DB is looked at."""

    def __init__(self) -> None:
        self.profile: Any = SimpleNamespace(text=lambda _: "https://vuln.example.com")


def test_a_scan_requests_the_date_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requests: list[str] = []

    def answer(url: str) -> bytes:
        requests.append(url)
        return b'{"modified": "2026-11-01T00:00:00Z"}'

    monkeypatch.setattr(go_db, "_get", answer)
    project, run = _ProfileOnly(), Run("1", tmp_path)

    assert project.once(go_db.find).date == project.once(go_db.find).date == "2026-11-01T00:00:00Z"
    code.hand_over(project, run)
    assert code.handed_over(_ProfileOnly(), run) == project.once(go_db.find)
    assert len(requests) == 1


def test_a_database_that_does_not_answer_is_not_requested_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    requests: list[str] = []

    def answer(url: str) -> bytes:
        requests.append(url)
        raise TimeoutError("timed out")

    monkeypatch.setattr(go_db, "_get", answer)
    project, run = _ProfileOnly(), Run("1", tmp_path)

    code.hand_over(project, run)
    database = code.handed_over(_ProfileOnly(), run)
    assert database.missing.endswith("timed out")
    assert len(requests) == 1


def test_without_a_handover_the_scan_requests_the_date_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(go_db, "_get", lambda _: b'{"modified": "x"}')
    assert code.handed_over(_ProfileOnly(), Run("1", tmp_path)) == GoDatabase(date="x")
