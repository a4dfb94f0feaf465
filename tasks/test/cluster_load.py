"""Runs the load generator of a project as a Job in the namespace of an environment, beside what it loads."""

import json
import time
from dataclasses import replace
from typing import Any

from ..host.forwarding import signals_postponed
from ..host.output import note
from ..host.project import Project
from ..image.plan.registry import host
from ..kube.gather import gather, with_images
from ..kube.live import inside
from ..kube.live.cluster import Cluster
from ..kube.live.jobs import await_start
from ..kube.plan.live import difference, generator, pods
from ..kube.plan.names import by_label, label, of_services
from ..kube.translated import accepted, translation
from ..model.errors import RefusedError, SlipwayError
from ..model.stack.stack import Service, parse
from ..release import publish, redactions
from ..release.plan.release import Pinned, Release
from .plan import load as load_plan
from .plan.load import Admitted, LoadSettings, Shot

_LOOK = 0.5  # seconds
_SLACK = 120.0  # seconds until its Pod runs, and the time after which the cluster ends a run that nobody watches
_GONE = 60.0  # seconds in which the cluster removes a Job and its Pod
_NO_RELEASE = 0  # no release has this number: in the registry it is in the name of the generator


def shoot(
    project: Project, wide: Project, service: Service, name: str, asked: LoadSettings, admitted: Admitted
) -> Shot:
    """Put load on an environment from inside its cluster, and return what the generator said.

    The requests go to the Services, as those of any other Pod do: neither this machine nor its way to the API server is
    part of what is measured. Nothing is left afterwards. ``wide`` is the project with the generator in it.
    Raises RefusedError for a service that does not run, or an image that nodes cannot pull.
    """
    cluster, seconds = Cluster(project), asked.duration + load_plan.ANSWER_TIMEOUT + load_plan.START_TIME
    short = of_services(project.stack.services)
    words = load_plan.words(asked, admitted, short)
    body, files = generator.job(_objects(wide, service, words), label(name), seconds + _SLACK)
    create = cluster.kubectl(
        "create",
        "--filename",
        "-",
        "--output",
        "json",
        stdin=json.dumps(body),
        reason=f"{asked.rate} requests a second",
    )
    if project.runner.dry:
        project.runner.run(create)
        return Shot("dry run")
    for target in admitted.services:
        inside.running(cluster, target)
    note(f"{asked.rate} requests a second for {asked.duration:g} s")
    try:
        made = json.loads(cluster.answer(create, cluster.start(create)))
        if files:
            listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": generator.owned(files, made)})
            cluster.silently(cluster.kubectl("apply", "--server-side", "--filename", "-", stdin=listed))
        return _watched(cluster, body["metadata"]["name"], service.name, seconds)
    finally:
        with signals_postponed():
            _remove(cluster, body["metadata"]["name"])


def _watched(cluster: Cluster, job: str, service: str, seconds: float) -> Shot:
    names = {**by_label(cluster.project.stack.services), label(service): service}
    try:
        await_start(cluster, job, names)
    except SlipwayError as error:
        return Shot(f"the generator did not start: {error.message}", log=error.hint)
    deadline = time.monotonic() + seconds
    while (well := difference.ended(cluster.read("get", "job", job))) is None:
        if time.monotonic() > deadline:
            return Shot("the generator did not end in time", log=_log(cluster, job))
        time.sleep(_LOOK)
    if not well:
        found = cluster.read("get", "pods", "--selector", f"batch.kubernetes.io/job-name={job}")["items"]
        codes = [code for pod in found if (code := pods.exit_code(pod)) is not None]
        return Shot(
            f"the generator ended with exit code {codes[-1] if codes else 1}",
            log=_log(cluster, job, "--all-containers"),
        )
    said = _log(cluster, job)
    return Shot("", load_plan.report_in(said), said)


def _remove(cluster: Cluster, job: str) -> None:
    """Remove a Job with its Pod and its files, and wait until they are gone."""
    words = ("--ignore-not-found", "--cascade=foreground", f"--timeout={_GONE:.0f}s")
    cluster.silently(cluster.kubectl("delete", "job", job, *words, seconds=_GONE + 10))


def _log(cluster: Cluster, job: str, *which: str) -> str:
    """Return what the generator wrote; nothing where it did not come so far."""
    return cluster.tried(cluster.kubectl("logs", f"job/{job}", "--tail=-1", *which)).stdout


def _objects(wide: Project, service: Service, words: list[str]) -> tuple[Any, ...]:
    """Return the objects of the generator alone; its image is pushed first where it is built here."""
    if service.build is not None and wide.profile.flag("PUBLISH_RELEASES"):
        _push(wide, service)
    model = generator.alone(redactions.without_secrets(wide), service.name, service.image, words)
    source = gather(wide, recorded=model)
    if service.name in source.images:
        model = with_images(model, {service.name: source.images[service.name].reference})
        source = replace(source, model=model, stack=parse(model))
    return accepted(translation(source)).objects


def _push(wide: Project, service: Service) -> None:
    if not host(service.image):
        raise RefusedError(
            f"image {service.image} of service {service.name} names no registry, and the nodes of a cluster pull it",
            "begin the image name with the registry's host",
        )
    image = wide.images(wide.stack).get(service.image)
    pinned = Pinned(service.image, image.id if image else service.image)
    version = wide.version
    release = Release(_NO_RELEASE, wide.profile.environment, version.text, version.commit, "", "")
    publish.push_images(wide, replace(release, images={service.name: pinned}))
