"""Where no fault may be made."""

import pytest
from support import profile

from tasks.chaos.plan import safety
from tasks.model.errors import InputError, RefusedError
from tasks.model.lock import HeldLock, Lock


def test_the_environment_has_to_be_named() -> None:
    with pytest.raises(InputError, match=r"chaos\.inject: which environment\?"):
        safety.refuse_unnamed("", "chaos.inject")
    safety.refuse_unnamed("test", "chaos.inject")


def test_production_is_refused_by_its_name_and_by_what_its_profile_says() -> None:
    with pytest.raises(RefusedError, match="prod is production: no fault"):
        safety.refuse_production(profile("prod"), allowed=False)
    with pytest.raises(RefusedError, match=r"shop is production \(CONFIRM_DEPLOY=true\)"):
        safety.refuse_production(profile("shop", CONFIRM_DEPLOY="true"), allowed=False)
    safety.refuse_production(profile("prod"), allowed=True)
    safety.refuse_production(profile("staging"), allowed=False)


def test_a_cluster_is_refused() -> None:
    with pytest.raises(RefusedError, match="dev is on Kubernetes"):
        safety.refuse_cluster(profile(ORCHESTRATOR="kubernetes", KUBE_CONTEXT="a", KUBE_NAMESPACE="b"))


def test_a_deploy_is_not_disturbed_unless_that_is_meant() -> None:
    held = HeldLock(Lock("shop", "ada", "host", 7, "deploy"), "token", 0.0, 0.0, "2026-11-29T10:00:00Z")
    with pytest.raises(RefusedError, match="shop is locked by ada@host since"):
        safety.refuse_during_deploy(held, "", allowed=False)
    safety.refuse_during_deploy(held, "that process is gone", allowed=False)
    safety.refuse_during_deploy(held, "", allowed=True)
    safety.refuse_during_deploy(None, "", allowed=False)
