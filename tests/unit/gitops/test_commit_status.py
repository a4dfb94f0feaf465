"""Requests of the APIs of GitHub, GitLab and Gitea, as their documentation has them."""

import pytest

from tasks.gitops.plan.commit_status import CommitStatus, StatusServer, description, request, server, told_already
from tasks.gitops.plan.repository import RepositoryPlace, place, shown
from tasks.model.errors import InputError

COMMIT = "a" * 40


def status(state: str = "success") -> CommitStatus:
    return CommitStatus(COMMIT, "prod", state, "deployed, release 4")


def test_github() -> None:
    made = request(StatusServer("github", "https://api.github.com", "ann/shop"), status("failure"))
    assert made.url == f"https://api.github.com/repos/ann/shop/statuses/{COMMIT}"
    assert made.document == {"state": "failure", "context": "slipway/prod", "description": "deployed, release 4"}
    assert (made.header, made.prefix) == ("Authorization", "Bearer ")


def test_gitea() -> None:
    made = request(StatusServer("gitea", "https://git.example.com/api/v1", "ann/shop"), status("pending"))
    assert made.url == f"https://git.example.com/api/v1/repos/ann/shop/statuses/{COMMIT}"
    assert made.document == {"state": "pending", "context": "slipway/prod", "description": "deployed, release 4"}
    assert (made.header, made.prefix) == ("Authorization", "token ")


@pytest.mark.parametrize(("state", "name"), [("pending", "running"), ("success", "success"), ("failure", "failed")])
def test_gitlab(state: str, name: str) -> None:
    made = request(StatusServer("gitlab", "https://gitlab.com/api/v4", "group/sub/shop"), status(state))
    assert made.url == f"https://gitlab.com/api/v4/projects/group%2Fsub%2Fshop/statuses/{COMMIT}"
    assert made.document == {"state": name, "name": "slipway/prod", "description": "deployed, release 4"}
    assert (made.header, made.prefix) == ("PRIVATE-TOKEN", "")


def test_gitlab_takes_a_state_only_once() -> None:
    said = 'HTTP status 400 {"message":"Cannot transition status via :run from :running"}'
    assert told_already(StatusServer("gitlab", "", ""), said)
    assert not told_already(StatusServer("github", "", ""), said)
    assert not told_already(StatusServer("gitlab", "", ""), "HTTP status 401")


def test_a_description_is_one_short_line() -> None:
    assert description("a\n  b") == "a b"
    assert len(description("x" * 1000)) == 140


@pytest.mark.parametrize(
    ("address", "kind", "api"),
    [
        ("git@github.com:ann/shop.git", "github", "https://api.github.com"),
        ("https://github.com/ann/shop", "github", "https://api.github.com"),
        ("https://ghe.example.com/ann/shop.git", "github", "https://ghe.example.com/api/v3"),
        ("ssh://git@gitlab.example.com:2222/ann/shop.git", "gitlab", "https://gitlab.example.com/api/v4"),
        ("http://gitea.lan:3000/ann/shop", "gitea", "http://gitea.lan:3000/api/v1"),
    ],
)
def test_the_api_and_the_path_are_those_of_the_repository(address: str, kind: str, api: str) -> None:
    assert server(kind, "", "", place(address)) == StatusServer(kind, api, "ann/shop")


def test_what_the_profile_says_wins() -> None:
    where = server("gitlab", "https://x.example.com/api/v4/", "/other/shop/", place("git@y:ann/shop.git"))
    assert where == StatusServer("gitlab", "https://x.example.com/api/v4", "other/shop")


def test_nothing_is_told_where_nobody_listens() -> None:
    assert server("none", "", "", None) is None


def test_a_directory_has_no_api() -> None:
    assert place("/srv/git/shop.git") is None and place("file:///srv/git/shop.git") is None
    with pytest.raises(InputError, match="GITOPS_STATUS_API is not set"):
        server("gitea", "", "ann/shop", None)


def test_a_password_in_an_address_is_not_shown() -> None:
    assert shown("https://ann:s3cret@git.example.com/ann/shop.git") == "https://git.example.com/ann/shop.git"
    assert place("https://ann:s3cret@git.example.com:8443/ann/shop.git") == RepositoryPlace(
        "git.example.com:8443", "ann/shop"
    )
    assert shown("git@github.com:ann/shop.git") == "git@github.com:ann/shop.git"
