"""Prints the plan of a deploy to a cluster as shell lines that can be pasted; nothing is run."""

from dataclasses import replace
from pathlib import Path

from ...build import build
from ...kube.plan.live import revisions
from ...kube.plan.live.takeover import Takeover
from ...model.command import Command
from ...model.units import show_duration
from ...reconcile.plan.operation import BACKUP, SETTLE, SMOKE, WATCH
from ..plan.cluster import NAMESPACE, SECRETS
from . import helm, switch
from .carry_out import begun
from .images import push, pushes
from .prepare import ClusterDeploy, chart_files


def show_commands(prepared: ClusterDeploy) -> None:
    """Print what a deploy would run; the values of secrets are not printed."""
    cluster, runner = prepared.cluster, prepared.cluster.project.runner
    if prepared.deploy.build:
        build.carry_out(cluster.project, prepared.deploy.build)
        if pushes(prepared):
            push(prepared, begun(prepared))
    for operation in prepared.deploy.plan.operations:
        if operation.kind == NAMESPACE:
            runner.run(cluster.kubectl("create", "namespace", operation.subject))
        elif operation.kind == SECRETS:
            runner.show(f"write the Secret {prepared.secret.name}: {operation.subject} (values are not printed)")
        elif operation.kind == BACKUP:
            runner.show(f"backup {operation.subject}, proved by restoring it")
    taking = switch.change(prepared)
    upgrade = _upgrade(prepared, taking)
    if taking.moved:
        _show_switch(prepared, taking)
        runner.run(helm.conclude(cluster, _show_chart(prepared, cluster.release), upgrade))
    else:
        _show_install(prepared, cluster.release, upgrade)
        _show_proofs(prepared)


def show_way_back(prepared: ClusterDeploy, number: int) -> None:
    """Print what a roll back to a revision would run."""
    cluster, taking = prepared.cluster, switch.change(prepared)
    back = helm.back(cluster, number, cluster.project.profile.duration("HEALTH_TIMEOUT"))
    if taking.moved:
        _show_switch(prepared, taking)
    cluster.project.runner.run(back)
    if not taking.moved:
        _show_proofs(prepared)


def _show_switch(prepared: ClusterDeploy, taking: Takeover) -> None:
    cluster, upgrade = prepared.cluster, _upgrade(prepared, taking)
    beside = replace(upgrade, description=revisions.beside(prepared.serving, upgrade.description))
    _show_install(switch.beside(prepared, taking), f"{cluster.release}-beside", beside)
    switch.lead(cluster, taking.leading_on())
    _show_proofs(prepared)


def _upgrade(prepared: ClusterDeploy, taking: Takeover) -> helm.Upgrade:
    project = prepared.cluster.project
    return helm.Upgrade(project.version.text, project.profile.integer("KEEP_RELEASES"), "none", bool(taking.moved))


def _show_install(prepared: ClusterDeploy, name: str, upgrade: helm.Upgrade) -> None:
    hooks = bool(prepared.deploy.plan.jobs)
    longest = max((one for _, one in prepared.timeouts()), default=0)
    directory = _show_chart(prepared, name)
    prepared.cluster.project.runner.run(helm.install(prepared.cluster, directory, upgrade, longest, hooks))


def _show_proofs(prepared: ClusterDeploy) -> None:
    runner = prepared.cluster.project.runner
    for operation in prepared.deploy.plan.operations:
        if operation.kind in (WATCH, SETTLE):
            runner.show(f"watch the Pods of {operation.subject} for {show_duration(operation.seconds)}")
        elif operation.kind == SMOKE:
            runner.show("smoke: run the checks in x-slipway.smoke of the services")


def _show_chart(prepared: ClusterDeploy, name: str) -> Path:
    """Print how the chart of a deploy is written, and return its directory."""
    runner = prepared.cluster.project.runner
    directory = prepared.cluster.project.settings.reports_dir / f"chart-{name}"
    runner.run(Command(("mkdir", "-p", str(directory / "templates" / "tests")), reason="the chart"))
    for path, text in chart_files(prepared).items():
        runner.run(Command(("tee", str(directory / path)), stdin=text, sink="/dev/null"))
    return directory
