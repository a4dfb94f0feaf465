"""The flow of ``inv setup``."""

from invoke import Context
from invoke.exceptions import Exit

from ..host import machine
from ..host.output import WARNING, note
from ..host.profile import settings
from ..host.project import Project
from ..host.runner import Runner, available
from ..image.plan import signing
from ..model.errors import SlipwayError
from . import base_images, cluster, kube_clients
from .plan import check


def run(c: Context, everything: bool) -> None:
    """Make this machine ready, also for a `check` that follows; what is installed already is left alone.

    Secrets that the chosen environment lacks, and that nothing makes, are named at the end.
    ``everything``: also install programs that no profile asks for, and build stand-ins for images of the monitoring.
    """
    runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
    base_images.install_and_start(runner)
    checks = "check" in str(c.config.get("called", "")).split()
    if everything or checks:
        _install_programs(runner)
    if everything:
        cluster.begin(runner)
    if runner.dry and machine.engine_version() is None:
        runner.show("then: probe the registry, write envs/base.local.env, make development secrets and base images")
        runner.show("what comes after setup can be planned once this is done")
        raise Exit(code=0)
    project = Project(c)
    base_images.write_local_layer(runner, base_images.probe_machine(project))
    sign, orchestrated = everything, False  # cosign, 70 MB, and clients, 120 MB, only where they are needed
    for name in settings.environments():
        project = Project(c, name)
        base_images.make_secrets(runner, project.profile, project.stack)
        sign = sign or signing.wanted(project.profile)
        orchestrated = orchestrated or project.profile.text("ORCHESTRATOR") == "kubernetes"
    if sign:
        base_images.install(runner, {signing.PROGRAM: signing.PROGRAM})
    if everything or orchestrated:
        kube_clients.install(runner)
    project = Project(c)  # read again: the local layer may have changed
    if base_images.missing_bases(project):
        base_images.bases(project)
    if everything:
        base_images.provide_monitoring(project)
        cluster.finish(runner, wait=not checks)
    _tell_ready(project)


def _tell_ready(project: Project) -> None:
    """Say that the machine is ready, and which secrets the environment that was asked for still lacks."""
    missing = () if project.runner.dry else project.missing_secrets(project.stack)
    if not missing:
        note("this machine is ready")
        return
    name = project.profile.environment
    note(f"this machine is ready, but for {name} these secret files do not exist: {', '.join(missing)}", WARNING)
    note("  hint: write them there (mode 0644 in a directory of mode 0700)", WARNING)


def _install_programs(runner: Runner) -> None:
    """Install the programs that tests run; where that cannot be done, the tests leave them out."""
    for subject, programs in check.PROGRAMS.items():
        try:
            base_images.install(runner, programs)
        except SlipwayError as error:
            missing = ", ".join(name for name in programs if not available(name))
            note(f"the tests of {subject} leave out {missing}: {error.message.splitlines()[0]}")
