"""``inv doctor``: looks at this machine, its engine and what a project left there, and fixes what is safe to fix."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from invoke import Context

from ..build import builder, sources
from ..deploy.plan import gates
from ..host import lock, machine
from ..host.engine.resources import Resources
from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..host.runner import available
from ..image.plan import registry, signing
from ..model.command import Command
from ..model.compose import docker_env
from ..model.engine.facts import PROJECT_LABEL
from ..model.errors import RefusedError, SlipwayError
from ..model.tools import DENIED, MISSING, OK, WARNING, ToolFinding, judge_tool
from ..scan import tools
from ..test import stack as test_stack
from ..test.plan.stack import ThrowawayStack
from . import base_images
from .plan import doctor


@dataclass(frozen=True)
class Ailment:
    """A finding, and what fixes it without loss; None where a person has to."""

    finding: ToolFinding
    repair: Callable[[], object] | None = None


def run(c: Context, env: str, fix: bool, json: bool) -> None:
    """Report what is needed and what is there; raises RefusedError when something is missing or too old.

    ``fix`` first fixes what can be fixed without loss, and reports what is left.
    """
    found = _examine(c, env)
    if fix:
        repairs = [ailment for ailment in found if ailment.repair]
        for ailment in repairs:
            note(f"fixing {ailment.finding.name}: {ailment.finding.found}")
            ailment.repair() if ailment.repair else None
        if not repairs:
            note("nothing that can be fixed without loss")
        if c.config.run.dry:
            return
        found = _examine(c, env) if repairs else found
    _report([ailment.finding for ailment in found], {id(ailment.finding) for ailment in found if ailment.repair}, json)


def _report(findings: list[ToolFinding], fixable: set[int], json: bool) -> None:
    fatal = [finding for finding in findings if finding.fatal]
    if json:
        rows = [
            {
                "name": finding.name,
                "state": finding.state,
                "found": finding.found,
                "fix": finding.fix,
                "fixable": id(finding) in fixable,
                "mend": finding.fix,  # its name in earlier versions
            }
            for finding in findings
        ]
        emit_json({"schema": "slipway/doctor/v1", "ready": not fatal, "findings": rows})
    else:
        emit_table(
            ("WHAT", "STATE", "FOUND", "FIX"),
            [(finding.name, finding.state, finding.found, finding.fix) for finding in findings],
        )
        if fixable:
            note("inv doctor --fix fixes what can be fixed without loss")
    if fatal:
        # For a single thing, its own fix, as for the scanners; for several, set-up, unless the engine denies access.
        advice = next((finding.fix for finding in fatal if finding.state == DENIED or len(fatal) == 1), "")
        raise RefusedError(
            f"not ready: {', '.join(finding.name for finding in fatal)}",
            advice or "./inv setup installs and starts what is missing",
        )


def _examine(c: Context, env: str) -> list[Ailment]:
    found = [Ailment(finding) for finding in _tools()]
    try:
        project = Project(c, env)
        stack = project.stack
    except SlipwayError as error:
        return [*found, Ailment(ToolFinding("profile", MISSING, error.message.splitlines()[0], error.hint))]
    found.append(Ailment(ToolFinding("profile", OK, f"{project.profile.environment}: {len(stack.services)} services")))
    found += [Ailment(finding) for finding in _project(project)]
    # The clock first: what the engine says with it answers the next three.
    for examine in (_clock, _builder, _disk, _pools, _ports, _bases, _registries, _lock, _stacks, _images):
        try:
            found += examine(project)
        except SlipwayError as error:
            if not any(ailment.finding.name == "engine" and ailment.finding.fatal for ailment in found):
                name = examine.__name__.removeprefix("_")
                found.append(Ailment(ToolFinding(name, WARNING, error.message.splitlines()[0], error.hint)))
    return found


def _tools() -> list[ToolFinding]:
    engine = judge_tool("engine", machine.engine_version())
    if engine.state == MISSING:
        try:
            machine.refuse_without_engine()
            machine.refuse_without_permission()
        except RefusedError as error:
            denied = error.message.startswith("no permission")
            engine = ToolFinding("engine", DENIED if denied else MISSING, error.message, error.hint)
    pid_files = doctor.pid_files(machine.stale_pid_files()) if engine.state == MISSING else None
    return [engine, *([pid_files] if pid_files else []), *machine.tools()]


def _project(project: Project) -> Iterator[ToolFinding]:
    """Yield the findings that need no engine: secrets, scanners, cosign."""
    stack = project.stack
    if missing := project.missing_secrets(stack):
        yield ToolFinding("secrets", WARNING, f"missing: {', '.join(missing)}", "./inv setup, or write them")
    else:
        yield ToolFinding("secrets", OK, f"{len(stack.secrets)} files")
    yield _scanners(project)
    if signing.wanted(project.profile):
        there = available(signing.PROGRAM)
        yield ToolFinding(signing.PROGRAM, OK if there else MISSING, "", "" if there else "./inv setup installs it")


def _scanners(project: Project) -> ToolFinding:
    """Return whether the scanners are installed: only scans need them, and deploys that require a scan."""
    missing = []
    for name in tools.PROGRAMS:
        try:
            tools.locate(project.profile, project.settings.root, name)
        except RefusedError:
            missing.append(name)
    if not missing:
        return ToolFinding("scanners", OK, ", ".join(tools.PROGRAMS))
    state = MISSING if gates.SCAN in project.profile.words("REQUIRE_EVIDENCE") else WARNING
    return ToolFinding("scanners", state, f"missing: {', '.join(missing)}", tools.INSTALL)


def _builder(project: Project) -> Iterator[Ailment]:
    used, profile = builder.in_use(project), project.profile
    needs = {"PLATFORMS": len(profile.words("PLATFORMS")) > 1, "CACHE_TO": "inline" not in profile.text("CACHE_TO")}
    unserved = [key for key, needed in needs.items() if used.limited and profile.text(key) and needed]
    yield Ailment(doctor.builder(used.name, used.driver, used.stores_lists, unserved))


def _disk(project: Project) -> Iterator[Ailment]:
    directory = project.engine.root_directory()
    local = project.engine.local() and Path(directory).exists()
    yield Ailment(doctor.disk(directory, machine.free_bytes(directory) if local else None, machine.LOW_DISK))
    if local:
        status = os.statvfs(directory)
        yield Ailment(doctor.inodes(directory, status.f_favail, status.f_files))


def _pools(project: Project) -> Iterator[Ailment]:
    yield Ailment(doctor.address_pools(project.engine.info(), Resources(project.engine).subnets()))


def _clock(project: Project) -> Iterator[Ailment]:
    project.engine.version()  # the connection is open now: what follows is one question
    asked = time.time()
    theirs = project.engine.time()
    yield Ailment(doctor.clock(theirs, asked, time.time()))


def _ports(project: Project) -> Iterator[Ailment]:
    if not project.engine.local():
        return
    own = project.engine.containers(project.stack.project)
    published = {text.partition("->")[0].rpartition(":")[2] for container in own for text in container.ports}
    wanted = [port for service in project.stack.services.values() for port in service.ports]
    taken = machine.taken_ports(port for port in wanted if str(port.published) not in published)
    yield Ailment(doctor.ports(taken, project.profile.environment))


def _bases(project: Project) -> Iterator[Ailment]:
    kind = project.profile.text("BASE_IMAGES")
    if kind == "local" and base_images.missing_bases(project):
        yield Ailment(ToolFinding("base images", WARNING, "local, not built", "inv image.bases"))
    else:
        yield Ailment(ToolFinding("base images", OK, kind))


def _registries(project: Project) -> Iterator[Ailment]:
    """Yield a finding for each registry that a build, a pull or a push would ask, by one image of it."""
    services = project.stack.services.values()
    wanted = [service.image for service in services if service.build and registry.host(service.image)]
    built = {service.image for service in services if service.build}
    pulled = [service.image for service in services if service.image and service.image not in built]
    if project.profile.text("BASE_IMAGES") == "registry":
        pulled += [name for inputs in sources.of_project(project).values() for name in inputs.dockerfile.all_images()]
    present = project.engine.named(pulled)
    hosts: dict[str, str] = {}
    for reference in (*wanted, *(name for name in pulled if name not in present)):
        hosts.setdefault(registry.host(reference) or "docker.io", reference)
    for host, reference in hosts.items():
        answer = project.engine.remote(reference)
        fault = registry.explain(answer.fault, reference) if answer.fault else None
        login = project.engine.logged_in(reference)
        message, hint = (fault.message, fault.hint) if fault else ("", "")
        yield Ailment(doctor.registry(host, message, hint, login))


def _lock(project: Project) -> Iterator[Ailment]:
    held, why = lock.left(project)
    repair = (lambda: _drop_lock(project, str(held))) if why else None
    yield Ailment(doctor.lock(held, why, project.profile.environment), repair)


def _drop_lock(project: Project, shown: str) -> None:
    if project.runner.dry:
        project.runner.show(f"remove the lock of {shown}")
    else:
        lock.left(project, drop=True)


def _stacks(project: Project) -> Iterator[Ailment]:
    left = [stack for stack in test_stack.removable(test_stack.existing(project)) if not stack.kept]
    repair = (lambda: _remove_stacks(project, left)) if left else None
    yield Ailment(doctor.stacks([stack.name for stack in left]), repair)


def _remove_stacks(project: Project, left: Sequence[ThrowawayStack]) -> None:
    for stack in left:
        if project.runner.dry:
            project.runner.show(f"remove the test stack {stack.name}")
        else:
            test_stack.remove(project, stack)


def _images(project: Project) -> Iterator[Ailment]:
    name = project.stack.project
    used = {container.image_id for container in project.engine.containers(name)}
    labelled = project.engine.images(f"{PROJECT_LABEL}={name}")
    stale = tuple(image for image in doctor.stale_images(labelled, name) if image.id not in used)
    # The engine keeps an image without a name that a container uses, or that another image is made of.
    words = ("docker", "image", "prune", "--force", "--filter", f"label={PROJECT_LABEL}={name}")
    command = Command(words, env=docker_env(project.profile), reason="images without a name")
    repair = (lambda: project.runner.run(command)) if stale else None
    yield Ailment(doctor.images(stale, name), repair)
