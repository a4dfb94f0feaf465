"""As which user a service runs: the numbers, because a node does not look into the image's list of users."""

from collections.abc import Mapping

from ....model.record import Record
from ....model.stack.stack import Service
from ..outcome import KeyOutcome, inferred, refused, translated
from ..source import ImageFacts, KubeSource

_ROOT = "root"


class PodUser(Record):
    """A user and a group by number, ``None`` where they are not known; ``outcome`` is what became of ``user``.

    Without ``outcome`` nobody has to say it: it is the image's root, or not known.
    """

    uid: int | None = None
    gid: int | None = None
    outcome: KeyOutcome | None = None

    @property
    def ordinary(self) -> bool:
        """Whether it is known that the user is not root."""
        return bool(self.uid)

    def fields(self) -> dict[str, object]:
        """Return the fields of the Pod's ``securityContext`` that say it."""
        found: dict[str, object] = {}
        if self.outcome is None:
            return found
        if self.uid is not None:
            found["runAsUser"] = self.uid
        if self.gid is not None:
            found["runAsGroup"] = self.gid
        return {**found, "runAsNonRoot": True} if self.ordinary else found


def identity(source: KubeSource, service: Service) -> PodUser:
    """Return as which user a service runs: its ``user``, else its image's; a name is looked up in the image."""
    said = str(source.raw(service.name).get("user") or "")
    image, key = source.image(service.name), f"services.{service.name}.user"
    if not said:
        return _of_image(image, key)
    user, _, group = said.partition(":")
    known = _number(user, image)
    if known is None:
        return PodUser(outcome=_unknown(key, user, "user", image))
    uid, gid = known
    if group.isdecimal():
        gid = int(group)
    elif group == _ROOT:
        gid = 0
    elif group and group != user:  # a user's own group is mostly called as the user is
        return PodUser(uid, outcome=_unknown(key, group, "group", image))
    return PodUser(uid, gid, translated(key, "securityContext.runAsUser, runAsGroup"))


def _of_image(image: ImageFacts, key: str) -> PodUser:
    if not image.uid:
        return PodUser(image.uid, image.gid)
    reason = f"the image runs as {image.user or image.uid}"
    return PodUser(image.uid, image.gid, inferred(key, "securityContext.runAsUser, runAsGroup", reason))


def _number(user: str, image: ImageFacts) -> tuple[int, int | None] | None:
    """Return the numbers of a user and its group; the group is ``None`` where the runtime looks it up."""
    if user.isdecimal():
        return int(user), _group_of(int(user), image.users)
    if user == _ROOT:
        return 0, 0
    return image.users.get(user)


def _group_of(uid: int, users: Mapping[str, tuple[int, int]]) -> int | None:
    return next((gid for number, gid in users.values() if number == uid), None)


def _unknown(key: str, name: str, kind: str, image: ImageFacts) -> KeyOutcome:
    look = "" if image.users else "build or pull the image, so that it can be looked up in it; or "
    return refused(
        key,
        f"Kubernetes takes numbers, and which {kind} {name} is in the image is not known",
        f"{look}write the {kind}'s number, or accept with a reason that the container runs as its image says",
        accept="KUBE-USER",
    )
