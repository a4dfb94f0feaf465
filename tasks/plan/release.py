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

from .errors import InputError, RefusedError
from .extension import JOBS, SERVICE_KEYS
from .facts import Container, Image
from .profile import Profile
from .secret import MASK, Secret
from .stack import Stack

RELEASE_LABEL, DOCUMENT_LABEL = "slipway.release", "slipway.release.document"
DEPLOYED, ROLLED_BACK, PAUSED, FAILED = "deployed", "rolled-back", "paused", "failed"
ROLL_BACK = "roll back"  # the step that lets the earlier release serve again
SCHEMA = "slipway/release/v1"


@dataclass(frozen=True)
class Pinned:
    """The image of a service in a release: the name in the Compose file, and the one image that it stood for."""

    reference: str
    id: str
    digest: str = ""


@dataclass(frozen=True)
class Release:
    """One release. ``created`` is RFC 3339 UTC, ``seconds`` the time that the deploy took.

    ``fingerprint`` stands for the profile without its secrets; ``reason`` is what a deploy failed of, ``evidence`` what
    was known of the images when they were deployed.
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


@dataclass(frozen=True)
class Before:
    """What a deploy that fails goes back to, images and the model they ran by, and what there was when it began.

    That is the last release, where the engine still has it: what runs may be what a killed deploy left of two. ``ran``
    are the ids of the images that ran and ``hashes`` their configurations by Compose's own measure, by service.
    """

    images: Mapping[str, Pinned]
    model: Mapping[str, Any]
    volumes: frozenset[str]
    hashes: Mapping[str, str]
    ran: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def differing(self, wanted: Mapping[str, Pinned]) -> tuple[str, ...]:
        """Return the services of a release that did not run by its images alone."""
        return tuple(name for name, one in wanted.items() if self.ran.get(name, frozenset()) != {one.id})


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
        return Release(**{**found, "images": images})
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


def target(releases: Collection[Release], wanted: int = 0, containers: Collection[Container] = ()) -> Release:
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
    if paused(releases) or _others_run(now, containers):
        return now
    # After a roll back to release 3, before 3 is where the next one goes: 4 and up are what was left.
    original = now.of or now.id
    before = [one for one in newest_first(known.values()) if one.id < original and moved(one.images, now.images)]
    if not before:
        raise RefusedError(f"there is no other release before {original}", "inv deploy.history shows what there is")
    return before[0]


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


def restored(model: Mapping[str, Any], images: Mapping[str, Pinned]) -> dict[str, Any]:
    """Return the model of a release as it was deployed: by the names of the Compose file.

    Compose marks containers with a hash of their configuration, the image's name included: so what has not changed
    stays as it is, and `docker compose up` by hand afterwards does too.
    """
    services = {
        name: {**_understood(raw), "image": images[name].reference} if name in images else _understood(raw)
        for name, raw in (model.get("services") or {}).items()
    }
    return {**model, "services": services}


def _understood(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of a release without what only the version that recorded it knew to say."""
    said = {key: value for key, value in (raw.get("x-slipway") or {}).items() if key in SERVICE_KEYS}
    return {**raw, "x-slipway": said} if "x-slipway" in raw else dict(raw)


def refuse_secrets(model_text: str, profile: Profile) -> None:
    """Raise RefusedError when a secret of the profile is to be read in the model: a release would keep it."""
    for key, value in sorted(profile.values.items()):
        if isinstance(value.value, Secret) and len(value.value.reveal()) > 3 and value.value.reveal() in model_text:
            raise RefusedError(
                f"the secret {key} ({value.origin}) stands in the rendered Compose model, which a release keeps",
                "give it to the service by Compose `secrets:`, not by `environment:` or a label",
            )


def idle_database(stack: Stack, changed: Collection[str], running: Collection[str], volumes: Collection[str]) -> str:
    """Return the database that has data, and has to be started so that it is backed up before migrations; "" for none.

    ``volumes`` are those that exist: without one there is nothing to lose yet.
    """
    if not any(one.slipway.job == JOBS[0] and one.name in changed for one in stack.services.values()):
        return ""
    idle = (one for one in stack.services.values() if one.slipway.backup and one.name not in running)
    return next((one.name for one in idle if any(name in volumes for name in one.volumes)), "")


def moved(now: Mapping[str, Pinned], then: Mapping[str, Pinned]) -> tuple[str, ...]:
    """Return the services whose image is another one."""
    return tuple(name for name, one in then.items() if name not in now or now[name].id != one.id)


def to_bring_back(
    stack: Stack, images: Mapping[str, Pinned], hashes: Mapping[str, str], containers: Collection[Container]
) -> dict[str, str]:
    """Return the services that do not run as they did before a deploy, and what has to happen to each.

    ``images`` and ``hashes`` are what ran. Jobs have done their work, and an old one would find nothing to do.
    """
    changed = {}
    for name, image in images.items():
        service = stack.services.get(name)
        if service is None or stack.one_off(service):
            continue
        mine = [one for one in containers if one.service == name and not one.oneoff]
        wanted = hashes.get(name, "")
        if any(one.image_id != image.id or one.config_hash != wanted or _broken(one) for one in mine):
            changed[name] = "recreate"
        elif len(mine) != service.replicas:
            changed[name] = "scale" if mine else "create"
    return changed


def stale_jobs(stack: Stack, images: Mapping[str, Pinned], containers: Collection[Container]) -> tuple[str, ...]:
    """Return the containers of jobs that ran by other images than those of a release: it is not theirs."""
    return tuple(
        one.name
        for one in containers
        if (service := stack.services.get(one.service)) and stack.one_off(service) and not one.oneoff
        if one.service in images and one.image_id != images[one.service].id
    )


def kept_services(release: Collection[str], now: Collection[str], ran: Collection[str]) -> frozenset[str]:
    """Return the services whose containers stay on the way back to a release.

    Of those that ``ran``, one that the Compose files name ``now`` and the release does not was brought by a deploy that
    was killed; one that neither names is an orphan, and nobody's to remove.
    """
    return frozenset(name for name in ran if name in release or name not in now)


def went_back(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps of a deploy ended with the earlier release serving again."""
    return any(one["name"] == ROLL_BACK and one["outcome"] == "done" for one in steps)


def _broken(container: Container) -> bool:
    return container.state != "running" or container.health == "unhealthy"


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
