"""What Prometheus makes of the rules: promtool checks them, and evaluates them in tests of their own."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.monitor.plan import dashboards

MONITORING = Path(__file__).parents[2] / "docker_project" / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
DASHBOARDS = MONITORING / "grafana" / "dashboards"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
PROMTOOL = shutil.which("promtool") or ""
pytestmark = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")


def promtool(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run promtool; it says what is wrong on either stream."""
    argv = [PROMTOOL, *map(str, words)]
    return subprocess.run(argv, text=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_prometheus_accepts_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted((PROMETHEUS / "rules").glob("*.yml")))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_resolve_and_are_quiet_as_their_tests_say(path: Path) -> None:
    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout
    assert "SUCCESS" in done.stdout


def test_a_test_that_expects_something_else_fails(tmp_path: Path) -> None:
    """Or what is above would show nothing."""
    shutil.copytree(PROMETHEUS / "rules", tmp_path / "rules")
    text = (PROMETHEUS / "tests" / "nginx.yml").read_text(encoding="utf-8")
    path = tmp_path / "tests" / "nginx.yml"
    path.parent.mkdir()
    path.write_text(text.replace("'1x4 0x4 1x20'", "'1x28'"), encoding="utf-8")

    done = promtool("test", "rules", path)
    assert done.returncode != 0
    assert "NginxDown" in done.stdout


def test_prometheus_accepts_what_panels_ask(tmp_path: Path) -> None:
    boards = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}
    asked = dashboards.queries(boards)
    rules = [{"record": f"panel:{number}", "expr": query.expression} for number, query in enumerate(asked)]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")

    done = promtool("check", "rules", "--lint=none", path)
    assert done.returncode == 0, done.stdout
    assert f"{len(asked)} rules found" in done.stdout
