"""What a hook is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.deploy import hooks
from tasks.host import output
from tasks.model.command import Command


def test_a_reason_reaches_a_hook_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tmp_path / "on-failure"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    ran: list[Command] = []
    project: Any = SimpleNamespace(
        settings=SimpleNamespace(hooks_dir=tmp_path, root=tmp_path),
        profile=SimpleNamespace(environment="dev", duration=lambda _: 1.0),
        stack=SimpleNamespace(project="shop"),
        version=SimpleNamespace(text="1.0.0", commit="c"),
        runner=SimpleNamespace(run=ran.append),
    )
    monkeypatch.setattr(output, "_masked", [lambda text: text.replace("hunter2", "***")])
    hooks.failed(project, "failed", "up web: login with hunter2 failed")
    assert ran[0].env["SLIPWAY_REASON"] == "up web: login with *** failed"
