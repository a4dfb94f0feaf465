"""Day-to-day work on a running environment: logs, shell, containers, the database, cleaning up."""

import re
import sys
from dataclasses import replace
from pathlib import Path

from ..plan import build as build_planner
from ..plan import clean as clean_planner
from ..plan import shell as shell_planner
from ..plan.compose import compose
from ..plan.errors import CommandError, InputError, RefusedError
from ..plan.facts import FILES_LABEL, PROJECT_LABEL, Container
from ..plan.lock import waiting
from ..plan.secret import reveal
from ..plan.stack import Service
from ..plan.units import show_size
from . import boxes, builds, locks, reasons, throwaway
from .output import confirm, emit, emit_json, emit_table, note, printable
from .project import Project

_ERASE_LINE = "\x1b[2K"


def _docker_env(project: Project) -> dict[str, str]:
    """Return what the docker command needs to find the profile's engine."""
    env = project.profile.compose_env()
    return {key: reveal(value) for key, value in env.items() if key.startswith("DOCKER_")}


def _running(project: Project, service: Service) -> Container:
    for one in project.engine.containers(project.stack.project):
        if one.service == service.name and one.state == "running" and not one.oneoff:
            return one
    raise RefusedError(
        f"service {service.name} of {project.stack.project} is not running",
        f"start it: inv deploy.{project.profile.environment}",
    )


def logs(project: Project, services: tuple[str, ...], follow: bool, since: str, tail: str, grep: str) -> None:
    """Write the services' logs to stdout; with ``grep`` only the lines that the regular expression finds."""
    try:
        pattern = re.compile(grep) if grep else None
    except re.error as error:
        raise InputError(
            f"--grep {grep!r}: not a regular expression: {error}", "quote it, or escape its signs"
        ) from None
    names = [one.name for one in project.stack.select(services)] if services else []
    if not project.runner.dry:
        project.engine.version()  # an engine that is not there is said in our words, not in Compose's
    options = [*(["--follow"] if follow else []), *(["--since", since] if since else []), "--tail", tail or "all"]
    colour = [] if sys.stdout.isatty() and not pattern else ["--no-color"]
    command = compose(project.profile, "logs", *colour, *options, *names, cwd=project.cwd)
    if pattern is None and sys.stdout.isatty():
        project.runner.stream(command)
        return
    for line in project.runner.lines(command):
        # Compose 2.26 writes this even with --no-color and into a pipe.
        text = line.rstrip("\n").replace(_ERASE_LINE, "")
        if pattern is None or pattern.search(text):
            emit(printable(text))
            sys.stdout.flush()


def ps(project: Project, json: bool) -> None:
    """Report the containers of the project, stopped ones included."""
    found = project.engine.containers(project.stack.project)
    if json:
        rows = [
            {
                "name": one.name,
                "service": one.service,
                "state": one.state,
                "health": one.health,
                "exit_code": one.exit_code,
                "image": one.image_reference,
                "ports": list(one.ports),
            }
            for one in found
        ]
        emit_json({"schema": "slipway/ps/v1", "environment": project.profile.environment, "containers": rows})
        return
    emit_table(
        ("CONTAINER", "SERVICE", "STATE", "HEALTH", "IMAGE", "PORTS"),
        [
            (one.name, one.service, one.state, one.health or "-", one.image_reference, " ".join(one.ports) or "-")
            for one in found
        ],
    )


def shell(project: Project, name: str, command: str) -> None:
    """Open a shell in a service, or in its debug stage beside it when its image has none."""
    service = project.stack.service(name) if name else _default_service(project)
    container = _running(project, service)
    words = ("-c", command) if command else ()
    tty = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    for path in shell_planner.SHELLS:
        if project.engine.has_file(container.id, path):
            project.runner.stream(shell_planner.inside(project.profile, service, path, words, tty, project.cwd))
            return
    image = _debug_image(project, service)
    project.runner.stream(shell_planner.beside(container, image, words, tty, _docker_env(project)))


def _default_service(project: Project) -> Service:
    """Return the one long-running service that is built; raises InputError when there are several."""
    built = [one for one in project.stack.built() if not project.stack.one_off(one)]
    if len(built) == 1:
        return built[0]
    names = ", ".join(project.stack.services)
    raise InputError("which service? there are several", f"inv shell --service NAME; there are: {names}")


def _debug_image(project: Project, service: Service) -> str:
    target = service.slipway.debug_target
    if service.build is None:
        raise RefusedError(
            f"the image of {service.name} has no shell, and no build section that could make a debug stage",
            "use an image that has one, or `docker debug`",
        )
    options = build_planner.Options((service.name,), target)
    plan = builds.plan(project, options)
    builds.carry_out(project, plan)
    return plan.targets[0].reference


def clean(project: Project, volumes: bool, images: bool, yes: bool, wait: str = "") -> None:
    """Remove what the project made; says what first, and asks before volumes."""
    patience = waiting(wait)
    name = project.stack.project
    found = _leftovers(project, volumes)
    plan = clean_planner.plan(found, volumes, images, _docker_env(project))
    known = throwaway.existing(project)
    stacks = throwaway.removable(known)
    throwaway.tell_unknown(known, hint=True)
    if not plan.commands and not stacks:
        note(f"{name}: nothing to remove")
        return
    for one in stacks:
        line = f"throw-away stack {one.name} ({'kept' if one.kept else 'left behind'})"
        project.runner.show(line) if project.runner.dry else note(f"  {line}")
    for line in plan.lines:
        project.runner.show(line) if project.runner.dry else note(f"  {line}")
    freed = f", frees up to {show_size(plan.freed)}" if plan.freed else ""
    if not project.runner.dry:
        note(f"{name}: {len(plan.lines) + len(stacks)} things to remove{freed}")
        if volumes and found.volumes:
            confirm(f"remove the volumes of {name} and their data", yes)
    with locks.held(project, "clean", patience):
        # First: their containers may keep an image of the project in use.
        for one in stacks:
            throwaway.remove(project, one)
        failed = None
        for command in plan.commands:
            try:
                project.runner.run(command)
            except CommandError as error:  # an image that another project runs must not keep the volumes
                failed = failed or error
        if failed:
            raise failed


def _leftovers(project: Project, sizes: bool) -> clean_planner.Leftovers:
    """Return what is on the engine of a project; test containers that somebody works with are left out, and told."""
    name, engine = project.stack.project, project.engine
    busy = boxes.busy(project)
    if busy:
        note(f"{name}: {len(busy)} test containers are left alone: their process works, or cannot be seen from here")
    containers = tuple(one for one in engine.containers(name) if one.id not in busy)
    others = {one.image_reference for one in engine.labelled(PROJECT_LABEL) if one.project != name}
    listed = engine.images()
    owned = clean_planner.own_images(listed, name, others)
    own = {one.id for one in owned}
    return clean_planner.Leftovers(
        containers=containers,
        networks=engine.networks(name),
        images=owned,
        volumes=engine.volumes(name, {volume for one in containers for volume in one.volumes}, sizes=sizes),
        pins=clean_planner.pins([one for one in listed if one.id not in own], name),
        kept=tuple(one.name for one in engine.owned(f"{FILES_LABEL}={name}") if one.kind == "volume"),
    )


def down(project: Project, volumes: bool, yes: bool, wait: str = "") -> None:
    """Remove the containers and networks of an environment; its volumes only when asked and confirmed.

    Where a deploy is confirmed this is too: clients get no answer afterwards.
    """
    patience = waiting(wait)
    name = project.stack.project
    words = ("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    command = compose(project.profile, *words, cwd=project.cwd, reason=f"stop {name}")
    if project.runner.dry:
        project.runner.run(command)
        return
    names = ", ".join(one.name for one in project.engine.volumes(name)) if volumes else ""
    if names:
        confirm(f"remove the volumes {names} of {name} and their data", yes)
    else:
        _confirm(project, "take down", yes)
    with locks.held(project, "down", patience):
        project.runner.run(command)


def _confirm(project: Project, what: str, yes: bool) -> None:
    """Ask before what an environment with CONFIRM_DEPLOY=true is to be asked about."""
    if project.profile.flag("CONFIRM_DEPLOY") and not project.runner.dry:
        confirm(f"{what} {project.profile.environment} ({project.stack.project})", yes)


def run_job(project: Project, kind: str, yes: bool = False, wait: str = "") -> None:
    """Run the one-off service that declares ``x-slipway.job: kind``, with what it depends on, under the deploy lock."""
    patience = waiting(wait)
    service = project.stack.job(kind)
    if not project.runner.dry:
        project.engine.version()  # an engine that is not there is said in our words, not in Compose's
    command = compose(
        project.profile,
        *("run", "--rm", "--no-TTY", service.name),
        cwd=project.cwd,
        reason=f"{kind} by service {service.name}",
    )

    def explain(code: int, output: str) -> CommandError | None:
        if known := reasons.old_volume(project, project.stack, [output]):
            return CommandError(f"{kind}: {known.message}", code, known.hint)
        return reasons.explained(project, command)(code, output)

    _confirm(project, kind, yes)
    with locks.held(project, kind, patience, nested=True):
        project.runner.run(command, explain)


def load_file(project: Project, name: str, yes: bool = False, wait: str = "") -> None:
    """Load a file of SQL through the database's client, all of it or nothing, under the deploy lock.

    Raises InputError for a file that cannot be used, CommandError with the client's own code when a statement fails.
    """
    patience = waiting(wait)
    text = _statements(name)
    service = _client_of(project)
    if not project.runner.dry:
        _running(project, service)
    words = shell_planner.load_words(service.slipway.client)
    command = compose(
        project.profile,
        *("exec", "--no-TTY", service.name, *words),
        cwd=project.cwd,
        reason=f"load {name} through the client of {service.name}",
    )

    def explain(code: int, output: str) -> CommandError:
        return CommandError(
            f"{name}: {shell_planner.sql_fault(output) or f'the client ended with exit code {code}'}",
            code,
            "nothing of the file was loaded; correct it and load it again",
        )

    _confirm(project, f"load {name} into", yes)
    with locks.held(project, f"load {name}", patience, nested=True):
        project.runner.run(replace(command, stdin=shell_planner.in_transaction(service.slipway.client, text)), explain)
    if not project.runner.dry:
        note(f"{name}: loaded into {service.name} of {project.stack.project}")


def _statements(name: str) -> str:
    """Return what is in a file of SQL; raises InputError when it cannot be used."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"--file {name}: is not a text file in UTF-8", "name a file of SQL statements") from None
    except OSError as error:
        raise InputError(f"--file {name}: {error.strerror}", "name a file of SQL statements") from None
    if not text.strip():
        raise InputError(f"--file {name}: is empty", "name a file of SQL statements")
    if "\0" in text:
        raise InputError(f"--file {name}: is not a text file", "name a file of SQL statements")
    return text


def _client_of(project: Project) -> Service:
    service = project.stack.role("database")
    if not service.slipway.client:
        raise InputError(
            f"service {service.name} does not say x-slipway.client", 'for example client: [psql, "--username=app"]'
        )
    return service


def database_shell(project: Project, command: str) -> None:
    """Open the client that the database service declares as ``x-slipway.client``."""
    service = _client_of(project)
    if not project.runner.dry:
        _running(project, service)
    tty = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    words = ("-c", command) if command else ()
    flags = () if tty else ("--no-TTY",)
    project.runner.stream(
        compose(
            project.profile,
            *("exec", *flags, service.name, *service.slipway.client, *words),
            cwd=project.cwd,
            reason=f"client of {service.name}",
        )
    )
