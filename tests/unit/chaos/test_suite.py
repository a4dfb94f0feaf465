"""test.chaos: which experiments run, and those of the sample."""

from itertools import pairwise
from pathlib import Path

import pytest
from fake_project import FakeProject
from fakes import World
from support import ROOT

from tasks.chaos import suite
from tasks.chaos.experiment import is_about_deploys, is_about_host, library
from tasks.chaos.plan.experiment import check_faults, ours, read, words
from tasks.host.project import model
from tasks.host.reports import Run
from tasks.model.suite import SKIPPED
from tests.e2e.alerts import quick

SAMPLE = library(ROOT / "docker_project")
ENVIRONMENT = {"SLIPWAY_ENV": "test", "CHAOS_ADDRESS_NGINX": "172.18.0.3", "COMPOSE_PROJECT_NAME": "shop"} | {
    "CHAOS_COMPOSE_FILE": "docker-compose.yml", "CHAOS_BACKUPS": "backups/shop",
}  # fmt: skip
RULES = ROOT / "docker_project" / "monitoring" / "prometheus" / "rules"


def test_a_project_without_experiments_skips_them_and_starts_nothing(tmp_path: Path) -> None:
    project = FakeProject(World(), tmp_path)
    [result] = suite._results(project, Run("1", tmp_path), {})
    assert (result.outcome, "chaos/*.yaml" in result.reason) == (SKIPPED, True)
    assert project.world.asked == []


def test_the_helper_is_no_experiment() -> None:
    assert "helper" not in SAMPLE and len(SAMPLE) >= 5


def test_experiments_about_deploys_say_so() -> None:
    assert {name for name, path in SAMPLE.items() if is_about_deploys(path)} >= {
        *("backup-database-paused", "deploy-database-slow", "migration-database-cut", "rollback-under-loss"),
    }


def test_what_the_whole_host_feels_is_skipped_unless_it_is_meant(tmp_path: Path) -> None:
    assert [name for name, path in SAMPLE.items() if is_about_host(path)] == ["engine-restarted"]
    project = FakeProject(World(), tmp_path)
    [result] = suite._results(project, Run("1", tmp_path), {"engine-restarted": SAMPLE["engine-restarted"]})
    assert (result.outcome, "--allow-host" in result.reason) == (SKIPPED, True)
    assert project.world.asked == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "extensions: [deploys]", "extensions: {name: slipway, during-deploy: true}"]
)
def test_what_is_no_experiment_says_nothing_about_deploys(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert not is_about_deploys(tmp_path / "a.yaml")
    assert not is_about_host(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_the_experiments_of_the_sample_could_be_run(name: str) -> None:
    experiment = read(model(SAMPLE[name].read_text(encoding="utf-8")), name, ENVIRONMENT)
    check_faults(experiment, "test", ("app", "database", "migrate", "nginx"), name)
    during = [activity for activity in experiment.method if activity["type"] == "probe"]
    assert experiment.probes and during and all("tolerance" in activity for activity in during)
    assert [activity["name"] for activity in experiment.rollbacks] == ["end it"]


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_an_experiment_that_names_an_alert_lets_its_fault_last_until_that_fires(name: str) -> None:
    experiment = read(model(SAMPLE[name].read_text(encoding="utf-8")), name, ENVIRONMENT)
    if not experiment.alert:
        return
    assert experiment.alert in {alert for alert, _ in quick.alerts(RULES)} | {"SLOBurnRate"}
    faults = [words(one["provider"]) for one in map(experiment.lasting("30m").filled, experiment.method)
              if "chaos.inject" in ours(one)]  # fmt: skip
    assert faults and all(("--for", "30m") in pairwise(argv) for argv in faults)
    assert {"ServiceErrors", "ServiceReplicasMissing", "NginxDown"} <= {
        read(model(path.read_text(encoding="utf-8")), one, ENVIRONMENT).alert for one, path in SAMPLE.items()
    }
