"""Pushes a release that serves to the registry: its images, and the record by which another engine finds them."""

import json
import time
from collections.abc import Callable
from typing import Any

from ..plan import publishing as planner
from ..plan import registry as registry_planner
from ..plan.build import split_reference
from ..plan.errors import LockLostError, SlipwayError, StoppedError
from ..plan.release import Release, repository, serving
from ..plan.units import show_duration
from . import redactions
from .output import note
from .project import Project, model
from .records import history
from .signatures import refuse_unready, sign
from .transfers import Done, Job, carry_out


def wanted(project: Project) -> bool:
    """Whether the releases of an environment belong into a registry."""
    profile = project.profile
    kept = bool(profile.integer("KEEP_RELEASES")) and profile.flag("PUBLISH_RELEASES")
    return kept and bool(planner.repository(project.stack))


def due(project: Project) -> Release | None:
    """Return the release that serves when the registry has not got it yet, as far as this engine knows."""
    if not wanted(project):
        return None
    found = serving(history(project))
    if found is None or not found.images:
        return None
    record = project.engine.image(f"{repository(project.stack.project)}:{found.id}")
    name = planner.own_name(project.stack, project.profile.environment, found.id)
    return found if record and name not in record.tags else None


def publish(
    project: Project, release: Release | None, verify: Callable[[], None], steps: list[dict[str, Any]]
) -> SlipwayError | None:
    """Push a release; returns the error when that fails: what serves goes on serving. ``steps`` is added to.

    Raises LockLostError and StoppedError.
    """
    if release is None or not wanted(project):
        return None
    started = time.monotonic()
    entry: dict[str, Any] = {"name": "publish", "seconds": 0.0, "outcome": "failed"}
    steps.append(entry)
    try:
        signs = not project.profile.flag("VERIFY_SIGNATURES")  # what was verified is signed already
        if signs:
            refuse_unready(project)
        digests = _push_images(project, release)
        sign(project, digests.values() if signs else ())
        done = planner.with_digests(release, digests)
        verify()
        _push_record(project, done)
        entry["outcome"] = "done"
    except (LockLostError, StoppedError):
        raise
    except SlipwayError as error:
        return error
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)
    return None


def _say(job: Job, done: Done) -> None:
    note(f"pushed {job.name} in {show_duration(done.seconds)}")


def _push_images(project: Project, release: Release) -> dict[str, str]:
    """Push the images of a release by names of its own; returns their digests by service."""
    env, cwd = registry_planner.environment(project.profile), project.cwd
    names = planner.image_names(project.stack, project.profile.environment, release)
    jobs = [
        Job(name, (registry_planner.tag(image, name, env, cwd), registry_planner.push(name, env, cwd)))
        for image, name in names.values()
    ]
    try:
        done = carry_out(project, jobs, _say)
    finally:
        for _, name in names.values() if not project.runner.dry else ():
            project.engine.remove_image(name)
    return {
        service: f"{split_reference(name)[0]}@{registry_planner.digest(done[name].output)}"
        for service, (_, name) in names.items()
        if name in done
    }


def _push_record(project: Project, release: Release) -> None:
    """Keep the record again, with the digests, and push it: what serves first, so that this is never behind."""
    stack, environment = project.stack, project.profile.environment
    local = f"{repository(stack.project)}:{release.id}"
    serves = planner.serving_name(stack, environment)
    own = planner.own_name(stack, environment, release.id)
    env, cwd = registry_planner.environment(project.profile), project.cwd
    commands = (
        *(registry_planner.tag(local, serves, env, cwd), registry_planner.push(serves, env, cwd)),
        *(registry_planner.tag(local, own, env, cwd), registry_planner.push(own, env, cwd)),
    )
    if not project.runner.dry:
        _keep(project, release, local)
    try:
        carry_out(project, [Job(own, commands)], _say)
    except BaseException:
        project.engine.remove_image(own)  # that name says that the registry has it
        raise
    finally:
        if not project.runner.dry:
            project.engine.remove_image(serves)


def _keep(project: Project, release: Release, local: str) -> None:
    before = project.engine.image(local)
    files = {
        "release.json": json.dumps(release.document(), indent=1).encode(),
        "model.yaml": project.engine.kept_file(local, "/model.yaml"),
    }
    redactions.refuse_exposed(project, model(files["model.yaml"].decode()), release)
    name, _, tag = local.rpartition(":")
    project.engine.keep(name, tag, files, release.labels(project.stack.project))
    if before:
        project.engine.remove_image(before.id)
