"""Pushes the serving release to the registry: its images, and the record by which another engine finds them."""

import json
from collections.abc import Callable
from typing import Any

from ..host.project import Project, model
from ..host.steps import step
from ..image.plan import registry
from ..image.sign import refuse_unready, sign
from ..image.transfers import Job, carry_out
from ..model import compose
from ..model.errors import LockLostError, SlipwayError, StoppedError
from ..model.reference import split_reference
from . import redactions
from .plan import publish as publish_plan
from .plan.release import Release, repository, serving
from .store import history


def wanted(project: Project) -> bool:
    """Whether the releases of an environment are pushed to a registry."""
    profile = project.profile
    kept = bool(profile.integer("KEEP_RELEASES")) and profile.flag("PUBLISH_RELEASES")
    return kept and bool(publish_plan.repository(project.stack))


def release_to_publish(project: Project) -> Release | None:
    """Return the serving release if it was not pushed yet, as far as this engine knows, else None."""
    if not wanted(project):
        return None
    release = serving(history(project))
    if release is None or not release.images:
        return None
    record = project.engine.image(f"{repository(project.stack.project)}:{release.id}")
    name = publish_plan.own_name(project.stack, project.profile.environment, release.id)
    return release if record and name not in record.tags else None


def publish(
    project: Project, release: Release | None, verify: Callable[[], None], steps: list[dict[str, Any]]
) -> SlipwayError | None:
    """Push a release and append to ``steps``; returns the error when that fails, as the release serves all the same.

    Raises only LockLostError and StoppedError.
    """
    if release is None or not wanted(project):
        return None
    try:
        with step(steps, "publish"):
            digests = push_images(project, release)
            done = publish_plan.with_digests(release, digests)
            verify()
            _push_record(project, done)
    except (LockLostError, StoppedError):
        raise
    except SlipwayError as error:
        return error
    return None


def push_images(project: Project, release: Release) -> dict[str, str]:
    """Push the images of a release under names for this release, and sign them; returns their digests by service."""
    # Where signatures are verified, the images are signed already.
    signs = not project.profile.flag("VERIFY_SIGNATURES")
    if signs:
        refuse_unready(project)
    env, cwd = compose.docker_env(project.profile), project.cwd
    names = publish_plan.image_names(project.stack, project.profile.environment, release)
    jobs = [
        Job(name, (registry.tag(image, name, env, cwd), registry.push(name, env, cwd)))
        for image, name in names.values()
    ]
    try:
        done = carry_out(project, jobs, "push")
    finally:
        for _, name in names.values() if not project.runner.dry else ():
            project.engine.remove_image(name)
    digests = {
        service: f"{split_reference(name)[0]}@{registry.digest(done[name].output)}"
        for service, (_, name) in names.items()
        if name in done
    }
    sign(project, digests.values() if signs else ())
    return digests


def _push_record(project: Project, release: Release) -> None:
    """Store the record again with the digests, and push it: first under the serving name, which is never behind."""
    stack, environment = project.stack, project.profile.environment
    local = f"{repository(stack.project)}:{release.id}"
    serves = publish_plan.serving_name(stack, environment)
    own = publish_plan.own_name(stack, environment, release.id)
    env, cwd = compose.docker_env(project.profile), project.cwd
    commands = (
        *((registry.tag(local, serves, env, cwd),) if project.runner.dry else ()),
        registry.push(serves, env, cwd),
        *(registry.tag(serves, own, env, cwd), registry.push(own, env, cwd)),
    )
    if not project.runner.dry:
        _keep(project, release, local, serves)
    try:
        carry_out(project, [Job(own, commands)], "push")
        if not project.runner.dry:
            project.engine.tag(local, own)
    except BaseException:
        project.engine.remove_image(own)  # a record with that name counts as pushed
        raise
    finally:
        if not project.runner.dry:
            project.engine.remove_image(serves)


def _keep(project: Project, release: Release, local: str, pushed: str) -> None:
    """Store the record again, and a copy to push without the files that the release mounts: those stay here."""
    before, labels = project.engine.image(local), release.labels(project.stack.project)
    record = {"release.json": json.dumps(release.document(), indent=1).encode()}
    files = {**project.engine.data.files(local), **record}
    redactions.refuse_exposed(project, model(files["model.yaml"].decode()), release)
    for reference, content in ((local, files), (pushed, {**record, "model.yaml": files["model.yaml"]})):
        name, _, tag = reference.rpartition(":")
        project.engine.data.keep(name, tag, content, labels)
    if before:
        project.engine.remove_image(before.id)
