"""The story of a deploy on a real engine: on a terminal that changes its size, interrupted, and as JSON."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from tests.terminal import session

from .lean import CRASHES, NEVER_READY, Lean
from .support import ROOT

_TERMINAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "", "NO_COLOR": ""}


def test_a_rollout_is_a_line_for_each_operation_whatever_the_terminal(lean: Lean, tmp_path: Path) -> None:
    lean.version("two")
    env = lean.environment(**_TERMINAL, SLIPWAY_REPORTS_DIR=str(tmp_path))
    with session(lean.command("deploy.dev"), env, columns=100, lines=30) as terminal:
        terminal.sees("build app")
        terminal.resize(40, 20)
        terminal.until(lambda: any(" healthy " in line for line in terminal.emulator.text()))
        terminal.resize(90, 30)
        assert terminal.end() == 0
    lines = terminal.emulator.text()
    done = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  ✓ ")]
    for name in ("build app", "run migrate", "create app-", "start app-", "watch app-", "remove app-", "record"):
        assert sum(line.startswith(name) for line in done) == 1, (name, lines)
    assert not any("Container" in line or "#1" in line for line in lines), "what Compose and BuildKit print is logged"
    end = "\n".join(lines[-20:])
    assert f"deployed {lean.project} as release " in end
    assert "back      inv deploy.rollback --env dev (to release " in end
    (log,) = tmp_path.glob("*/deploy.log")
    text = log.read_text("utf-8")
    assert f"Container {lean.project}-app-" in text
    assert "exporting to image" in text
    assert lean.answer() == "two"


def test_an_interrupted_wait_says_what_was_answered_last_and_leaves_the_terminal_as_it_was(lean: Lean) -> None:
    lean.version("two", NEVER_READY)
    env = lean.environment(**_TERMINAL, HEALTH_TIMEOUT="60s")
    with session(lean.command("deploy.dev"), env, columns=40) as terminal:
        before = terminal.modes()
        terminal.sees("last answer: exit code 7", 60)
        assert any(" of 60 s" in line for line in terminal.emulator.screen())
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.modes() == before
    assert "\x1b[?" not in terminal.raw
    text = "".join(terminal.emulator.text())
    assert "the earlier release serves" in text
    assert lean.answer() == lean.now


def test_the_events_of_a_failed_deploy_are_what_the_schema_says(lean: Lean) -> None:
    lean.version("two", "echo no database at port 5432; " + CRASHES)
    result = lean.inv("deploy.dev", "--json", "--log-format", "json", code=4)
    assert json.loads(result.stdout)["outcome"] == "rolled-back"
    events = [json.loads(line) for line in result.stderr.splitlines()]
    validator = Draft202012Validator(json.loads((ROOT / "docs/schemas/event-v1.json").read_text("utf-8")))
    assert [error.message for event in events for error in validator.iter_errors(event)] == []
    kinds = [event["event"] for event in events]
    failed = next(event for event in events if event["event"] == "container-failed")
    assert "no database at port 5432" in failed["lines"]
    bad = next(event for event in events if event["event"] == "step-finished" and event["outcome"] == "failed")
    assert kinds.index("container-failed") < events.index(bad), "its last words come at once"
    assert bad["name"].endswith(" healthy")
    assert [event["level"] for event in events[-2:]] == ["error", "error"]
