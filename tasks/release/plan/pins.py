"""The image names by which releases keep their images, and which of them go when a release is forgotten."""

from collections.abc import Collection, Sequence

from ...model.engine.facts import Image
from ...model.lazy_pattern import lazy_pattern

# The name that keeps an image for a release: ``REPOSITORY:PROJECT-release-N`` (``plan.release``). Releases are counted
# from 1: a number of eight digits is a date, in a name that is not Slipway's.
_PIN = lazy_pattern(r".+:(?P<project>[a-z0-9][a-z0-9_-]*)-release-(?P<number>[0-9]{1,6})")


def pinned_by(name: str) -> tuple[str, int] | None:
    """Return the project and the release for which a name keeps an image, None for any other name."""
    match = _PIN.fullmatch(name)
    return (match["project"], int(match["number"])) if match else None


def pins(images: Sequence[Image], project: str) -> tuple[str, ...]:
    """Return the names by which the releases of a project keep images."""
    return tuple(sorted(tag for image in images for tag in image.tags if (pinned_by(tag) or ("", 0))[0] == project))


def forgotten(images: Sequence[Image], project: str, record: str, gone: Collection[int]) -> tuple[str, ...]:
    """Return the names that keep images for releases which are ``gone``, or which have no record.

    ``record`` is the repository of the images with the records. A release without a record was left by a killed
    deploy; if it is newer than all records, it may be about to get its record, and stays.
    """
    recorded = {int(tag.rpartition(":")[2]) for image in images for tag in image.tags if _is_record(tag, record)}
    newest = max(recorded, default=0)
    names = []
    for name in pins(images, project):
        number = (pinned_by(name) or ("", 0))[1]
        if number in gone or (number not in recorded and number < newest):
            names.append(name)
    return tuple(names)


def _is_record(tag: str, record: str) -> bool:
    repository, _, number = tag.rpartition(":")
    return repository == record and number.isdecimal()
