"""Runs commands where a service runs: in its container on an engine, in its Pod on a cluster."""

from collections.abc import Sequence

from ..host.project import Project
from ..host.readiness import running_container
from ..model.command import Command
from ..model.compose import compose
from ..model.stack.stack import Service

_READ_THE_REST = '"$@"; code=$?; cat > /dev/null; exit $code'


def command(project: Project, service: str, words: Sequence[str], tty: bool = False, reason: str = "") -> Command:
    """Return the command that runs words inside a service; it has our stdin, and a terminal with ``tty``."""
    if project.clustered:
        from ..kube.live import inside  # nothing of it is loaded for an engine

        return inside.command(project, service, words, tty, reason)
    flags = () if tty else ("--no-TTY",)
    return compose(project.profile, "exec", *flags, service, *words, cwd=project.cwd, reason=reason)


def to_the_end(words: Sequence[str]) -> tuple[str, ...]:
    """Return words that read their stdin to its end, also what the command in them leaves unread.

    `kubectl exec` waits for ever when a command ends before it has read what was sent (seen with a dump of 200 kB, of
    which `pg_restore --list` reads the beginning). So a shell in the container reads the rest.
    """
    return ("sh", "-c", _READ_THE_REST, "sh", *words)


def require_running(project: Project, service: Service) -> None:
    """Raise RefusedError unless a service is running."""
    if project.clustered:
        from ..kube.live import inside
        from ..kube.live.cluster import Cluster

        inside.running(Cluster(project), service.name)
        return
    running_container(project, service)


def keep_locks(project: Project) -> None:
    """Let the locks of a project on a cluster be kept there."""
    if project.clustered:
        from ..kube.live import leases

        leases.use(project)


def run_job(project: Project, service: str, reason: str) -> None:
    """Run the job of a service on a cluster once; raises CommandError with its exit code when it fails."""
    from ..kube.live import jobs
    from ..kube.live.cluster import Cluster

    jobs.run(Cluster(project), service, reason)
