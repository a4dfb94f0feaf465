"""Whether a database runs that is to be dumped."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from support import container, stack

from tasks.db.backup import Database
from tasks.host.project import Project
from tasks.model.errors import RefusedError


def database(*containers: Any) -> Database:
    shop = SimpleNamespace(
        stack=stack({"db": {"image": "postgres:17", "x-slipway": {"database": "postgres"}}}),
        clustered=False,
        engine=SimpleNamespace(containers=lambda project: containers if project == "shop" else ()),
        profile=SimpleNamespace(environment="test"),
    )
    return Database(cast(Project, shop))


def test_a_database_runs_when_a_container_of_it_does() -> None:
    database(container("shop-db-1", state="exited"), container("shop-db-2")).require_running()


@pytest.mark.parametrize(
    ("fields", "said", "hint"),
    [
        ({"state": "paused"}, "is paused", "inv chaos.stop --env test ends a fault; else docker unpause shop-db-1"),
        ({"state": "exited"}, "is not running", "start it: inv deploy.test"),
        ({"oneoff": True}, "is not running", "start it: inv deploy.test"),
    ],
)
def test_a_database_that_is_paused_is_no_database_that_was_stopped(
    fields: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        database(container("shop-db-1", **fields)).require_running()
    assert (refused.value.message, refused.value.hint) == (f"service db of shop {said}", hint)
