"""The flow of ``inv setup`` and ``inv doctor``."""

from invoke import Context
from invoke.exceptions import Exit

from ..plan import signing
from ..plan.doctor import DENIED, MISSING, OK, WARNING, Finding, judge_tool
from ..plan.errors import RefusedError, SlipwayError
from ..plan.units import show_size
from . import files, machine, provision
from .output import emit_json, emit_table, note
from .project import Project
from .runner import Runner, available


def run(c: Context, everything: bool) -> None:
    """Make this machine ready; what is there already is left alone.

    ``everything``: also the programs that no profile asks for.
    """
    runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
    provision.install_and_start(runner)
    if runner.dry and machine.engine_version() is None:
        runner.show("then: probe the registry, write envs/base.local.env, make development secrets and base images")
        runner.show("what comes after setup can be planned once this is done")
        raise Exit(code=0)
    project = Project(c)
    provision.write_local_layer(runner, provision.find_out(project))
    sign = everything  # 70 MB that not everybody needs
    for name in files.environments():
        project = Project(c, name)
        provision.make_secrets(runner, project.profile, project.stack)
        sign = sign or signing.wanted(project.profile)
    if sign:
        provision.install(runner, {signing.PROGRAM: signing.PROGRAM})
    project = Project(c)  # anew: the local layer may say something else now
    if provision.missing_bases(project):
        provision.bases(project)
    note("this machine is ready")


def doctor(c: Context, env: str, json: bool) -> None:
    """Report what is needed and what was found; raises RefusedError when something is missing or too old."""
    findings = [*_tools(), *_project(c, env)]
    if json:
        rows = [{"name": one.name, "state": one.state, "found": one.found, "mend": one.mend} for one in findings]
        emit_json({"schema": "slipway/doctor/v1", "ready": not any(one.fatal for one in findings), "findings": rows})
    else:
        emit_table(
            ("WHAT", "STATE", "FOUND", "TO DO"), [(one.name, one.state, one.found, one.mend) for one in findings]
        )
    fatal = [one.name for one in findings if one.fatal]
    if fatal:
        denied = next((one.mend for one in findings if one.state == DENIED), "")
        raise RefusedError(
            f"not ready: {', '.join(fatal)}", denied or "./inv setup installs and starts what is missing"
        )


def _tools() -> list[Finding]:
    engine = judge_tool("engine", machine.engine_version())
    if engine.state == MISSING:
        try:
            machine.refuse_without_permission()
        except RefusedError as error:
            engine = Finding("engine", DENIED, error.message, error.hint)
    return [engine, *machine.tools()]


def _project(c: Context, env: str) -> list[Finding]:
    """Return what can be said of the profile, its secrets, its ports and the disk."""
    try:
        project = Project(c, env)
        stack = project.stack
    except SlipwayError as error:
        return [Finding("profile", MISSING, error.message.splitlines()[0], error.hint)]
    found = [Finding("profile", OK, f"{project.profile.environment}: {len(stack.services)} services")]
    missing = project.missing_secrets(stack)
    if missing:
        found.append(Finding("secrets", WARNING, f"missing: {', '.join(missing)}", "./inv setup, or write them"))
    else:
        found.append(Finding("secrets", OK, f"{len(stack.secrets)} files"))
    if signing.wanted(project.profile):
        there = available(signing.PROGRAM)
        found.append(Finding(signing.PROGRAM, OK if there else MISSING, "", "" if there else "./inv setup installs it"))
    try:
        found.append(_disk(project))
        found.append(_bases(project))
    except SlipwayError:
        pass  # the engine's own line says it
    return found


def _disk(project: Project) -> Finding:
    directory = project.engine.root_directory()
    free = machine.free_bytes(directory) if project.engine.local() else None
    if free is None:
        return Finding("disk", OK, "not on this machine")
    state = WARNING if free < machine.LOW_DISK else OK
    return Finding(
        "disk", state, f"{show_size(free)} free in {directory}", "see `docker system df`" if state == WARNING else ""
    )


def _bases(project: Project) -> Finding:
    kind = project.profile.text("BASE_IMAGES")
    if kind == "local" and provision.missing_bases(project):
        return Finding("base images", WARNING, "local, not built", "inv image.bases")
    return Finding("base images", OK, kind)
