"""In whose name a deploy is, and which lock it belongs to, when an agent starts it."""

import pytest

from tasks.host import lock
from tasks.model.lock import AGENT, BACKUP, DEPLOY, container_name


def test_what_an_agent_starts_is_done_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = lock.operator()
    assert mine != "gitops"
    for key, value in lock.by_agent("gitops").items():
        monkeypatch.setenv(key, value)
    assert lock.operator() == "gitops"
    assert lock.user_at_host().startswith("gitops@")


def test_a_deploy_does_not_belong_to_the_lock_of_its_agent() -> None:
    """Else the next agent would end a deploy that goes back after the death of its agent."""
    assert lock.by_agent("gitops")[lock._MARK] == ""


def test_an_agent_excludes_agents_only() -> None:
    assert len({container_name("shop", scope) for scope in (DEPLOY, BACKUP, AGENT)}) == 3
