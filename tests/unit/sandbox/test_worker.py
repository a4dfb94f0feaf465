"""How a process that does a part of a task ends: always with a document, unless it was stopped."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.host.forwarding import FORWARDED
from tasks.model.errors import RefusedError, SlipwayError
from tasks.sandbox.worker import as_worker


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Give this process its own reactions to signals back."""
    earlier = {number: signal.getsignal(number) for number in FORWARDED}
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


def failed(error: SlipwayError) -> dict[str, Any]:
    return {"failed": error.message}


def test_a_worker_writes_what_it_has_found(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.json"

    assert as_worker(target, lambda: {"found": 1}, failed) == 0
    assert json.loads(target.read_text()) == {"found": 1}


@pytest.mark.parametrize(("hint", "said"), [("start it", "no engine\n  hint: start it\n"), ("", "no engine\n")])
def test_an_error_of_a_worker_is_told_and_becomes_its_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hint: str, said: str
) -> None:
    def work() -> dict[str, Any]:
        raise RefusedError("no engine", hint)

    assert as_worker(tmp_path / "result.json", work, failed) == 0
    assert json.loads((tmp_path / "result.json").read_text()) == {"failed": "no engine"}
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", FORWARDED)
def test_a_worker_that_is_stopped_writes_nothing(tmp_path: Path, number: signal.Signals) -> None:
    def work() -> dict[str, Any]:
        os.kill(os.getpid(), number)
        return {"found": 1}

    assert as_worker(tmp_path / "result.json", work, failed) == 128 + number
    assert list(tmp_path.iterdir()) == []
