"""Deploys an environment; when there is nothing to do it says so without loading the rest."""

from typing import TYPE_CHECKING

from ..host.machine import give_way
from ..host.profile.settings import rehearsed_by
from ..host.project import Project
from ..model.errors import InputError
from ..model.lock import wait_seconds
from .pending import has_operations, prepare_deploy, unfinished
from .prepare import DeployRequest
from .status import nothing_to_do, orphans_note

if TYPE_CHECKING:
    from .plan.agreed import AgreedPlan


def run(
    project: Project,
    yes: bool,
    build: bool,
    json: bool,
    wait: str = "",
    interrupt: bool = False,
    take: bool = False,
    plan: str | None = None,
) -> None:
    """Deploy an environment; raises DeployError (exit code 4) when the deploy began and failed.

    ``interrupt`` allows a deploy during which services cannot be reached, ``take`` one that changes a stack that was
    deployed from another directory. ``plan`` is the file of a plan that has to be carried out, and no other.
    """
    if project.clustered:
        from .cluster import deploy as on_cluster  # nothing of it is loaded for a deploy to an engine

        agreed = None if plan is None else _agreed(project, plan, build)
        on_cluster.run(project, yes, build, json, wait, interrupt, agreed)
        return
    give_way(project.profile.integer("DEPLOY_NICE"))
    try:
        _run(project, yes, build, json, wait_seconds(wait), interrupt, take, plan)
    finally:
        if rehearsed_by(project.profile.environment, project.settings):
            from ..env import rehearsal  # loaded only for a rehearsal

            rehearsal.tell(project)


def _run(
    project: Project, yes: bool, build: bool, json: bool, patience: float, interrupt: bool, take: bool, plan: str | None
) -> None:
    agreed = None if plan is None else _agreed(project, plan, build)
    prepared = prepare_deploy(project, DeployRequest(build=build))
    if agreed:
        from .written_plan import refuse_moved

        refuse_moved(project, prepared, agreed)
    orphans_note(prepared.deploy.plan)
    if not has_operations(prepared) and not unfinished(project, prepared):
        nothing_to_do(project, prepared.deploy, json)
        return
    from . import carry_out  # loads all modules for building, releasing and rolling back

    carry_out.carry_out(project, prepared, yes, build, json, patience, interrupt, take, agreed)


def _agreed(project: Project, name: str, build: bool) -> "AgreedPlan":
    if build:
        raise InputError("--plan and --build: a plan says itself what is built", "leave --build out")
    from .written_plan import read, require_file

    require_file("--plan", name)
    return read(project, name)
