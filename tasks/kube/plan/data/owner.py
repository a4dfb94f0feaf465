"""Whose files a container's are: the numbers of its user, and the group by which it may use volumes."""

from collections.abc import Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.stack import Service
from ..source import KubeSource


class Owner(Record):
    """The user and group of a container; ``None`` where they are not known. 0 is root."""

    uid: int | None = None
    gid: int | None = None

    @property
    def volumes(self) -> int | None:
        """The group that a volume has to belong to so that the container may write; None for root, or unknown."""
        return (self.gid or self.uid) if self.uid else None


def owner(source: KubeSource, service: Service) -> Owner:
    """Return the user that a service runs as: ``user`` of the Compose file, else what its image says."""
    image = source.image(service.name)
    user, _, group = str(source.raw(service.name).get("user") or "").partition(":")
    if not user and not group:
        return Owner(image.uid, image.gid)
    known = image.users.get(user)
    if user.isdigit():
        uid: int | None = int(user)
        known = next((ids for ids in image.users.values() if ids[0] == uid), None)
    else:
        uid = known[0] if known else image.uid if not user else None
    return Owner(uid, int(group) if group.isdigit() else known[1] if known and not group else None)


def filesystem_group(source: KubeSource, service: Service) -> Mapping[str, Any]:
    """Return the fields of the Pod that let a user who is not root use volumes; nothing for root.

    A volume belongs to root on Kubernetes. With ``OnRootMismatch`` the files of a large volume are not visited at each
    start: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/.
    """
    group = owner(source, service).volumes
    if group is None:
        return {}
    return {"securityContext": {"fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch"}}
