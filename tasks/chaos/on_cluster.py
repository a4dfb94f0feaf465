"""Makes faults on Kubernetes: each one has a Job in the namespace that makes it, keeps its time, and undoes it."""

import json
import time
from typing import Any

from ..host import lock
from ..host.forwarding import signals_postponed
from ..host.output import WARNING, note
from ..host.project import Project
from ..kube.live import leases
from ..kube.live.cluster import Cluster
from ..kube.plan import labels
from ..kube.plan.names import by_label, label
from ..model.command import Command
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.quoting import quoted
from ..model.units import show_duration
from .plan import on_cluster, safety
from .plan.active import ACTIVE, LEFT, UNDONE, Active, of_service
from .plan.injection import PROJECT, FaultRequest
from .plan.on_cluster import ClusterFault

_BEGIN = 60.0  # seconds until a fault is in effect; the image of its Job may have to be pulled
_UNDOING = 120.0  # seconds that a Job has for undoing its fault
_POLL = 0.3
_IN_EFFECT, _FAILED = "in effect", "failed: "
_NOTHING = '{"items": []}'


def inject(project: Project, wanted: FaultRequest, during_deploy: bool, stay: bool) -> None:
    """Make a fault and return when it is in effect, with ``stay`` when it is over; in a dry run only show it."""
    cluster = Cluster(project)
    leases.use(project)
    safety.refuse_during_deploy(*lock.left(project), during_deploy)
    chosen = labels.of_service(cluster.name, label(wanted.service))
    fault = on_cluster.planned(cluster.name, cluster.namespace, wanted, _pods(cluster, chosen))
    for line in on_cluster.blast(fault, _leaving(cluster, fault)):
        project.runner.show(line) if project.runner.dry else note(line)
    if wanted.fault.momentary:
        words = ("delete", "pods", *fault.pods, "--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        cluster.run(cluster.kubectl(*words, reason="killed as by a crash of their node"))
        return
    create = _creation(cluster, fault)
    if project.runner.dry:
        cluster.run(create)
        return
    sweep(project)
    _refuse_twice(project, fault)
    _forget(cluster, fault.name)  # what a Job that somebody deleted has left of its rights
    try:
        with signals_postponed():
            _create(cluster, fault, create)
        _await_effect(cluster, fault)
        note(f"in effect for {show_duration(wanted.seconds)}; inv chaos.stop ends it earlier")
        if stay:
            _last(cluster, fault)
    except BaseException:
        with signals_postponed():
            _take_back(project, fault)
        raise
    if stay:
        sweep(project)
        note(f"{wanted.fault.name}: over")


def _create(cluster: Cluster, fault: ClusterFault, create: Command) -> None:
    """Create the objects of a fault; without all of them nothing is left, and the error is raised."""
    try:
        cluster.silently(create)
    except SlipwayError:
        words = ("delete", "job", fault.name, "--cascade=foreground", "--ignore-not-found")
        cluster.tried(cluster.kubectl(*words, seconds=_UNDOING))
        _forget(cluster, fault.name)
        raise


def _creation(cluster: Cluster, fault: ClusterFault) -> Command:
    project = cluster.project
    image = project.profile.text("CHAOS_IMAGE")
    if not image:
        raise InputError(
            f"CHAOS_IMAGE is not set in the profile {project.profile.environment}",
            "a Job of the cluster makes the fault: name an image with Python 3, CHAOS_IMAGE=docker.io/library/python:3",
        )
    file = project.settings.home / "docker_project" / "chaos" / "helper" / "cluster_fault.py"
    made = on_cluster.objects(fault, image, file.read_text(encoding="utf-8"))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    return cluster.kubectl("create", "--filename", "-", stdin=text, reason="a Job that undoes the fault by itself")


def _pods(cluster: Cluster, chosen: dict[str, str], *more: str) -> list[Any]:
    selector = ",".join(f"{key}={value}" for key, value in chosen.items())
    found: list[Any] = cluster.read("get", "pods", "--selector", selector, *more, missing=_NOTHING)["items"]
    return found


def _leaving(cluster: Cluster, fault: ClusterFault) -> tuple[str, ...]:
    if fault.wanted.fault.name != "drain":
        return ()
    there = _pods(cluster, labels.of_project(cluster.name), f"--field-selector=spec.nodeName={fault.target}")
    return tuple(sorted(str(pod["metadata"]["name"]) for pod in there if pod["status"].get("phase") == "Running"))


def _refuse_twice(project: Project, fault: ClusterFault) -> None:
    for one in found(project):
        if one.helper == fault.name:
            raise RefusedError(
                f"{one.fault} is there already in {one.target}, since {one.since}",
                f"it ends by itself; at once: inv chaos.stop --env {project.profile.environment}",
            )


def _await_effect(cluster: Cluster, fault: ClusterFault) -> None:
    """Wait until a Job says that its fault is in effect; raises RefusedError with its words when it cannot be."""
    deadline, said = time.monotonic() + _BEGIN, list[str]()
    while time.monotonic() < deadline:
        log = cluster.tried(cluster.kubectl("logs", f"job/{fault.name}", "--tail=20"))
        said = log.stdout.splitlines() if log.exit_code == 0 else []
        name = fault.wanted.fault.name
        if failed := next((line for line in said if line.startswith(_FAILED)), ""):
            raise RefusedError(
                f"{name} in {fault.target}: {quoted(failed.removeprefix(_FAILED))}", "nothing of it is left"
            )
        if _IN_EFFECT in said:
            return
        time.sleep(_POLL)
    last = quoted(said[-1]) if said else _waits_for(cluster, fault)
    raise RefusedError(f"{fault.wanted.fault.name} in {fault.target} is not in effect: {last}", "it was taken back")


def _waits_for(cluster: Cluster, fault: ClusterFault) -> str:
    """Return why the Pod of a Job does not run, as its containers say."""
    for pod in _pods(cluster, {on_cluster.JOB: fault.name}):
        for one in pod["status"].get("containerStatuses") or ():
            if waiting := (one.get("state") or {}).get("waiting"):
                return quoted(f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip())
    return "its Job has no Pod that runs"


def _last(cluster: Cluster, fault: ClusterFault) -> None:
    if not _ended(cluster, fault.name, fault.wanted.seconds + _UNDOING):
        raise RefusedError(
            f"{fault.name} has not undone its fault", "`kubectl logs` of its Job says why; inv chaos.stop"
        )


def _ended(cluster: Cluster, name: str, seconds: float) -> bool:
    """Wait until a Job has ended; return whether it has undone its fault."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = cluster.read("get", "job", name, missing="null")
        state = on_cluster.active(job, {}).state if job else UNDONE
        if state != ACTIVE:
            return state == UNDONE
        time.sleep(_POLL)
    return False


def _take_back(project: Project, fault: ClusterFault) -> None:
    """End a fault that was begun; what was said first is what counts."""
    try:
        for one in found(project):
            if one.helper == fault.name:
                end(project, one)
        _forget(Cluster(project), fault.name)
    except SlipwayError as error:
        note(f"{error.message}; inv chaos.stop --env {project.profile.environment} tries it again", WARNING)


def found(project: Project) -> tuple[Active, ...]:
    """Return the faults of the project by their Jobs: active ones, ended ones, and what is left of some."""
    cluster = Cluster(project)
    names = by_label(project.stack.services)
    selector = f"{PROJECT}={label(cluster.name)},{on_cluster.JOB}"
    jobs = cluster.read("get", "jobs", "--selector", selector, missing=_NOTHING)["items"]
    return tuple(sorted((on_cluster.active(job, names) for job in jobs), key=lambda one: one.helper))


def sweep(project: Project) -> None:
    """Undo what killed Jobs have left, and remove those that have ended. Active faults go on."""
    for one in found(project):
        if one.state == LEFT:
            note(f"{one.fault} in {one.target}: its Job has failed; undoing it")
        if one.state != ACTIVE:
            end(project, one)


def stop(project: Project, service: str = "") -> tuple[Active, ...]:
    """End the faults of a project, or of one of its services, and return them; nothing of them is left then."""
    known = of_service(found(project), service)
    for one in known:
        end(project, one)
    return tuple(one for one in known if one.state != UNDONE)


def end(project: Project, one: Active) -> None:
    """End a fault now, and remove its Job.

    The Job goes, and its Pod undoes the fault before it ends. Another one, with the same rights, makes sure of that: it
    finds the mark of the fault if there is one, and undoes it.
    """
    cluster = Cluster(project)
    job = cluster.read("get", "job", one.helper, missing="null")
    if job and (one.state != UNDONE or project.runner.dry):
        words = ("delete", "job", one.helper, "--cascade=foreground", "--ignore-not-found")
        cluster.run(cluster.kubectl(*words, reason="its Pod undoes the fault", seconds=_UNDOING))
        if project.runner.dry:
            return
        text = json.dumps(on_cluster.again(job))
        cluster.silently(cluster.kubectl("create", "--filename", "-", stdin=text))
        if not _ended(cluster, one.helper, _UNDOING):
            raise RefusedError(
                f"{one.fault} in {one.target} is not undone: {one.helper} has failed again",
                f"`kubectl -n {cluster.namespace} logs job/{one.helper}` says more; inv chaos.stop tries it again",
            )
    _forget(cluster, one.helper)


def _forget(cluster: Cluster, name: str) -> None:
    """Remove the Job of a fault that is undone, and its rights."""
    chosen = f"{on_cluster.JOB}={name}"
    words = ("--selector", chosen, "--ignore-not-found")
    cluster.silently(cluster.kubectl("delete", on_cluster.KINDS, *words, seconds=_UNDOING))
    wide = cluster.tried(cluster.kubectl("get", on_cluster.WIDE_KINDS, "--selector", chosen, "--output", "name"))
    mine = [line for line in wide.stdout.split() if line.endswith(f"/{cluster.namespace}-{name}")]
    if mine:
        cluster.silently(cluster.kubectl("delete", *mine, "--ignore-not-found"))
