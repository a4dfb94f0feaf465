"""Takes the secrets out of the model that a release records, and puts today's in when it is brought back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..host.output import note
from ..host.project import Project, model
from ..host.runner import capture
from ..model.compose import build_files, compose
from ..model.engine.facts import Container
from ..model.errors import RefusedError
from ..model.profile import redaction
from ..model.profile.redaction import Redacted, Restored
from . import secret_key
from .plan.release import Release

shown = redaction.printable_model


def recordable(
    project: Project, kept: Mapping[str, Any] | None = None, fingerprints: Mapping[str, str] | None = None
) -> Redacted:
    """Return the project's model without secrets; in a dry run, which records nothing, with them.

    ``kept`` is the model of an earlier release that is recorded anew with today's ``fingerprints``. If an earlier
    version of Slipway recorded it, it may contain secrets.
    """
    document = kept or model(project.model_text)
    if project.runner.dry:
        return Redacted(document, {})
    key, secrets = secret_key.key(project), redaction.secrets_of(project.profile)
    if kept:
        again = redaction.redact(kept, secrets, key, kept if fingerprints else None)
        return Redacted(again.model, {**again.fingerprints, **(fingerprints or {})})
    marked = redaction.marks(project.profile, key)
    return redaction.redact(document, secrets, key, _template(project, document, marked), marked)


def without_secrets(project: Project) -> Mapping[str, Any]:
    """Return the project's model with placeholders for its secrets; without an engine, whose key the record needs."""
    marked = redaction.marks(project.profile, b"")
    secrets = redaction.secrets_of(project.profile)
    return redaction.redact(project.model, secrets, b"", _template(project, project.model, marked), marked).model


def _template(project: Project, document: Any, marked: Mapping[str, str]) -> Any:
    """Return the model with marks in place of secrets; None when Compose does not accept the marks."""
    if not marked:
        return document  # nothing in it comes from a secret of the profile
    command = compose(project.profile, "config", cwd=project.cwd, files=build_files(project.profile))
    result = capture(replace(command, env={**command.env, **marked}))
    return model(result.stdout) if result.exit_code == 0 else None


def with_current_secrets(project: Project, kept: Mapping[str, Any], release: Release) -> Restored:
    """Return the model of a release with today's secrets, and print notes on those that changed since.

    Raises RefusedError when a secret has no value any more.
    """
    restored = _restored(project, kept, release, {})
    if restored.missing:
        raise _missing(f"release {release.id}", restored.missing)
    if not redaction.comparable(release.secrets, secret_key.find(project)) and release.secrets:
        note(f"cannot tell whether the secrets are those of release {release.id}: the key of its record is gone")
    for name in restored.changed:
        note(f"{name} is not what it was in release {release.id}: its value of today is used")
    return restored


def with_running_secrets(
    project: Project, kept: Mapping[str, Any], release: Release, containers: Sequence[Container]
) -> Mapping[str, Any]:
    """Return the model of the serving release, with the secrets that its containers still have.

    A secret without a value keeps its placeholder: only a deploy that fails needs the value.
    """
    restored = _restored(project, kept, release, {})
    if restored.changed or restored.missing:
        ran = {container.service: project.engine.environment(container.id) for container in containers}
        seen = redaction.secrets_in_containers(kept, ran, release.secrets, secret_key.find(project))
        restored = _restored(project, kept, release, seen)
    return restored.model


def with_unchanged_secrets(project: Project, kept: Mapping[str, Any], release: Release) -> Mapping[str, Any]:
    """Return the model of a release with the secrets that have not changed; the others keep their placeholders."""
    if not release.secrets:
        return kept
    values = redaction.values_of(redaction.secrets_of(project.profile), project.model)
    key = secret_key.find(project)
    other = redaction.restore(kept, values, release.secrets, key).changed
    same = {name: value for name, value in values.items() if name not in other}
    return redaction.restore(kept, same, release.secrets, key).model


def _restored(project: Project, kept: Mapping[str, Any], release: Release, seen: Mapping[str, str]) -> Restored:
    if not release.secrets:
        return Restored(kept)
    values = redaction.values_of(redaction.secrets_of(project.profile), project.model)
    return redaction.restore(kept, {**values, **seen}, release.secrets, secret_key.find(project))


def refuse_unset_secrets(document: Mapping[str, Any]) -> None:
    """Raise RefusedError when a model has a secret without a value."""
    if names := redaction.placeholders(document):
        raise _missing("the release", names)


def refuse_exposed(project: Project, document: Mapping[str, Any], release: Release) -> None:
    """Raise RefusedError when the record of a release contains a secret: an earlier version of Slipway has made it."""
    if names := redaction.plain_secrets(document, redaction.secrets_of(project.profile)):
        raise RefusedError(
            f"the record of release {release.id} contains secrets, and is not pushed: {', '.join(names)}",
            "an earlier version of Slipway recorded it; the next deploy records without them",
        )


def _missing(what: str, names: Sequence[str]) -> RefusedError:
    return RefusedError(
        f"{what} was deployed with secrets that have no value now: {', '.join(names)}",
        "set them in the profile, or where the Compose files and their env_file had them",
    )
