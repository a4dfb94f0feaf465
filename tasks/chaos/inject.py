"""Makes a fault in the containers of a service."""

import time
from collections.abc import Sequence
from dataclasses import replace

from invoke import Context

from ..host import lock
from ..host.forwarding import signals_postponed
from ..host.output import WARNING, note
from ..host.project import Project
from ..host.readiness import inspected
from ..model.command import Command
from ..model.compose import docker_env
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.quoting import quoted
from ..model.record import Record
from ..model.units import show_duration
from . import active, helper
from .plan import injection, safety
from .plan.faults import HOST, HOST_NETWORK, MOUNTS, amount, duration, fault
from .plan.injection import THE_HOST, FaultRequest, Injection, refuse_on_engine, registries

# What a helper says (docker_project/chaos/helper/fault.py).
_IN_EFFECT, _OVER, _FAILED = "in effect", "over", "failed: "
_LINES = 20  # of a helper's log
_BEGIN = 30.0  # seconds until a fault is in effect; one that stops a container takes its grace time more
_RESTARTS = 300.0  # seconds that an engine has to stop all its containers and to answer again
_POLL = 0.05  # seconds between two looks at what the helpers say


class Allowed(Record):
    """What the command line allows: faults in production, while a deploy works, and of the whole host."""

    prod: bool = False
    deploy: bool = False
    host: bool = False


def checked(c: Context, task: str, env: str, allowed: Allowed) -> Project:
    """Return the project of a named environment where faults may be made; raises an error that says why not."""
    safety.refuse_unnamed(env, task)
    project = Project(c, env)
    safety.refuse_production(project.profile, allowed.prod)
    return project


def run(project: Project, wanted: FaultRequest, allowed: Allowed, stay: bool) -> None:
    """Make a fault and return when it is in effect, with ``stay`` when it is over; in a dry run only show it."""
    if wanted.service:
        project.stack.service(wanted.service)
    if wanted.source:
        project.stack.service(wanted.source)
    if project.clustered:
        from . import on_cluster  # with all that speaks to a cluster

        on_cluster.inject(project, wanted, allowed.deploy, stay)
        return
    refuse_on_engine(wanted.fault)
    safety.refuse_during_deploy(*lock.left(project), allowed.deploy)
    planned = injection.planned(
        project.stack.project, _known(project, wanted), inspected(project, project.stack.project)
    )
    too = others(project) if wanted.fault.of_host else ()
    if wanted.fault.of_host and not project.runner.dry:
        safety.refuse_host(wanted.fault.name, too, allowed.host)
    for line in injection.blast(planned, too):
        project.runner.show(line) if project.runner.dry else note(line)
    if project.runner.dry:
        for command in _commands(project, planned):
            project.runner.run(command)
        return
    active.sweep(project)
    _refuse_twice(project, planned)
    _begin(project, planned)
    if stay:
        _last(project, planned)


def _known(project: Project, wanted: FaultRequest) -> FaultRequest:
    """Return what is asked for, with what the project says about it: a signal of the service, the registries."""
    if wanted.fault.reach == MOUNTS:
        of_service = project.stack.service(wanted.service).slipway
        proxy = of_service.proxy.reload if of_service.proxy.upstreams else ""
        return replace(wanted, signal=of_service.reload.signal if of_service.reload else proxy)
    if wanted.fault.reach == HOST_NETWORK:
        return replace(wanted, registries=registries(project.stack.services.values()))
    return wanted


def others(project: Project) -> tuple[str, ...]:
    """Return the other Compose projects, and containers of none, that run on the engine."""
    running = (one for one in project.engine.labelled() if one.state in ("running", "paused"))
    return tuple(sorted({one.project or one.name for one in running} - {project.stack.project}))


def stop_all(c: Context, env: str, service: str) -> None:
    """End the faults of an environment, or of one of its services; it is fine when there are none."""
    safety.refuse_unnamed(env, "chaos.stop")
    project = Project(c, env)
    ended = active.stop(project, service)
    if project.runner.dry:
        return
    for one in ended:
        note(f"{one.fault} in {one.target}: undone")
    if not ended:
        note(f"{project.stack.project} has no faults")


def wanted(name: str, service: str, seconds: str, amount_: str, source: str, path: str) -> FaultRequest:
    """Return what the command line asks for; raises InputError for what is no fault, duration or amount."""
    kind = fault(name)
    if not service and not kind.of_host:
        raise InputError(f"{name}: of which service?", "--service NAME")
    lasts = 0.0 if kind.momentary else duration(seconds, "--for")
    return FaultRequest(kind, service, lasts, amount(kind, amount_), source, path)


def _socket(project: Project) -> str:
    """Return the socket of the engine on its host; an engine elsewhere has it at the usual place."""
    kind, _, path = project.engine.address.partition("://")
    return path if kind in ("unix", "http+unix") else "/var/run/docker.sock"


def _commands(project: Project, planned: Injection) -> Sequence[Command]:
    return injection.commands(planned, helper.provide(project), _socket(project), docker_env(project.profile))


def _refuse_twice(project: Project, planned: Injection) -> None:
    there = {one.helper: one for one in active.found(project)}
    for hit in planned.hits:
        if one := there.get(injection.helper_name(hit, planned.wanted.fault)):
            raise RefusedError(
                f"{one.fault} is there already in {one.target}, since {one.since}",
                f"it ends by itself; at once: inv chaos.stop --env {project.profile.environment}",
            )


def _begin(project: Project, planned: Injection) -> None:
    """Start the helpers, and wait until each says that its fault is in effect; otherwise undo all of them."""
    names = [injection.helper_name(hit, planned.wanted.fault) for hit in planned.hits]
    begun = []
    try:
        for name, command in zip(names, _commands(project, planned), strict=True):
            with signals_postponed():
                begun.append(name)
                project.runner.run(command)
        limit = _RESTARTS if planned.wanted.fault.reach == HOST else _BEGIN + max(hit.grace for hit in planned.hits)
        for hit, name in zip(planned.hits, names, strict=True):
            _await_effect(project, name, hit.target.name if hit.target else THE_HOST, planned.wanted, limit)
    except BaseException:
        with signals_postponed():
            _take_back(project, begun)
        raise
    if planned.wanted.fault.reach == HOST:
        _await_end(project, names[0])
    if planned.wanted.fault.momentary:
        note(f"{planned.wanted.fault.name}: done")
    else:
        note(f"in effect for {show_duration(planned.wanted.seconds)}; inv chaos.stop ends it earlier")


def _await_effect(project: Project, name: str, target: str, wanted: FaultRequest, limit: float) -> None:
    """Wait until a helper says that its fault is in effect; raises RefusedError with its words when it cannot be."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        said, ended = _look(project, name, wanted)
        if failed := next((line for line in said if line.startswith(_FAILED)), ""):
            raise RefusedError(
                f"{wanted.fault.name} in {target}: {quoted(failed.removeprefix(_FAILED))}", "nothing of it is left"
            )
        if _IN_EFFECT in said or (wanted.fault.reach == HOST and _OVER in said):  # the engine took its helper along
            return
        if ended:
            break
        time.sleep(_POLL)
    last = quoted(said[-1]) if said else "it said nothing"
    raise RefusedError(f"{wanted.fault.name} in {target} is not in effect: {last}", "it was taken back")


def _await_end(project: Project, name: str) -> None:
    """Wait until an engine that was restarted has started its helper again, which has nothing to do and ends."""
    deadline = time.monotonic() + _BEGIN
    while time.monotonic() < deadline:
        seen = project.engine.inspect(name)
        if seen is None or (seen.state == "exited" and seen.exit_code == 0):
            return
        time.sleep(_POLL)


def _look(project: Project, name: str, wanted: FaultRequest) -> tuple[list[str], bool]:
    """Return what a helper has said, and whether it has ended; neither while the engine itself is away by its fault."""
    restarts = wanted.fault.reach == HOST
    try:
        seen = project.engine.inspect(name)
        said = project.engine.watch.logs(name, _LINES).splitlines() if seen else []
    except SlipwayError:
        if not restarts:
            raise
        return [], False
    return said, not restarts and (seen is None or seen.state == "exited")


def _take_back(project: Project, names: Sequence[str]) -> None:
    """End the helpers that were started, when one of them failed; what was said first is what counts."""
    try:
        for one in active.found(project):
            if one.helper in names:
                active.end(project, one)
    except SlipwayError as error:
        note(f"{error.message}; inv chaos.stop --env {project.profile.environment} tries it again", WARNING)


def _last(project: Project, planned: Injection) -> None:
    """Wait until a fault is over; it is taken back at once when this process is told to end."""
    names = [injection.helper_name(hit, planned.wanted.fault) for hit in planned.hits]
    try:
        for name in names:
            if not active.ended(project, name, planned.wanted.seconds + _BEGIN):
                raise RefusedError(f"{name} has not undone its fault", f"`docker logs {name}` says why; inv chaos.stop")
    except BaseException:
        with signals_postponed():
            _take_back(project, names)
        raise
    active.sweep(project)
    note(f"{planned.wanted.fault.name}: over")
