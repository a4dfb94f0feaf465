"""Releases: what was deployed, as data that the engine keeps. A release is an image that holds nothing but its record.

``release.json`` says what it is, ``model.yaml`` is the rendered Compose model with every image pinned. Labels repeat
``release.json``, so that a listing reads no image.
"""

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .build import split_reference
from .desired import Desired
from .errors import InputError, RefusedError
from .extension import SERVICE_KEYS
from .facts import Container, Image
from .profile import Profile
from .secret import MASK, Secret

RELEASE_LABEL, DOCUMENT_LABEL = "slipway.release", "slipway.release.document"
DEPLOYED, ROLLED_BACK, PAUSED, FAILED = "deployed", "rolled-back", "paused", "failed"
ROLL_BACK = "roll back"  # the step that lets the earlier release serve again
SCHEMA = "slipway/release/v1"


@dataclass(frozen=True)
class Pinned:
    """The image of a service in a release: the name in the Compose file, and the one image that it stood for.

    ``built``: the project builds it, so the name is the project's own; ``implied``: the Compose file names none.
    """

    reference: str
    id: str
    digest: str = ""
    built: bool = False
    implied: bool = False

    def kept(self, project: str, release: int) -> str:
        """Return the name by which a release keeps its image."""
        return f"{split_reference(self.reference)[0]}:{image_tag(project, release)}"


@dataclass(frozen=True)
class Release:
    """One release. ``created`` is RFC 3339 UTC, ``seconds`` the time that the deploy took.

    ``fingerprint`` stands for the profile without its secrets; ``reason`` is what a deploy failed of, ``evidence`` what
    was known of the images when they were deployed, ``secrets`` the keyed fingerprint of each secret by its name.
    ``content`` stands for images, model and mounted files: two releases that have it in common are the same.
    """

    id: int
    environment: str
    version: str
    commit: str
    created: str
    operator: str
    outcome: str = DEPLOYED
    seconds: float = 0.0
    images: Mapping[str, Pinned] = field(default_factory=dict)
    fingerprint: str = ""
    reason: str = ""
    of: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    services: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the release as JSON data."""
        return {"schema": SCHEMA, **asdict(self), "images": {name: asdict(one) for name, one in self.images.items()}}

    def labels(self, project: str) -> dict[str, str]:
        """Return the labels of the image that keeps it."""
        return {RELEASE_LABEL: project, DOCUMENT_LABEL: json.dumps(self.document(), separators=(",", ":"))}


@dataclass(frozen=True)
class Promotion:
    """A release that serves elsewhere, and which image each reference of this environment stands for by it.

    ``missing`` are images (``repository@digest``) that the engine has to pull for it first.
    """

    environment: str
    release: Release
    images: Mapping[str, Image]
    missing: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """What is promoted, in words."""
        return f"{self.environment} release {self.release.id}"


@dataclass(frozen=True)
class Basis:
    """What a deploy stands on: the evidence for it, and the release that it brings from elsewhere, if it does."""

    evidence: Mapping[str, str] = field(default_factory=dict)
    promotion: Promotion | None = None


def repository(project: str) -> str:
    """Return the name under which the engine keeps the releases of a project."""
    return f"{project}-release"


def image_tag(project: str, identity: int) -> str:
    """Return the tag that keeps the images of a release from being pruned as dangling."""
    return f"{project}-release-{identity}"


def from_labels(labels: Mapping[str, str]) -> Release | None:
    """Return the release that labels describe, None when they are not understood."""
    try:
        found = json.loads(labels.get(DOCUMENT_LABEL, ""))
        images = {name: Pinned(**one) for name, one in found.pop("images").items()}
        found.pop("schema")
        return Release(**{**found, "images": images, "services": tuple(found.pop("services", images))})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def newest_first(releases: Collection[Release]) -> tuple[Release, ...]:
    """Return releases in the order of a history."""
    return tuple(sorted(releases, key=lambda one: -one.id))


def serving(releases: Collection[Release]) -> Release | None:
    """Return the release that serves: the newest that was deployed; a deploy that failed went back to it."""
    return next((one for one in newest_first(releases) if one.outcome == DEPLOYED), None)


def paused(releases: Collection[Release]) -> bool:
    """Whether the last deploy paused: what it brought stands beside what serves."""
    return any(one.outcome == PAUSED for one in newest_first(releases)[:1])


def _others_run(last: Release, containers: Collection[Container]) -> bool:
    """Whether a service of a release runs by another image: a deploy was killed before it was recorded."""
    ids = {name: one.id for name, one in last.images.items()}
    running = (one for one in containers if one.state == "running" and not one.oneoff)
    return any(one.image_id != ids.get(one.service, one.image_id) for one in running)


def target(
    releases: Collection[Release], wanted: int = 0, containers: Collection[Container] = (), unrecorded: bool = False
) -> Release:
    """Return the release that a roll back goes to: the one asked for, else the one before that which serves.

    After a deploy that ended without a release it is the one that was to be replaced. A roll back is a release of its
    own; the one before it is what it left, so the second of two goes further back.
    Raises InputError for one that is not there, RefusedError when there is none before.
    """
    known = {one.id: one for one in releases if one.outcome == DEPLOYED}
    if wanted:
        if wanted not in known:
            there = ", ".join(str(one.id) for one in newest_first(known.values())) or "none"
            raise InputError(f"no release {wanted} that was deployed", f"there are: {there} (inv deploy.history)")
        return known[wanted]
    now = serving(releases)
    if now is None:
        raise RefusedError("there is no release to go back to", "inv deploy.history shows what there is")
    if unrecorded or paused(releases) or _others_run(now, containers):
        return now
    # After a roll back to release 3, before 3 is where the next one goes: 4 and up are what was left.
    original = now.of or now.id
    before = [one for one in newest_first(known.values()) if one.id < original and differ(one, now)]
    if not before:
        raise RefusedError(f"there is no other release before {original}", "inv deploy.history shows what there is")
    return before[0]


def differ(one: Release, other: Release) -> bool:
    """Whether two releases are of other images, another model or other mounted files."""
    if one.content and other.content:
        return one.content != other.content
    return bool(moved(one.images, other.images))  # an earlier version of Slipway recorded one of them


def content(model: Mapping[str, Any], images: Mapping[str, Pinned], desired: Desired, directory: str) -> str:
    """Return what stands for a release: its images, its model wherever it lies, and what it mounts.

    A secret is not of it: a roll back cannot bring its value back.
    """
    text = json.dumps(pinned(model, images), sort_keys=True).replace(json.dumps(directory)[1:-1], "")
    mounted = {
        f"{name} {one.target}": wanted.contents[one.target].digest
        for name, wanted in desired.services.items()
        for one in wanted.references
        if not one.secret
    }
    return hashlib.sha256(f"{text}\n{json.dumps(mounted, sort_keys=True)}".encode()).hexdigest()[:32]


def prunable(releases: Collection[Release], keep: int) -> tuple[Release, ...]:
    """Return the releases beyond the newest ``keep``: never the one that serves, nor the one a roll back goes to."""
    now = serving(releases)
    safe = {now.id, now.of} if now else set()
    with contextlib.suppress(InputError, RefusedError):
        safe.add(target(releases).id)
    ordered = newest_first(releases)
    return tuple(one for number, one in enumerate(ordered) if number >= keep and one.id not in safe)


def fingerprint(profile: Profile) -> str:
    """Return what stands for a profile: every value but the secrets'."""
    plain = {key: MASK if isinstance(one.value, Secret) else one.value for key, one in profile.values.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def pinned(model: Mapping[str, Any], images: Mapping[str, Pinned]) -> dict[str, Any]:
    """Return the model of a release: every service names its one image, and none is built."""
    services = {}
    for name, raw in (model.get("services") or {}).items():
        kept = {key: value for key, value in raw.items() if key not in ("build", "pull_policy")}
        services[name] = {**kept, "image": _pinned_name(images[name])} if name in images else kept
    return {**model, "services": services}


def _pinned_name(image: Pinned) -> str:
    return image.digest or image.id


def restored(model: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the model of a release as it was deployed, each service by the name that its image has by now.

    "" is the name that Compose gives to what it builds: then the model has none either, as that is another hash.
    """
    services = {}
    for name, raw in (model.get("services") or {}).items():
        made = _understood(raw)
        if names.get(name) == "":
            made.pop("image", None)
            made["build"] = {"context": "."}
        elif name in names:
            made["image"] = names[name]
        services[name] = made
    return {**model, "services": services}


def _understood(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of a release without what only the version that recorded it knew to say."""
    said = {key: value for key, value in (raw.get("x-slipway") or {}).items() if key in SERVICE_KEYS}
    return {**raw, "x-slipway": said} if "x-slipway" in raw else dict(raw)


def moved(now: Mapping[str, Pinned], then: Mapping[str, Pinned]) -> tuple[str, ...]:
    """Return the services whose image is another one."""
    return tuple(name for name, one in then.items() if name not in now or now[name].id != one.id)


def went_back(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps of a deploy ended with the earlier release serving again."""
    return any(one["name"] == ROLL_BACK and one["outcome"] == "done" for one in steps)


def rows(releases: Sequence[Release]) -> list[dict[str, Any]]:
    """Return the history as the contract shows it, newest first."""
    now = serving(releases)
    return [
        {
            "id": one.id,
            "version": one.version,
            "commit": one.commit,
            "created": one.created,
            "operator": one.operator,
            "outcome": one.outcome,
            "seconds": round(one.seconds, 1),
            "images": {name: image.digest or image.id for name, image in one.images.items()},
            "current": now is not None and one.id == now.id,
            "reason": one.reason or (f"back to {one.of}" if one.of else ""),
        }
        for one in newest_first(releases)
    ]


def rolled_back_to(one: Release, identity: int, **more: Any) -> Release:
    """Return the release that brings an earlier one back: a release of its own, with the earlier one's images."""
    return replace(one, id=identity, of=one.of or one.id, outcome=DEPLOYED, reason="", **more)


def based(one: Release, basis: Basis) -> Release:
    """Return a release with what it stands on: of one that is promoted, the version of where it comes from."""
    if basis.promotion is None:
        return replace(one, evidence=basis.evidence)
    origin = basis.promotion.release
    evidence = {**origin.evidence, **basis.evidence, "promoted": basis.promotion.origin}
    return replace(one, version=origin.version, commit=origin.commit, evidence=evidence)
