"""Releases: what was deployed, as data that the engine keeps. A release is an image that contains only its record.

``release.json`` says what it is, ``model.yaml`` is the rendered Compose model with every image pinned. Labels repeat
``release.json``, so that releases are listed without reading images.
"""

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, field, fields, replace
from typing import Any

from ...model.engine.facts import Container, Image
from ...model.errors import InputError, RefusedError
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.reference import split_reference
from ...model.secret import MASK, Secret
from ...model.stack.extension import SERVICE_KEYS

RELEASE_LABEL, DOCUMENT_LABEL = "slipway.release", "slipway.release.document"
DEPLOYED, ROLLED_BACK, PAUSED, FAILED = "deployed", "rolled-back", "paused", "failed"
ROLL_BACK = "roll back"  # the name of the step that brings the earlier release back
SCHEMA = "slipway/release/v1"


class Pinned(Record):
    """The image of a service in a release: the name in the Compose file, and the image that it stood for.

    ``built``: the project builds it, so the name is the project's own; ``implied``: the Compose file names none.
    """

    reference: str
    id: str
    digest: str = ""
    built: bool = False
    implied: bool = False

    def kept(self, project: str, release: int) -> str:
        """Return the name by which a release keeps its image from being removed."""
        return f"{split_reference(self.reference)[0]}:{image_tag(project, release)}"


class Release(Record):
    """A release. ``created`` is RFC 3339 UTC, ``seconds`` the time that the deploy took.

    ``fingerprint`` is a digest of the profile without its secrets; ``reason`` says why a deploy failed, ``evidence``
    what was known of the images when they were deployed, ``secrets`` the keyed fingerprint of each secret, by name.
    ``content`` is a digest over images, model and mounted files: releases with the same content are equal. ``watched``
    are lines about what numbers said of new containers.
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
    watched: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the release as JSON data."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "images": {name: asdict(image) for name, image in self.images.items()},
        }

    def labels(self, project: str) -> dict[str, str]:
        """Return the labels of the image that stores the release."""
        return {RELEASE_LABEL: project, DOCUMENT_LABEL: json.dumps(self.document(), separators=(",", ":"))}


class Promotion(Record):
    """A release of another environment, and the image that it gives to each image reference of this environment.

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


class Basis(Record):
    """What a deploy is based on: the evidence for it, and the release that it promotes, if it does."""

    evidence: Mapping[str, str] = field(default_factory=dict)
    promotion: Promotion | None = None


def repository(project: str) -> str:
    """Return the name under which the engine keeps the releases of a project."""
    return f"{project}-release"


def image_tag(project: str, identity: int) -> str:
    """Return the tag that keeps the images of a release from being pruned."""
    return f"{project}-release-{identity}"


def from_labels(labels: Mapping[str, str]) -> Release | None:
    """Return the release that labels describe, None when they are not understood.

    Members that only a later version of Slipway writes are ignored.
    """
    try:
        document = _known(Release, json.loads(labels.get(DOCUMENT_LABEL, "")))
        images = {name: Pinned(**_known(Pinned, image)) for name, image in document["images"].items()}
        names, watched = tuple(document.get("services", images)), tuple(document.get("watched", ()))
        return Release(**{**document, "images": images, "services": names, "watched": watched})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _known(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    names = {attribute.name for attribute in fields(kind)}
    return {key: value for key, value in members.items() if key in names}


def newest_first(releases: Collection[Release]) -> tuple[Release, ...]:
    """Return releases, the newest first."""
    return tuple(sorted(releases, key=lambda release: -release.id))


def serving(releases: Collection[Release]) -> Release | None:
    """Return the release that serves: the newest that was deployed, as a failed deploy goes back to it."""
    return next((release for release in newest_first(releases) if release.outcome == DEPLOYED), None)


def paused(releases: Collection[Release]) -> bool:
    """Whether the last deploy is paused: its containers run next to those that serve."""
    return any(release.outcome == PAUSED for release in newest_first(releases)[:1])


def _others_run(last: Release, containers: Collection[Container]) -> bool:
    """Whether a service runs another image than in the release: a deploy was killed before it was recorded."""
    ids = {name: image.id for name, image in last.images.items()}
    running = (container for container in containers if container.state == "running" and not container.oneoff)
    return any(container.image_id != ids.get(container.service, container.image_id) for container in running)


def target(
    releases: Collection[Release], wanted: int = 0, containers: Collection[Container] = (), unrecorded: bool = False
) -> Release:
    """Return the release that a roll back goes to: the ``wanted`` release, else the release before the serving release.

    After a deploy that ended without a record, it is the release that was to be replaced. A second roll back in a row
    goes further back, and not to the release that the first roll back left.
    Raises InputError when there is no ``wanted`` release, RefusedError when there is no earlier release.
    """
    deployed = {release.id: release for release in releases if release.outcome == DEPLOYED}
    if wanted:
        if wanted not in deployed:
            ids = ", ".join(str(release.id) for release in newest_first(deployed.values())) or "none"
            raise InputError(f"no release {wanted} that was deployed", f"there are: {ids}")
        return deployed[wanted]
    now = serving(releases)
    if now is None:
        raise RefusedError("there is no release to go back to", "inv deploy.history shows what there is")
    if unrecorded or paused(releases) or _others_run(now, containers):
        return now
    # After a roll back to release 3 the next one goes to a release before 3: the releases from 4 on were abandoned.
    original = now.of or now.id
    before = [release for release in newest_first(deployed.values()) if release.id < original and differ(release, now)]
    if not before:
        raise RefusedError(
            f"there is no other release before {original}",
            f"inv deploy.history --env {now.environment} shows what there is",
        )
    return before[0]


def differ(release: Release, other: Release) -> bool:
    """Whether two releases differ in images, model or mounted files."""
    if release.content and other.content:
        return release.content != other.content
    return bool(
        changed_images(release.images, other.images)
    )  # recorded by an earlier version of Slipway, without content


def prunable(releases: Collection[Release], keep: int) -> tuple[Release, ...]:
    """Return the releases beyond the newest ``keep``, without the serving release and the target of a roll back.

    With ``keep`` 0 only the serving release stays: a failed deploy goes back to it.
    """
    now = serving(releases)
    safe = {now.id} if now else set()
    if keep:
        safe |= {now.of} if now else set()
        with contextlib.suppress(InputError, RefusedError):
            safe.add(target(releases).id)
    ordered = newest_first(releases)
    return tuple(release for index, release in enumerate(ordered) if index >= keep and release.id not in safe)


def fingerprint(profile: Profile) -> str:
    """Return a digest over a profile: all values except the secrets."""
    plain = {key: MASK if isinstance(entry.value, Secret) else entry.value for key, entry in profile.values.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def pinned(model: Mapping[str, Any], images: Mapping[str, Pinned]) -> dict[str, Any]:
    """Return the model of a release: every service names its exact image, and none is built."""
    services = {}
    for name, raw in (model.get("services") or {}).items():
        kept = {key: value for key, value in raw.items() if key not in ("build", "pull_policy")}
        services[name] = {**kept, "image": _pinned_name(images[name])} if name in images else kept
    return {**model, "services": services}


def _pinned_name(image: Pinned) -> str:
    return image.digest or image.id


def restored(model: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the model of a release as it was deployed, with the present names of the images by service.

    "" stands for the implied name that Compose gives to what it builds: then the model names no image, because a name
    would change Compose's hash of the service.
    """
    services = {}
    for name, raw in (model.get("services") or {}).items():
        service = _understood(raw)
        if names.get(name) == "":
            service.pop("image", None)
            service["build"] = {"context": "."}
        elif name in names:
            service["image"] = names[name]
        services[name] = service
    return {**model, "services": services}


def _understood(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of a release without the x-slipway keys that only the version which recorded it knew."""
    settings = {key: value for key, value in (raw.get("x-slipway") or {}).items() if key in SERVICE_KEYS}
    return {**raw, "x-slipway": settings} if "x-slipway" in raw else dict(raw)


def changed_images(now: Mapping[str, Pinned], then: Mapping[str, Pinned]) -> tuple[str, ...]:
    """Return the services whose image differs."""
    return tuple(name for name, image in then.items() if name not in now or now[name].id != image.id)


def went_back(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps of a deploy ended with the earlier release serving again."""
    return any(step["name"] == ROLL_BACK and step["outcome"] == "done" for step in steps)


def rows(releases: Sequence[Release]) -> list[dict[str, Any]]:
    """Return the rows of ``deploy.history --json``, newest first."""
    now = serving(releases)
    return [
        {
            "id": release.id,
            "version": release.version,
            "commit": release.commit,
            "created": release.created,
            "operator": release.operator,
            "outcome": release.outcome,
            "seconds": round(release.seconds, 1),
            "images": {name: image.digest or image.id for name, image in release.images.items()},
            "current": now is not None and release.id == now.id,
            "reason": release.reason or (f"back to {release.of}" if release.of else ""),
            "watched": list(release.watched),
        }
        for release in newest_first(releases)
    ]


def rolled_back_to(release: Release, identity: int, **more: Any) -> Release:
    """Return the new release that brings an earlier release back, with the images of that release."""
    return replace(release, id=identity, of=release.of or release.id, outcome=DEPLOYED, reason="", watched=(), **more)


def with_basis(release: Release, basis: Basis) -> Release:
    """Return a release with its evidence and, when it is promoted, with the version and commit of its origin."""
    if basis.promotion is None:
        return replace(release, evidence=basis.evidence)
    origin = basis.promotion.release
    evidence = {**origin.evidence, **basis.evidence, "promoted": basis.promotion.origin}
    return replace(release, version=origin.version, commit=origin.commit, evidence=evidence)
