"""The monitoring of a stack, as far as a stack that goes takes it along: it is in the networks of the stack."""

from ..host.project import Project
from ..model.command import Command
from ..model.compose import docker_env
from ..model.engine.facts import MONITORS_LABEL, LabelledResource, monitoring_project


def parts(project: Project) -> tuple[LabelledResource, ...]:
    """Return the containers and volumes of what monitors a project."""
    return project.engine.owned(f"{MONITORS_LABEL}={project.stack.project}")


def take_down(project: Project, known: tuple[LabelledResource, ...], volumes: bool) -> None:
    """Remove the containers and networks of the monitoring, of which ``known`` are the parts; its volumes if asked."""
    name = monitoring_project(project.stack.project)
    env = docker_env(project.profile)
    # Outside of the project's directory: Compose is to know it by its labels only.
    words = ("docker", "compose", "--project-name", name, "down", "--remove-orphans")
    reason = f"stop {name}, which monitors {project.stack.project}"
    if any(part.kind == "container" for part in known):
        project.runner.run(Command(words, env=env, cwd="/", reason=reason))
    left = (
        () if project.runner.dry else [network.name for network in project.engine.networks(name)]
    )  # of a start that was stopped before it had containers
    if left:
        project.runner.run(Command(("docker", "network", "rm", *left), env=env))
    if volumes and (names := [part.name for part in known if part.kind == "volume"]):
        project.runner.run(Command(("docker", "volume", "rm", *names), env=env))
