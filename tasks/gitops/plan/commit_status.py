"""Commit status: what a server of repositories is told about a commit, as requests of its API.

GitHub: https://docs.github.com/en/rest/commits/statuses · GitLab: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
Gitea: https://docs.gitea.com/api/ (repoCreateStatus)
"""

from collections.abc import Mapping
from urllib.parse import quote

from ...model.errors import InputError
from ...model.record import Record
from .repository import RepositoryPlace

PENDING, SUCCESS, FAILURE = "pending", "success", "failure"
GITHUB, GITLAB, GITEA = "github", "gitlab", "gitea"
_GITLAB = {PENDING: "running", SUCCESS: "success", FAILURE: "failed"}
_WIDTH = 140  # characters that GitHub takes of a description


class StatusServer(Record):
    """Where commit statuses go: the kind of server, the address of its API, and the repository's path on it."""

    kind: str
    api: str
    repository: str


class CommitStatus(Record):
    """What is told about a commit: in which environment, how it is, and why."""

    commit: str
    environment: str
    state: str
    description: str

    @property
    def context(self) -> str:
        """The name under which the server keeps it: one for each environment."""
        return f"slipway/{self.environment}"


class StatusRequest(Record):
    """A POST request: its address and document, the header that has the token, and what stands before the token."""

    url: str
    document: Mapping[str, str]
    header: str
    prefix: str = ""


def server(kind: str, api: str, repository: str, place: RepositoryPlace | None) -> StatusServer | None:
    """Return where statuses go, None for nowhere; raises InputError where the profile does not say enough."""
    if kind == "none":
        return None
    repository = repository.strip("/") or (place.path if place else "")
    api = api or (_api(kind, place) if place else "")
    for key, value in (("GITOPS_STATUS_API", api), ("GITOPS_STATUS_REPOSITORY", repository)):
        if not value:
            raise InputError(
                f"GITOPS_STATUS={kind}: GITOPS_REPOSITORY is on no server, and {key} is not set",
                f"set {key}, or GITOPS_STATUS=none",
            )
    return StatusServer(kind, api.rstrip("/"), repository)


def _api(kind: str, place: RepositoryPlace) -> str:
    if kind == GITHUB:
        return "https://api.github.com" if place.host == "github.com" else f"{place.scheme}://{place.host}/api/v3"
    return f"{place.scheme}://{place.host}/api/{'v4' if kind == GITLAB else 'v1'}"


def description(text: str) -> str:
    """Return a text as a server takes it: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def request(where: StatusServer, status: CommitStatus) -> StatusRequest:
    """Return the request that tells a server a status."""
    about = description(status.description)
    if where.kind == GITLAB:
        url = f"{where.api}/projects/{quote(where.repository, safe='')}/statuses/{status.commit}"
        document = {"state": _GITLAB[status.state], "name": status.context, "description": about}
        return StatusRequest(url, document, "PRIVATE-TOKEN")
    url = f"{where.api}/repos/{quote(where.repository)}/statuses/{status.commit}"
    document = {"state": status.state, "context": status.context, "description": about}
    if where.kind == GITEA:
        return StatusRequest(url, document, "Authorization", "token ")
    return StatusRequest(url, document, "Authorization", "Bearer ")


def told_already(where: StatusServer, message: str) -> bool:
    """Whether a refusal says that the commit has this state: GitLab takes no state a second time."""
    return where.kind == GITLAB and "Cannot transition status" in message
