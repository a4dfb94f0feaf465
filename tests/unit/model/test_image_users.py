"""Which numbers a USER of an image means."""

import pytest

from tasks.model.engine.image_users import RunsAs, groups, runs_as, users

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n# a remark\npostgres:x:70:71::/var/lib/postgresql:/sbin/nologin\nbroken:x:a:b\n"
)
GROUP = "root:x:0:\npostgres:x:71:\nweb:x:33:postgres\n"


def test_a_user_has_a_number_and_a_group() -> None:
    assert users(PASSWD) == {"root": (0, 0), "postgres": (70, 71)}


def test_a_group_has_a_number() -> None:
    assert groups(GROUP) == {"root": 0, "postgres": 71, "web": 33}


@pytest.mark.parametrize(
    ("user", "meant"),
    [
        ("", RunsAs(0, 0)),
        ("postgres", RunsAs(70, 71)),
        ("postgres:web", RunsAs(70, 33)),
        ("70", RunsAs(70, 71)),
        ("1000", RunsAs(1000, 0)),
        ("65532:65532", RunsAs(65532, 65532)),
        ("postgres:1234", RunsAs(70, 1234)),
        ("nobody", RunsAs(None, None)),
        ("postgres:nogroup", RunsAs(70, None)),
    ],
)
def test_a_user_means_numbers(user: str, meant: RunsAs) -> None:
    assert runs_as(user, users(PASSWD), groups(GROUP)) == meant
