"""The GitOps agent of an environment on a cluster: the same words, and its memory is there as well."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.forge import Repository

from .cluster import Cluster, Namespace
from .shop import Shop, made

TAKES = 120
_SICK = {"test": ["CMD", "false"], "interval": "1s", "retries": 2, "start_period": "2s"}


@pytest.fixture
def author(cluster: Cluster, namespace: Namespace, tmp_path: Path) -> Shop:
    """The checkout of whoever pushes."""
    cluster.load_app("1")
    return made(tmp_path / "shop", namespace)


@pytest.fixture
def repository(author: Shop, tmp_path: Path) -> Repository:
    return Repository(tmp_path, author.project_dir)


def agent_of(author: Shop, repository: Repository, home: Path) -> Shop:
    """Return the checkout of an agent, which follows the repository."""
    subprocess.run(("git", "clone", "--quiet", str(repository.bare), str(home)), check=True)
    settings = {
        "GITOPS_REPOSITORY": repository.bare,
        "GITOPS_ALLOWED_SIGNERS": repository.signers,
        "GITOPS_DIR": home.parent / "state",
        "GITOPS_HEAL": "heal",
        "DEPLOY_NICE": "0",
    }
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    (home / "envs" / "prod.local.env").write_text(text)
    return replace(author, project_dir=home, envs_dir=home / "envs")


def test_an_agent_deploys_signed_commits_heals_and_stops_where_a_person_acts(
    author: Shop, repository: Repository, tmp_path: Path
) -> None:
    first = repository.push_all("v1")
    agent = agent_of(author, repository, tmp_path / "agent")
    once = ("gitops.once", "--env", "prod")
    done = agent.json(*once)
    assert (done["action"], done["outcome"], done["commit"]) == ("deploy", "deployed", first)
    assert agent.answers() == {"1"}
    assert agent.json(*once)["action"] == "synced"
    [release] = agent.json("deploy.history", "--env", "prod")["releases"]
    assert release["operator"].startswith("gitops@") and release["commit"] == first

    author.write("2")
    repository.push_all("v2", signed=False)
    assert "it is not signed" in agent.json(*once, code=3)["reason"]
    assert agent.answers() == {"1"}

    # One that gets never ready goes back, and is not tried again.
    author.profile(HEALTH_TIMEOUT="10s")
    author.write("3", healthcheck=_SICK)
    bad = repository.push_all("v3")
    failed = agent.json(*once, code=4)
    assert (failed["outcome"], failed["commit"]) == ("rolled-back", bad)
    assert agent.answers() == {"1"}
    again = agent.json(*once, code=3)
    assert again["action"] == "failed" and "rolled-back at" in again["reason"]
    # Nor by an agent that remembers nothing.
    author.place.kubectl("delete", "configmap", "shop-gitops-memory")
    assert agent.json(*once, code=3)["action"] == "failed"

    author.write("4")
    good = repository.push_all("v4")
    assert agent.json(*once)["commit"] == good
    assert agent.answers() == {"4"}

    author.place.kubectl("delete", "deployment", "app")
    healed = agent.json(*once)
    assert (healed["action"], healed["outcome"]) == ("heal", "deployed") and healed["drift"]
    assert agent.answers() == {"4"}

    agent.inv("deploy.rollback", "--env", "prod", "--yes")
    waits = agent.json(*once)
    assert waits["action"] == "wait" and "(back to release" in waits["reason"]
    assert agent.answers() == {"1"}

    agent.inv("deploy.down", "--env", "prod", "--yes")
    waits = agent.json(*once)
    assert (waits["action"], waits["reason"]) == ("wait", "shop was taken down")
    assert agent.place.get("deployments") == []
