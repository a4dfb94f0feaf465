"""What stands in the Secret of a project: its name, its keys, and where their values come from.

The Secret itself is made by the deploy, on the cluster; no object of a translation has a value of it.
"""

import re

from ....model.record import Record
from ..names import label
from .naming import digest

FILE, VARIABLE, MODEL = "file", "variable", "model"


class SecretOrigin(Record):
    """Where the value of a key comes from; ``source`` says which.

    ``kind`` is FILE (the path of a Compose secret on the machine that deploys), VARIABLE (a key of the profile) or
    MODEL: the Compose files have the value literally; ``source`` is its path in the model without ``services``
    (``web.environment.API_TOKEN``), which is also the name of its placeholder in a release record.
    """

    kind: str
    source: str


def secret_name(project: str) -> str:
    """Return the name of the Secret of a project."""
    return f"{label(project)}-secrets"


def secret_key(name: str) -> str:
    """Return the key of a Compose secret or a variable; two names never have the same one.

    https://kubernetes.io/docs/concepts/configuration/secret/: letters, digits, ``-``, ``_`` and ``.``.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    return cleaned if cleaned == name and not cleaned.startswith("..") else f"{cleaned.strip('.')}-{digest(name)}"


def placed(secret: str, key: str) -> dict[str, object]:
    """Return the reference of a variable to a key of a Secret."""
    return {"secretKeyRef": {"name": secret, "key": key}}
