"""What Prometheus makes of the rules for objectives: promtool accepts them, and they fire when errors are spent."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.model.stack.telemetry.metrics import Metrics
from tasks.monitor.plan import own_names, rules

ROOT = Path(__file__).parents[2]
SLO = ROOT / "tests" / "data" / "slo"
SERVICES = ROOT / "docker_project" / "monitoring" / "prometheus" / "rules" / "services.yml"
PROMTOOL = shutil.which("promtool") or ""
pytestmark = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
# A service whose histogram and label have names of their own breaks: the usual alert fires.
BROKEN = """
rule_files: [services.yml, own-names.yml]
group_eval_order: [services-shop_seconds-code, services]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'up{project="shop", service="web", job="web", instance="web:1"}', values: '1x40'}
      - {series: 'shop_seconds_count{project="shop", service="web", job="web", instance="web:1", code="200"}', values: '0+30x40'}
      - {series: 'shop_seconds_count{project="shop", service="web", job="web", instance="web:1", code="500"}', values: '_x8 30+30x30'}
    promql_expr_test:
      - {expr: 'service:http_server_errors:ratio1m', eval_time: 1m45s, exp_samples: [{labels: 'service:http_server_errors:ratio1m{project="shop", service="web"}', value: 0}]}
      - {expr: 'ALERTS{alertname="ServiceErrors", service="web", alertstate="firing"}', eval_time: 2m, exp_samples: [{labels: 'ALERTS{alertname="ServiceErrors", alertstate="firing", project="shop", service="web", severity="page"}', value: 1}]}
"""  # noqa: E501


def promtool(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run promtool; it says what is wrong on either stream."""
    argv = [PROMTOOL, *map(str, words)]
    return subprocess.run(argv, text=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("path", sorted(SLO.glob("*.rules.yml")), ids=lambda path: path.stem)
def test_prometheus_accepts_the_rules_for_objectives(path: Path) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", path)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(SLO.glob("*.test.yml")), ids=lambda path: path.stem)
def test_errors_that_are_spent_too_quickly_fire(path: Path) -> None:
    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout
    assert "SUCCESS" in done.stdout


def test_a_service_with_names_of_its_own_fires_the_usual_alert(tmp_path: Path) -> None:
    usual = rules.parse({"services": yaml.safe_load(SERVICES.read_text(encoding="utf-8"))})
    text = own_names.rules(usual, [Metrics(9464, duration="shop_seconds", status="code")])
    shutil.copy(SERVICES, tmp_path)
    (tmp_path / "own-names.yml").write_text(text, encoding="utf-8")
    (tmp_path / "test.yml").write_text(BROKEN, encoding="utf-8")

    for words in (
        ("check", "rules", "--lint-fatal", tmp_path / "own-names.yml"),
        ("test", "rules", tmp_path / "test.yml"),
    ):
        done = promtool(*words)
        assert done.returncode == 0, done.stdout
