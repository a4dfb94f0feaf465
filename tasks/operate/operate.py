"""Day-to-day work on a running environment: a shell, containers, cleaning up."""

from ..build import build
from ..build.plan.build import Options
from ..chaos import active
from ..deploy import monitoring
from ..env import rehearsal
from ..host import lock
from ..host.output import confirm, emit_json, emit_table, interactive, note
from ..host.project import Project
from ..host.readiness import running_container
from ..model.compose import docker_env
from ..model.engine.facts import FILES_LABEL, MONITORS_LABEL, PROJECT_LABEL, NamedResource, monitoring_project
from ..model.errors import CommandError, InputError, RefusedError
from ..model.lock import wait_seconds
from ..model.stack.stack import Service
from ..model.units import show_size
from ..reconcile import placed_files
from ..reconcile.plan.placed import PLACE_LABEL
from ..release.plan import pins
from ..sandbox import container as sandbox_container
from ..test import stack
from .plan import clean as clean_plan
from .plan import shell as shell_plan


def ps(project: Project, json: bool) -> None:
    """Report the containers of the project, stopped ones included."""
    containers = project.engine.containers(project.stack.project)
    if json:
        rows = [
            {
                "name": container.name,
                "service": container.service,
                "state": container.state,
                "health": container.health,
                "exit_code": container.exit_code,
                "image": container.image_reference,
                "ports": list(container.ports),
            }
            for container in containers
        ]
        emit_json({"schema": "slipway/ps/v1", "environment": project.profile.environment, "containers": rows})
        return
    emit_table(
        ("CONTAINER", "SERVICE", "STATE", "HEALTH", "IMAGE", "PORTS"),
        [
            (
                container.name,
                container.service,
                container.state,
                container.health or "-",
                container.image_reference,
                " ".join(container.ports) or "-",
            )
            for container in containers
        ],
    )


def shell(project: Project, name: str, command: str) -> None:
    """Open a shell in a service, or in its debug stage next to it when its image has no shell."""
    service = project.stack.service(name) if name else _default_service(project)
    container = running_container(project, service)
    words = ("-c", command) if command else ()
    tty = interactive()
    for path in shell_plan.SHELLS:
        if project.engine.has_file(container.id, path):
            project.runner.stream(shell_plan.service_shell(project.profile, service, path, words, tty, project.cwd))
            return
    image = _debug_image(project, service)
    project.runner.stream(shell_plan.debug_shell(container, image, words, tty, docker_env(project.profile)))


def _default_service(project: Project) -> Service:
    """Return the only long-running service that is built; raises InputError when there are several."""
    built = [service for service in project.stack.built() if not project.stack.one_off(service)]
    if len(built) == 1:
        return built[0]
    names = ", ".join(project.stack.services)
    raise InputError(
        "which service? there are several",
        f"inv shell --env {project.profile.environment} --service NAME; there are: {names}",
    )


def _debug_image(project: Project, service: Service) -> str:
    target = service.slipway.debug_target
    if service.build is None:
        raise RefusedError(
            f"the image of {service.name} has no shell, and no build section that could make a debug stage",
            "use an image that has a shell, or `docker debug`",
        )
    options = Options((service.name,), target)
    plan = build.plan(project, options)
    build.carry_out(project, plan)
    return plan.targets[0].reference


def clean(project: Project, volumes: bool, images: bool, yes: bool, wait: str = "") -> None:
    """Remove what the project made; lists it first, and asks before it removes volumes.

    With the volumes of a rehearsal its profile goes too.
    """
    _remove(project, volumes, images, yes, wait_seconds(wait))
    if volumes:
        rehearsal.forget(project)


def _remove(project: Project, volumes: bool, images: bool, yes: bool, patience: float) -> None:
    name = project.stack.project
    leftovers = _leftovers(project, volumes)
    plan = clean_plan.plan(leftovers, volumes, images, docker_env(project.profile))
    existing = stack.existing(project)
    stacks = stack.removable(existing)
    stack.tell_unknown(existing, hint=True)
    disturbed = active.found(project)
    if not plan.commands and not stacks and not disturbed:
        note(f"{name}: nothing to remove")
        return
    for throwaway in stacks:
        line = f"throw-away stack {throwaway.name} ({'kept' if throwaway.kept else 'left behind'})"
        project.runner.show(line) if project.runner.dry else note(f"  {line}")
    for line in (*(f"{one.fault} in {one.target} ({one.state})" for one in disturbed), *plan.lines):
        project.runner.show(line) if project.runner.dry else note(f"  {line}")
    freed = f", frees up to {show_size(plan.freed)}" if plan.freed else ""
    if not project.runner.dry:
        note(f"{name}: {len(disturbed) + len(plan.lines) + len(stacks)} things to remove{freed}")
        if volumes and leftovers.volumes:
            confirm(f"remove the volumes of {name} and their data", yes)
    with lock.project_lock(project, "clean", patience):
        active.clear(project)  # while the containers are there: a disk may be full that stays
        # Throw-away stacks first: their containers may use an image of the project.
        for throwaway in stacks:
            stack.remove(project, throwaway)
        failed = None
        for command in plan.commands:
            try:
                project.runner.run(command)
            except CommandError as error:  # an image that another project runs must not stop the removal of volumes
                failed = failed or error
        if failed:
            raise failed


def _leftovers(project: Project, sizes: bool) -> clean_plan.Leftovers:
    """Return everything of a project on the engine, except for test containers in use, which a note reports."""
    name, engine = project.stack.project, project.engine
    busy = sandbox_container.containers_in_use(project)
    if busy:
        note(f"{name}: {len(busy)} test containers are left alone: their process runs, or cannot be seen from here")
    containers = tuple(container for container in engine.containers(name) if container.id not in busy)
    watching, beside = monitoring.parts(project), monitoring_project(name)
    watches = {part.id for part in watching}
    others = {
        container.image_reference
        for container in engine.labelled(PROJECT_LABEL)
        if container.project != name and container.id not in watches
    }
    listed = engine.images()
    owned = (*clean_plan.own_images(listed, name, others), *clean_plan.monitoring_images(listed, beside, others))
    own = {image.id for image in owned}
    mounted = {volume for container in containers for volume in container.volumes}
    history = tuple(NamedResource(part.id, part.name) for part in watching if part.kind == "volume")
    return clean_plan.Leftovers(
        containers=(
            *containers,
            *engine.labelled(f"{MONITORS_LABEL}={name}"),
            *engine.labelled(f"{PLACE_LABEL}={name}"),
        ),
        networks=(*engine.networks(name), *(engine.networks(beside) if watching else ())),
        images=owned,
        volumes=(*engine.volumes(name, mounted, sizes=sizes), *history),
        pins=pins.pins([image for image in listed if image.id not in own], name),
        kept=tuple(resource.name for resource in engine.owned(f"{FILES_LABEL}={name}") if resource.kind == "volume"),
        placed=placed_files.filled_volume_names(engine, name),
    )
