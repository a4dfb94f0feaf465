"""What an agent tells monitoring, and that Prometheus can read it."""

import shutil
import subprocess

import pytest

from tasks.gitops.plan import agent_metrics, decision
from tasks.gitops.plan.agent_metrics import STATES, AgentReport, state
from tasks.gitops.plan.memory import Attempt, Memory

LABELS = {"project": "shop", "environment": "prod"}
OWN = 'project="shop",environment="prod"'
COMMIT = "c" * 40


def attempt(outcome: str) -> Attempt:
    return Attempt(COMMIT, outcome, "2026-12-01T00:00:10Z", 4, "a reason")


@pytest.mark.parametrize(
    ("action", "ended", "suspended", "expected"),
    [
        (decision.SYNCED, None, False, "synced"),
        (decision.DEPLOY, "deployed", False, "synced"),
        (decision.HEAL, "unchanged", False, "synced"),
        (decision.DEPLOY, "rolled-back", False, "failed"),
        (decision.DEPLOY, "paused", False, "failed"),
        (decision.DEPLOY, "refused", False, "refused"),
        (decision.DEPLOY, None, False, "deploying"),
        (decision.FAILED, None, False, "failed"),
        (decision.REFUSE, None, False, "refused"),
        (decision.DRIFT, None, False, "drifted"),
        (decision.WAIT, None, False, "waiting"),
        (decision.WAIT, None, True, "suspended"),
        (decision.DEPLOY, "deployed", True, "synced"),  # it was told so while it deployed
    ],
)
def test_the_state_after_a_look(action: str, ended: str | None, suspended: bool, expected: str) -> None:
    assert state(action, attempt(ended) if ended else None, suspended) == expected


def test_an_agent_tells_when_it_looked_what_it_does_and_how_its_last_deploy_ended() -> None:
    text = agent_metrics.text(LABELS, AgentReport("failed", 1000.5, 60.0, 2, 1, attempt("rolled-back")))
    lines = [line for line in text.splitlines() if not line.startswith("#")]

    assert f"slipway_gitops_last_look_timestamp_seconds{{{OWN}}} 1000.5" in lines
    assert f"slipway_gitops_interval_seconds{{{OWN}}} 60" in lines
    assert f'slipway_gitops_state{{{OWN},state="failed"}} 1' in lines
    assert f'slipway_gitops_state{{{OWN},state="synced"}} 0' in lines
    assert f"slipway_gitops_suspended{{{OWN}}} 0" in lines
    assert f"slipway_gitops_drift{{{OWN}}} 2" in lines
    assert f"slipway_gitops_heals{{{OWN}}} 1" in lines
    assert f'slipway_gitops_commit_info{{{OWN},commit="{COMMIT}",outcome="rolled-back"}} 1' in lines
    assert f'slipway_gitops_outcome{{{OWN},outcome="rolled-back"}} 1' in lines
    assert f"slipway_gitops_last_deploy_timestamp_seconds{{{OWN}}} 1796083210" in lines


def test_one_state_is_1_and_before_the_first_deploy_nothing_is_said_of_one() -> None:
    for name in STATES:
        text = agent_metrics.text(LABELS, AgentReport(name, 1.0, 60.0))
        found = [line for line in text.splitlines() if line.startswith("slipway_gitops_state{") and line.endswith(" 1")]
        assert found == [f'slipway_gitops_state{{{OWN},state="{name}"}} 1']
        assert f"slipway_gitops_suspended{{{OWN}}} {int(name == 'suspended')}\n" in text
        assert "commit_info" not in text and "_outcome" not in text


def test_heals_count_from_a_time_on() -> None:
    memory = Memory(heals=("2026-12-01T00:00:09Z", "2026-12-01T00:00:10Z", "2026-12-01T00:00:11Z"))
    assert agent_metrics.heals(memory, 1796083210.0) == 2


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_reads_it() -> None:
    text = agent_metrics.text(LABELS, AgentReport("synced", 1796083210.0, 60.0, 0, 0, attempt("deployed")))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
