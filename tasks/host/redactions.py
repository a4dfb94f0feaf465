"""Takes the secrets out of what a release keeps, and puts today's in when it is brought back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..plan import redaction as planner
from ..plan.compose import build_files, compose
from ..plan.errors import RefusedError
from ..plan.facts import Container
from ..plan.redaction import Redacted, Restored
from ..plan.release import Release
from . import secret_key
from .output import note
from .project import Project, model
from .runner import capture

shown = planner.shown


def recordable(
    project: Project, kept: Mapping[str, Any] | None = None, fingerprints: Mapping[str, str] | None = None
) -> Redacted:
    """Return the project's model without secrets; in a dry run, which keeps nothing, as it is.

    ``kept`` is the model of an earlier release that is recorded anew with today's ``fingerprints``. One that an earlier
    version of Slipway recorded may hold secrets.
    """
    found = kept or model(project.model_text)
    if project.runner.dry:
        return Redacted(found, {})
    key, secrets = secret_key.key(project), planner.secrets_of(project.profile)
    if kept:
        again = planner.redact(kept, secrets, key, kept if fingerprints else None)
        return Redacted(again.model, {**again.fingerprints, **(fingerprints or {})})
    marked = planner.marks(project.profile, key)
    return planner.redact(found, secrets, key, _template(project, found, marked), marked)


def _template(project: Project, found: Any, marked: Mapping[str, str]) -> Any:
    """Return the model with marks in place of secrets; None when Compose does not accept them there."""
    if not marked:
        return found  # nothing in it comes from a secret of the profile
    command = compose(project.profile, "config", cwd=project.cwd, files=build_files(project.profile))
    result = capture(replace(command, env={**command.env, **marked}))
    return model(result.stdout) if result.exit_code == 0 else None


def filled(project: Project, kept: Mapping[str, Any], release: Release) -> Restored:
    """Return the model of a release with today's secrets, and say which of them are not what they were.

    Raises RefusedError when one has no value any more.
    """
    found = _restored(project, kept, release, {})
    if found.missing:
        raise _missing(f"release {release.id}", found.missing)
    if not planner.comparable(release.secrets, secret_key.find(project)) and release.secrets:
        note(f"whether its secrets are those of release {release.id} cannot be told: the key of its record is gone")
    for name in found.changed:
        note(f"{name} is not what it was in release {release.id}: its value of today is used")
    return found


def as_it_ran(
    project: Project, kept: Mapping[str, Any], release: Release, containers: Sequence[Container]
) -> Mapping[str, Any]:
    """Return the model of the release that serves, with the secrets that its containers still have.

    What has no value keeps its placeholder: only a deploy that fails needs it.
    """
    found = _restored(project, kept, release, {})
    if found.changed or found.missing:
        ran = {one.service: project.engine.environment(one.id) for one in containers}
        seen = planner.seen(kept, ran, release.secrets, secret_key.find(project))
        found = _restored(project, kept, release, seen)
    return found.model


def _restored(project: Project, kept: Mapping[str, Any], release: Release, seen: Mapping[str, str]) -> Restored:
    if not release.secrets:
        return Restored(kept)
    values = planner.values_of(planner.secrets_of(project.profile), project.model)
    return planner.restore(kept, {**values, **seen}, release.secrets, secret_key.find(project))


def refuse_unfilled(found: Mapping[str, Any]) -> None:
    """Raise RefusedError when a model wants a secret that nobody has given it."""
    if names := planner.placeholders(found):
        raise _missing("the release", names)


def refuse_exposed(project: Project, found: Mapping[str, Any], release: Release) -> None:
    """Raise RefusedError when the record of a release holds a secret: an earlier version of Slipway has made it."""
    if names := planner.exposed(found, planner.secrets_of(project.profile)):
        raise RefusedError(
            f"the record of release {release.id} holds secrets, and is not pushed: {', '.join(names)}",
            "an earlier version of Slipway recorded it; the next deploy records without them",
        )


def _missing(what: str, names: Sequence[str]) -> RefusedError:
    return RefusedError(
        f"{what} was deployed with secrets that have no value now: {', '.join(names)}",
        "set them in the profile, or where the Compose files and their env_file had them",
    )
