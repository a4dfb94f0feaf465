"""Webhooks as hints: who may send one, and where they are listened for.

GitHub and Gitea sign the body (X-Hub-Signature-256), GitLab sends the secret itself:
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries ·
https://docs.gitea.com/usage/webhooks · https://docs.gitlab.com/user/project/integrations/webhooks/#secret-token
"""

import hashlib
import hmac
from collections.abc import Mapping

from ...model.address import LOOPBACK
from ...model.errors import InputError
from ...model.record import Record
from ...model.secret import Secret

SIGNATURE, TOKEN = "x-hub-signature-256", "x-gitlab-token"
LARGEST = 25 * 1024 * 1024  # bytes of a body: GitHub sends no larger one
_PREFIX = "sha256="


class Listening(Record):
    """Where webhooks are listened for, and the secret of who may send one, None where anybody may."""

    host: str
    port: int
    secret: Secret | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


class WebhookHead(Record):
    """The head of a request: its method, its headers in lower case, and the size of its body, -1 when not known."""

    method: str
    headers: Mapping[str, str]
    size: int


def listening(address: str, secret: str) -> Listening | None:
    """Return where to listen, None for nowhere.

    Raises InputError where other machines could send hints without a secret.
    """
    if not address:
        return None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host not in LOOPBACK and not secret:
        raise InputError(
            f"GITOPS_WEBHOOK_LISTEN={address} is reached by other machines, and GITOPS_WEBHOOK_SECRET is not set",
            "set the secret, or listen at 127.0.0.1 behind a proxy",
        )
    return Listening(host, int(port), Secret(secret) if secret else None)


def refused(sent: WebhookHead, secret: Secret | None) -> tuple[int, str] | None:
    """Return the status and the words that a request is refused with by its head alone, None where it is not."""
    if sent.method != "POST":
        return 405, "send a POST request"
    if sent.size > LARGEST:
        return 413, "the body is too large"
    if secret and signed(sent):
        return (411, "a signed body needs a Content-Length") if sent.size < 0 else None
    if secret and not token_is(sent, secret):
        return 403, "the signature or the token is missing or wrong"
    return None


def signed(sent: WebhookHead) -> bool:
    """Whether a request says that its body is signed."""
    return SIGNATURE in sent.headers


def token_is(sent: WebhookHead, secret: Secret) -> bool:
    """Whether a request has the secret as its token."""
    return _same(sent.headers.get(TOKEN, ""), secret.reveal())


def body_digest(secret: Secret) -> "hmac.HMAC":
    """Return what a signed body is to be read into."""
    return hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)


def signature_is(sent: WebhookHead, digest: "hmac.HMAC") -> bool:
    """Whether the signature of a request is that of the body which was read."""
    return _same(sent.headers[SIGNATURE], f"{_PREFIX}{digest.hexdigest()}")


def _same(given: str, wanted: str) -> bool:
    # In constant time, and for any text: compare_digest takes no str beyond ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
