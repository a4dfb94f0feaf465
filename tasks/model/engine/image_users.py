"""The users that an image knows, and which of them it runs as."""

from collections.abc import Mapping

from ..record import Record

Ids = tuple[int, int]


class RunsAs(Record):
    """The numbers of a user and of its group; None where they are not known."""

    uid: int | None = None
    gid: int | None = None


ROOT = RunsAs(0, 0)


def users(passwd: str) -> dict[str, Ids]:
    """Return the numbers of user and group of each user, from the text of an ``/etc/passwd`` (passwd(5))."""
    return {fields[0]: (int(fields[2]), int(fields[3])) for fields in _lines(passwd, 4) if fields[3].isdigit()}


def groups(group: str) -> dict[str, int]:
    """Return the number of each group, from the text of an ``/etc/group`` (group(5))."""
    return {fields[0]: int(fields[2]) for fields in _lines(group, 3)}


def _lines(text: str, least: int) -> list[list[str]]:
    lines = (line.split(":") for line in text.splitlines())
    return [fields for fields in lines if len(fields) >= least and fields[0] and fields[2].isdigit()]


def runs_as(user: str, known: Mapping[str, Ids], named: Mapping[str, int]) -> RunsAs:
    """Return the numbers that a USER of an image means, as the engine reads it: ``app``, ``app:web``, ``1000:1000``.

    ``known`` are the users of the image, ``named`` its groups. A user that is given by number, and that the image does
    not know, has the group 0. https://docs.docker.com/reference/dockerfile/#user
    """
    name, _, group = user.partition(":")
    if not name:
        return ROOT
    by_number = {uid: gid for uid, gid in reversed(tuple(known.values()))}
    ids = known.get(name) or ((int(name), by_number.get(int(name), 0)) if name.isdigit() else None)
    if not group:
        return RunsAs(*ids) if ids else RunsAs()
    gid = named.get(group, int(group) if group.isdigit() else None)
    return RunsAs(ids[0] if ids else None, gid)
