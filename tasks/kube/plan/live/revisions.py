"""The history of a Helm release as releases: helm has the list and which one serves, a record tells the rest.

A record is a ConfigMap for each revision that Slipway made. One that helm made without us has none, and is listed all
the same. https://helm.sh/docs/helm/helm_history/
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record
from ....release.plan.release import DEPLOYED, DOCUMENT_LABEL, FAILED, ROLLED_BACK, Release, from_labels
from .. import labels

RECORD_LABEL = "slipway.dev/release"
_LARGEST = 900_000  # bytes of a model that is recorded: an object of the API has at most 1 MiB
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
_SERVED = ("deployed", "superseded")
UNINSTALLED = "uninstalled"  # helm's word
REMOVED = "removed"  # the outcome of a release that was taken down
_BACK = lazy_pattern(r"^Rollback to (?P<revision>\d+)")
_BESIDE = lazy_pattern(r"^Beside release (?P<revision>\d+):")


class Revision(Record):
    """A revision of a Helm release as ``helm history`` lists it."""

    number: int
    status: str
    updated: str
    version: str = ""
    description: str = ""

    @property
    def pending(self) -> bool:
        """Whether it was begun and has not ended."""
        return self.status in PENDING

    @property
    def back_to(self) -> int:
        """The revision that it went back to, 0 for none."""
        found = _BACK.match(self.description)
        return int(found["revision"]) if found else 0

    @property
    def beside(self) -> int:
        """The revision that goes on to serve while this one stands beside it, 0 where it serves itself."""
        found = _BESIDE.match(self.description)
        return int(found["revision"]) if found else 0


def parsed(text: str) -> tuple[Revision, ...]:
    """Return what ``helm history --output json`` printed, oldest first."""
    return tuple(
        Revision(
            int(raw["revision"]),
            str(raw.get("status", "")),
            _moment(str(raw.get("updated", ""))),
            str(raw.get("app_version") or ""),
            str(raw.get("description") or ""),
        )
        for raw in sorted(json.loads(text or "[]"), key=lambda raw: int(raw["revision"]))
    )


def _moment(text: str) -> str:
    """Return helm's time as RFC 3339 UTC in seconds."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return text


def beside(number: int, description: str) -> str:
    """Return the description of a revision that stands beside the one that serves, until its Pods are proven."""
    return f"Beside release {number}: {description}"


def serving(revisions: Iterable[Revision]) -> Revision | None:
    """Return the revision that serves: the one that helm calls deployed, or the one that it stands beside."""
    listed = tuple(revisions)
    found = next((one for one in reversed(listed) if one.status == "deployed"), None) or _superseded_last(listed)
    if found and found.beside:
        return next((one for one in listed if one.number == found.beside), None)
    return found


def _superseded_last(listed: Sequence[Revision]) -> Revision | None:
    """Return what serves where a helm was killed that had noted the end of the release before, and not yet its own.

    In its last two writes helm notes the revision before as superseded, then its own as deployed.
    https://github.com/helm/helm/blob/main/pkg/action/upgrade.go (performUpgrade)
    """
    if not listed or not listed[-1].pending:
        return None
    last = next((one for one in reversed(listed) if not one.pending and one.status != "failed"), None)
    return last if last and last.status == "superseded" else None  # not one that was taken down


def serves(newest: Revision, wanted: int) -> bool:
    """Whether a release serves: its revision is the newest, or helm has gone back to it."""
    return newest.status == "deployed" and wanted in (newest.number, newest.back_to)


def pending(revisions: Iterable[Revision]) -> Revision | None:
    """Return the newest revision where it was begun and has not ended, or stands beside what serves, else None."""
    newest = max(revisions, key=lambda one: one.number, default=None)
    return newest if newest and (newest.pending or (newest.beside and newest.status == "deployed")) else None


def passed(revisions: Iterable[Revision], records: Container[int]) -> tuple[int, ...]:
    """Return the revisions that stood beside a release until theirs took over: no releases of their own.

    One that was gone back from, or of which it is recorded how it failed, is one.
    """
    listed = tuple(revisions)
    return tuple(
        one.number
        for one, later in pairwise(listed)
        if one.beside and later.back_to != one.beside and one.number not in records
    )


def releases(revisions: Iterable[Revision], records: Mapping[int, Release], environment: str) -> tuple[Release, ...]:
    """Return the history as releases, oldest first; ``records`` are those that Slipway wrote, by revision."""
    listed = tuple(revisions)
    known: dict[int, Release] = {}
    steps = passed(listed, records)
    for number, one in enumerate(listed):
        later = listed[number + 1] if number + 1 < len(listed) else None
        known[one.number] = _release(one, later, records, known, environment)
        if one.number in steps and one.beside in known:
            known[one.number] = known[one.beside]  # who goes back to it by helm alone, goes back to what served then
    return tuple(release for number, release in known.items() if number not in steps)


def _release(
    one: Revision,
    later: Revision | None,
    records: Mapping[int, Release],
    known: Mapping[int, Release],
    environment: str,
) -> Release:
    outcome, reason = _outcome(one, later)
    record = records.get(one.number)
    if record:
        # A release that helm had installed, and that a smoke check refused afterwards, did not serve.
        outcome = record.outcome if record.outcome in (FAILED, ROLLED_BACK) else outcome
        return replace(record, id=one.number, outcome=outcome, reason=record.reason or reason)
    origin = known.get(one.back_to) or records.get(one.back_to)
    if origin:
        of = origin.of or origin.id
        return replace(
            origin,
            id=one.number,
            created=one.updated,
            outcome=outcome,
            reason=reason,
            of=of,
            operator="helm",
            seconds=0.0,
        )
    return Release(
        one.number, environment, one.version, "", one.updated, "helm", outcome=outcome, reason=reason, of=one.back_to
    )


def _outcome(one: Revision, later: Revision | None) -> tuple[str, str]:
    """Return how a deploy ended, and why when it failed."""
    back = later is not None and later.back_to > 0
    if one.beside and one.status in _SERVED:
        return (ROLLED_BACK if back else FAILED), "it was stopped before it took over"
    if one.status in _SERVED:
        return DEPLOYED, ""
    if one.status == UNINSTALLED:
        return REMOVED, "taken down"
    if one.pending:
        return FAILED, f"it was stopped before it ended ({one.status})"
    return (ROLLED_BACK if back else FAILED), one.description or one.status


def secret_name(release: str, number: int) -> str:
    """Return the name of the Secret in which helm keeps a revision."""
    return f"sh.helm.release.v1.{release}.v{number}"


def record_name(release: str, number: int) -> str:
    """Return the name of the ConfigMap that records a revision."""
    return f"{release}-release-{number}"


def record(
    release: str,
    project: str,
    made: Release,
    migrations: Mapping[str, Mapping[str, str]] | None = None,
    model: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the ConfigMap that records a release.

    ``migrations`` are the digests of those that its jobs applied, ``model`` is its Compose model without secrets.
    """
    marks = {**labels.of_project(project), RECORD_LABEL: str(made.id)}
    text = made.labels(project)[DOCUMENT_LABEL]
    about = {"name": record_name(release, made.id), "labels": marks}
    data = {"release.json": text, **({"migrations.json": json.dumps(migrations)} if migrations else {})}
    text = json.dumps(model, separators=(",", ":")) if model else ""
    if text and len(text) < _LARGEST:
        data["model.json"] = text
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}


def recorded(raws: Iterable[Mapping[str, Any]]) -> dict[int, Release]:
    """Return the releases that ConfigMaps record, by revision; what is not understood is left out."""
    found = (from_labels({DOCUMENT_LABEL: (raw.get("data") or {}).get("release.json", "")}) for raw in raws)
    return {release.id: release for release in found if release}


def models(raws: Iterable[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Return the Compose models that ConfigMaps record, by revision."""
    found = {}
    for raw in raws:
        number = (raw["metadata"].get("labels") or {}).get(RECORD_LABEL, "")
        if number.isdigit() and (text := (raw.get("data") or {}).get("model.json")):
            found[int(number)] = json.loads(text)
    return found


def applied(raws: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the digests of the migrations that each job has applied last, by service, as ConfigMaps record them."""
    found: dict[str, dict[str, str]] = {}
    for raw in sorted(raws, key=lambda raw: int((raw["metadata"].get("labels") or {}).get(RECORD_LABEL, "0"))):
        found.update(json.loads((raw.get("data") or {}).get("migrations.json", "{}")))
    return found


def surplus(records: Iterable[int], revisions: Iterable[Revision]) -> tuple[int, ...]:
    """Return the records of revisions that helm no longer keeps."""
    kept = {one.number for one in revisions}
    return tuple(sorted(number for number in records if number not in kept))
