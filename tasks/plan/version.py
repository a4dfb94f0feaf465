"""Semantic versions and image tags from what git says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
_SEMVER = re.compile(
    r"(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)"
    r"(?:-(?P<pre>(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
# Major, minor, patch, whether it is a release, and the words of its pre-release part.
_Order = tuple[int, int, int, bool, list[tuple[int, int, str]]]
EPOCH = "1970-01-01T00:00:00Z"

# What ``git for-each-ref`` is asked for; the name comes last, for it may hold any sign.
REF_FORMAT = "%(objecttype)|%(objectname)|%(*objecttype)|%(*objectname)|%(refname:strip=2)"

WORKING_STAGES = ("builder", "debug", "development", "security", "tester")


@dataclass(frozen=True)
class Number:
    """A semantic version; ``pre`` is its pre-release part. Build metadata is no part of it."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    @property
    def order(self) -> _Order:
        """What versions are compared by: https://semver.org/#spec-item-11 (a candidate comes before its release)."""
        words = [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in self.pre.split(".") if word]
        return (self.major, self.minor, self.patch, not self.pre, words)


def number(tag: str, prefix: str = "") -> Number | None:
    """Return the version that a git tag names, None when it names none.

    Without a prefix that is ``v1.4.2``; with ``shop/`` both ``shop/v1.4.2`` and ``shop/1.4.2``.
    """
    if not tag.startswith(prefix or "v"):
        return None
    text = tag.removeprefix(prefix or "v")
    return _number(text.removeprefix("v") if prefix and not prefix.endswith("v") else text)


def _number(text: str) -> Number | None:
    match = _SEMVER.fullmatch(text)
    return Number(int(match["major"]), int(match["minor"]), int(match["patch"]), match["pre"] or "") if match else None


def greatest(tags: Iterable[str], prefix: str = "") -> str:
    """Return the tag with the greatest version, "" when none names one."""
    found = [(one.order, tag) for tag in tags if (one := number(tag, prefix))]
    return max(found)[1] if found else ""


def tagged(listing: str, prefix: str = "") -> dict[str, str]:
    """Return by commit the version tag that counts there, from what ``git for-each-ref`` prints in REF_FORMAT."""
    found: dict[str, list[str]] = {}
    for line in listing.splitlines():
        kind, name, peeled_kind, peeled, tag = line.split("|", 4)
        if "commit" in (kind, peeled_kind):  # a tag may name a file, or another tag
            found.setdefault(name if kind == "commit" else peeled, []).append(tag)
    return {commit: one for commit, tags in found.items() if (one := greatest(tags, prefix))}


@dataclass(frozen=True)
class GitFacts:
    """What git says of the checkout.

    ``commit`` is the full hash, empty outside a checkout or before the first commit. ``tag`` is the
    nearest tag that names a version (see ``number``), ``distance`` the number of commits since. ``committed`` is
    RFC 3339 UTC. ``tags`` are all tags of the repository, those of other branches too.
    """

    commit: str = ""
    tag: str = ""
    distance: int = 0
    dirty: bool = False
    committed: str = ""
    shallow: bool = False
    tags: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Version:
    """The version of a build: ``text`` is a semantic version that is also a valid image tag.

    ``withheld`` are the moving tags that belong to a greater release, each with that.
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


# For images that are not made from the checkout's own version, such as base images.
UNVERSIONED = Version("", "", EPOCH, False, "")


def version(git: GitFacts) -> Version:
    """Return the version of a checkout (rules: README, "Versions and tags")."""
    suffix = "-dirty" if git.dirty else ""
    build_time = git.committed or EPOCH
    if not git.commit:
        return Version("0.0.0-dev", "", build_time, False, "no git commit")
    short = f"g{git.commit[:7]}"
    base = number(git.tag, git.prefix)
    if base is None:
        wanted = f"{git.prefix}{'' if git.prefix.endswith('v') else 'v'}X.Y.Z"
        # A shallow clone does not know how many commits there are, so it must not count them.
        where = f"no {wanted} tag in a shallow clone" if git.shallow else f"no {wanted} tag"
        return Version(f"0.0.0-dev.{short}{suffix}", git.commit, build_time, False, where)
    if git.distance == 0:
        made = Version(f"{base}{suffix}", git.commit, build_time, not git.dirty, f"tag {git.tag}")
        return beside(made, git.tags, git.prefix)
    if base.pre:
        text = f"{base}.dev.{git.distance}.{short}"
    else:
        text = f"{base.major}.{base.minor}.{base.patch + 1}-dev.{git.distance}.{short}"
    return Version(text + suffix, git.commit, build_time, False, f"{git.distance} commits after {git.tag}")


def _moving(one: Number) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the tags that go from release to release, each with the line of releases that it goes along."""
    return (f"{one.major}.{one.minor}", (one.major, one.minor)), (str(one.major), (one.major,)), ("latest", ())


def beside(built: Version, known: Iterable[str], prefix: str = "") -> Version:
    """Return a version that leaves moving tags to greater releases among the git tags that are ``known``.

    A hotfix of an older line is made after a newer release, and must not become ``latest``.
    """
    own = _number(built.text) if built.release else None
    if own is None or own.pre:
        return built
    withheld = dict(built.withheld)
    releases = [one for tag in known if (one := number(tag, prefix)) and not one.pre]
    releases += [one for text in withheld.values() if (one := _number(text))]
    for name, line in _moving(own):
        newest = max((one for one in releases if (one.major, one.minor)[: len(line)] == line), key=_order, default=own)
        if newest.order > own.order:
            withheld[name] = str(newest)
    return replace(built, withheld=tuple(withheld.items()))


def _order(one: Number) -> _Order:
    return one.order


def tags(built: Version, environment_tag: str, stage: str = "") -> tuple[tuple[str, str], ...]:
    """Return the tags that one build carries, each with the reason for it.

    ``environment_tag`` is what the Compose file's ``image:`` asks for. A release (a clean checkout of a tag
    without pre-release part) also carries ``major.minor``, ``major`` and ``latest``, but for those that belong to a
    greater release. A ``stage`` that is made for work, not for users, names itself in what it carries, and never is
    ``latest``.
    """
    found: dict[str, str] = {}
    of_stage = f"-{stage}" if stage.lower() in WORKING_STAGES else ""
    if environment_tag:
        found[environment_tag] = "the tag that the Compose file names"
    if built.text:
        found.setdefault(built.text + of_stage, f"exact version ({built.reason})")
    if built.commit and not built.text.endswith("-dirty"):
        found.setdefault(f"sha-{built.short_commit}{of_stage}", "the commit")
    released = _number(built.text) if built.release and not of_stage else None
    if released and not released.pre:
        withheld = dict(built.withheld)
        for name, _ in _moving(released):
            if name not in withheld:
                found.setdefault(name, "release")
    return tuple(found.items())
