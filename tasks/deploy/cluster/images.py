"""Builds the images of a deploy to a cluster, and brings them to the registry from which its nodes pull."""

from dataclasses import replace

from ...build import build
from ...host.steps import step
from ...image.plan.registry import host
from ...model.errors import CommandError, DeployError
from ...reconcile.plan.operation import BUILD
from ...release import publish
from ...release.plan.release import Pinned, Release
from ..plan import gates
from ..plan.deploy import refuse, refuse_interruption
from ..report import DeployReport
from .prepare import ClusterDeploy, prepare

PUSH = "push"


def ready(prepared: ClusterDeploy, fresh: Release, report: DeployReport, interrupt: bool) -> ClusterDeploy:
    """Build and push what a deploy runs, and return it planned again with the digests of the registry.

    Each image gets a name of the release ``fresh``, so that the registry keeps it until a roll back needs it.
    ``interrupt`` allows what only the built images show: that services cannot be reached for a while. Whether an
    image has a health check is known once it is built, too, so that gate is asked here.
    Raises DeployError when the build or a transfer fails: nothing has changed on the cluster by then.
    """
    project, builds = prepared.cluster.project, prepared.deploy.build
    if builds is None:  # nothing is built, or a promotion has the images
        return prepared
    if builds.command is None and project.profile.flag("VERIFY_SIGNATURES"):
        return prepared  # what runs is what was verified: it was pushed and signed before
    try:
        if builds.command is not None:
            with step(report.steps, BUILD, told=False):
                build.carry_out(project, builds)
        if pushes(prepared):
            with step(report.steps, PUSH):
                push(prepared, fresh)
    except CommandError as error:
        failed = f"deploy of {prepared.cluster.name} failed at {report.steps[-1]['name']}: {error.message}"
        hint = f"; {error.hint}" if error.hint else ""
        raise DeployError(failed, f"nothing has changed on the cluster{hint}") from None
    made = prepare(project, ready=True)
    refuse(made.deploy.plan)
    refuse_interruption(project.profile, made.deploy.plan, interrupt)
    gates.refuse_unwatched(project.profile, made.rolled.unwatched)
    return made


def pushes(prepared: ClusterDeploy) -> bool:
    """Whether a deploy pushes images: the profile wants it, and some of those that are built name a registry."""
    project = prepared.cluster.project
    return project.profile.flag("PUBLISH_RELEASES") and any(host(one.image) for one in project.stack.built())


def push(prepared: ClusterDeploy, fresh: Release) -> None:
    """Push what is built under names of a release, and sign it where the profile has a key."""
    project = prepared.cluster.project
    here = project.images(project.stack)
    images = {
        # In a dry run it may not be built yet.
        service.name: Pinned(service.image, here[service.image].id if service.image in here else service.image)
        for service in project.stack.built()
        if host(service.image)
    }
    publish.push_images(project, replace(fresh, images=images))
