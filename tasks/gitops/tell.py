"""Tells the server of the repository how a commit does in an environment."""

from pathlib import Path

from ..host.output import WARNING, note
from ..model.errors import RefusedError, SlipwayError
from ..model.secret import Secret, mask
from ..telemetry.post import post_json
from .configuration import Configuration
from .plan import commit_status
from .plan.commit_status import CommitStatus, StatusServer
from .plan.memory import Told

_SECONDS = 20.0  # that the server may take
_HINTS = (
    "is GITOPS_STATUS_API the address of the API?",
    "may the token of GITOPS_TOKEN_FILE set statuses of GITOPS_STATUS_REPOSITORY?",
)
_MOST = 10_000  # bytes of a token's file


def tell(config: Configuration, status: CommitStatus, before: Told) -> Told:
    """Tell a status unless it was told last; return what was told last then.

    A server that does not take it is no reason to deploy nothing: that is noted, and tried again at the next look.
    """
    about = commit_status.description(status.description)
    told = Told(status.commit, status.state, about)
    if config.server is None or config.token is None or not status.commit or told == before:
        return before
    try:
        _post(config.server, config.token, status)
    except SlipwayError as error:
        note(f"commit status of {status.commit[:12]}: {error.message}", WARNING)
        note(f"  hint: {error.hint}", WARNING)
        return before
    return told


def _post(server: StatusServer, token_file: Path, status: CommitStatus) -> None:
    token = _token(token_file)
    request = commit_status.request(server, status)
    headers = {request.header: f"{request.prefix}{token.reveal()}", "User-Agent": "slipway"}
    try:
        post_json(request.url, request.document, headers, _SECONDS, _HINTS)
    except RefusedError as error:
        if not commit_status.told_already(server, error.message):
            raise RefusedError(mask(error.message, (token.reveal(),)), error.hint) from None


def _token(path: Path) -> Secret:
    """Return the token, read anew each time, since tokens are renewed."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise RefusedError(
            f"GITOPS_TOKEN_FILE: {path}: {reason}", "put a token into it, readable for the agent"
        ) from None
    if not text or any(not character.isprintable() for character in text):
        raise RefusedError(f"GITOPS_TOKEN_FILE: {path} has no token", "put a token into it, on one line")
    return Secret(text)
