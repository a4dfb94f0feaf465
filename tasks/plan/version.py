"""Semantic versions and image tags from what git says."""

import re
from dataclasses import dataclass

# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string, with the leading v
_SEMVER_TAG = re.compile(
    r"v(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)"
    r"(?:-(?P<pre>(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
EPOCH = "1970-01-01T00:00:00Z"

WORKING_STAGES = ("builder", "debug", "development", "security", "tester")


@dataclass(frozen=True)
class GitFacts:
    """What git says of the checkout.

    ``commit`` is the full hash, empty outside a checkout or before the first commit. ``tag`` is the
    nearest ``vX.Y.Z`` tag, ``distance`` the number of commits since. ``committed`` is RFC 3339 UTC.
    """

    commit: str = ""
    tag: str = ""
    distance: int = 0
    dirty: bool = False
    committed: str = ""
    shallow: bool = False


@dataclass(frozen=True)
class Version:
    """The version of a build: ``text`` is a semantic version that is also a valid image tag."""

    text: str
    commit: str
    build_time: str
    release: bool
    reason: str

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
    match = _SEMVER_TAG.fullmatch(git.tag)
    if match is None:
        # A shallow clone does not know how many commits there are, so it must not count them.
        where = "no vX.Y.Z tag in a shallow clone" if git.shallow else "no vX.Y.Z tag"
        return Version(f"0.0.0-dev.{short}{suffix}", git.commit, build_time, False, where)
    base = git.tag.removeprefix("v").partition("+")[0]
    if git.distance == 0:
        return Version(base + suffix, git.commit, build_time, not git.dirty, f"tag {git.tag}")
    if match["pre"]:
        text = f"{base}.dev.{git.distance}.{short}"
    else:
        text = f"{match['major']}.{match['minor']}.{int(match['patch']) + 1}-dev.{git.distance}.{short}"
    return Version(text + suffix, git.commit, build_time, False, f"{git.distance} commits after {git.tag}")


def tags(built: Version, environment_tag: str, stage: str = "") -> tuple[tuple[str, str], ...]:
    """Return the tags that one build carries, each with the reason for it.

    ``environment_tag`` is what the Compose file's ``image:`` asks for. A release (a clean checkout of a tag
    without pre-release part) also carries ``major.minor``, ``major`` and ``latest``. A ``stage`` that is made for
    work, not for users, names itself in what it carries, and never is ``latest``.
    """
    found: dict[str, str] = {}
    of_stage = f"-{stage}" if stage.lower() in WORKING_STAGES else ""
    if environment_tag:
        found[environment_tag] = "the tag that the Compose file names"
    if built.text:
        found.setdefault(built.text + of_stage, f"exact version ({built.reason})")
    if built.commit and not built.text.endswith("-dirty"):
        found.setdefault(f"sha-{built.short_commit}{of_stage}", "the commit")
    if built.release and "-" not in built.text and not of_stage:
        major, minor, _ = built.text.split(".")
        found.setdefault(f"{major}.{minor}", "release")
        found.setdefault(major, "release")
        found.setdefault("latest", "release")
    return tuple(found.items())
