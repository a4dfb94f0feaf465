"""Semantic versions and image tags, made from the state of the git checkout."""

import re
from collections.abc import Iterable
from dataclasses import replace

from .lazy_pattern import lazy_pattern
from .record import Record

# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
_SEMVER = lazy_pattern(
    r"(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)"
    r"(?:-(?P<pre>(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
# Major, minor, patch, whether it is a release, and the words of its pre-release part.
_Order = tuple[int, int, int, bool, list[tuple[int, int, str]]]
EPOCH = "1970-01-01T00:00:00Z"

# The format for ``git for-each-ref``; the name comes last, as it may contain the separator.
REF_FORMAT = "%(objecttype)|%(objectname)|%(*objecttype)|%(*objectname)|%(refname:strip=2)"

# What the schema of a plan in a file begins with: such a file is no part of a checkout.
PLAN_FILE = "slipway/plan-file"

WORKING_STAGES = ("builder", "debug", "development", "security", "tester")


class Number(Record):
    """A semantic version; ``pre`` is its pre-release part. Build metadata is left out."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    @property
    def order(self) -> _Order:
        """The sort key of https://semver.org/#spec-item-11 (a pre-release comes before its release)."""
        words = [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in self.pre.split(".") if word]
        return (self.major, self.minor, self.patch, not self.pre, words)


def number(tag: str, prefix: str = "") -> Number | None:
    """Return the version that a git tag names, None when it names none.

    Without a prefix it is written ``v1.4.2``; with ``shop/`` as prefix ``shop/v1.4.2`` or ``shop/1.4.2``.
    """
    if not tag.startswith(prefix or "v"):
        return None
    text = tag.removeprefix(prefix or "v")
    return _number(text.removeprefix("v") if prefix and not prefix.endswith("v") else text)


def _number(text: str) -> Number | None:
    match = _SEMVER.fullmatch(text)
    return Number(int(match["major"]), int(match["minor"]), int(match["patch"]), match["pre"] or "") if match else None


def greatest(tags: Iterable[str], prefix: str = "") -> str:
    """Return the tag with the greatest version, "" when no tag names a version."""
    versions = [(parsed.order, tag) for tag in tags if (parsed := number(tag, prefix))]
    return max(versions)[1] if versions else ""


def version_tags_by_commit(listing: str, prefix: str = "") -> dict[str, str]:
    """Return the greatest version tag of each commit, from what ``git for-each-ref`` prints in REF_FORMAT."""
    by_commit: dict[str, list[str]] = {}
    for line in listing.splitlines():
        kind, name, peeled_kind, peeled, tag = line.split("|", 4)
        if "commit" in (kind, peeled_kind):  # a tag may name a file, or another tag
            by_commit.setdefault(name if kind == "commit" else peeled, []).append(tag)
    return {commit: newest for commit, tags in by_commit.items() if (newest := greatest(tags, prefix))}


class GitFacts(Record):
    """The state of the git checkout.

    ``commit`` is the full hash, "" outside a checkout or before the first commit. ``tag`` is the nearest tag that
    names a version (see ``number``), ``distance`` the number of commits since. ``committed`` is RFC 3339 UTC.
    ``tags`` are all tags of the repository, those of other branches too.
    """

    commit: str = ""
    tag: str = ""
    distance: int = 0
    dirty: bool = False
    committed: str = ""
    shallow: bool = False
    tags: tuple[str, ...] = ()
    prefix: str = ""


class Version(Record):
    """The version of a build: ``text`` is a semantic version that is also a valid image tag.

    ``withheld`` are the moving tags (such as ``latest``) that belong to a greater release, each with that release.
    """

    text: str
    commit: str
    build_time: str
    release: bool
    reason: str
    withheld: tuple[tuple[str, str], ...] = ()

    @property
    def short_commit(self) -> str:
        """The first seven characters of the commit, or ``unknown``."""
        return self.commit[:7] or "unknown"


# For images that do not carry the version of the checkout, such as base images.
UNVERSIONED = Version("", "", EPOCH, False, "")


def version(git: GitFacts) -> Version:
    """Return the version of a checkout (rules: docs/versions.md)."""
    suffix = "-dirty" if git.dirty else ""
    build_time = git.committed or EPOCH
    if not git.commit:
        return Version("0.0.0-dev", "", build_time, False, "no git commit")
    short = f"g{git.commit[:7]}"
    base = number(git.tag, git.prefix)
    if base is None:
        wanted = f"{git.prefix}{'' if git.prefix.endswith('v') else 'v'}X.Y.Z"
        # A shallow clone does not have all commits, so they cannot be counted.
        where = f"no {wanted} tag in a shallow clone" if git.shallow else f"no {wanted} tag"
        return Version(f"0.0.0-dev.{short}{suffix}", git.commit, build_time, False, where)
    if git.distance == 0:
        made = Version(f"{base}{suffix}", git.commit, build_time, not git.dirty, f"tag {git.tag}")
        return withhold_moving_tags(made, git.tags, git.prefix)
    if base.pre:
        text = f"{base}.dev.{git.distance}.{short}"
    else:
        text = f"{base.major}.{base.minor}.{base.patch + 1}-dev.{git.distance}.{short}"
    return Version(text + suffix, git.commit, build_time, False, f"{git.distance} commits after {git.tag}")


def _moving(release: Number) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the tags that move from release to release, each with the numbers that its releases have in common."""
    return (
        (f"{release.major}.{release.minor}", (release.major, release.minor)),
        (str(release.major), (release.major,)),
        ("latest", ()),
    )


def withhold_moving_tags(built: Version, known: Iterable[str], prefix: str = "") -> Version:
    """Return a version without the moving tags that belong to greater releases among the ``known`` git tags.

    A hotfix of an older line may be built after a newer release, and must not become ``latest``.
    """
    own = _number(built.text) if built.release else None
    if own is None or own.pre:
        return built
    withheld = dict(built.withheld)
    releases = [release for tag in known if (release := number(tag, prefix)) and not release.pre]
    releases += [release for text in withheld.values() if (release := _number(text))]
    for name, line in _moving(own):
        same_line = [release for release in releases if (release.major, release.minor)[: len(line)] == line]
        newest = max(same_line, key=_order, default=own)
        if newest.order > own.order:
            withheld[name] = str(newest)
    return replace(built, withheld=tuple(withheld.items()))


def _order(release: Number) -> _Order:
    return release.order


def tags(built: Version, environment_tag: str, stage: str = "") -> tuple[tuple[str, str], ...]:
    """Return the tags of a build, each with the reason for it.

    ``environment_tag`` is the tag in the Compose file's ``image:``. A release (a clean checkout of a tag without
    pre-release part) also gets ``major.minor``, ``major`` and ``latest``, unless they belong to a greater release.
    The other tags of a ``stage`` in WORKING_STAGES end in its name, and are never ``latest``.
    """
    reasons: dict[str, str] = {}
    of_stage = f"-{stage}" if stage.lower() in WORKING_STAGES else ""
    if environment_tag:
        reasons[environment_tag] = "the tag that the Compose file names"
    if built.text:
        reasons.setdefault(built.text + of_stage, f"exact version ({built.reason})")
    if built.commit and not built.text.endswith("-dirty"):
        reasons.setdefault(f"sha-{built.short_commit}{of_stage}", "the commit")
    released = _number(built.text) if built.release and not of_stage else None
    if released and not released.pre:
        withheld = dict(built.withheld)
        for name, _ in _moving(released):
            if name not in withheld:
                reasons.setdefault(name, "release")
    return tuple(reasons.items())
