"""Which kind of object keeps the Pods of a service: it follows what the service is, and not ``restart``.

A job is what ``x-slipway.job`` says, what another service waits for with ``service_completed_successfully``, and what
``deploy.mode`` calls one. Data for tries (``job: seed``) is put in when somebody asks for it, and never by applying
objects: a CronJob that is suspended is what ``kubectl create job --from=cronjob/NAME`` starts, as often as it is
asked to; a suspended Job could be started once, and clients that wait for Jobs would wait for it. Tests and load
generators are no part of what is deployed.
"""

from ....model.stack.extension import JOBS, ROLES
from ....model.stack.stack import Service, Stack
from ..source import KubeSource

DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, CRON_JOB, NOTHING = (
    *("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"),
    "",
)
# Of a CronJob that starts nothing by itself; it has to have a schedule.
ASKED_FOR = {"schedule": "0 0 1 1 *", "suspend": True, "concurrencyPolicy": "Forbid"}
ENDING = (JOB, CRON_JOB)  # those whose Pods are meant to end
_, SEED, TEST, _ = JOBS
DATABASE, LOAD_GENERATOR = ROLES


def kind(source: KubeSource, service: Service) -> str:
    """Return the kind of a service's workload, ``NOTHING`` for a service that is never deployed.

    A Deployment becomes a StatefulSet when another aspect adds ``volumeClaimTemplates``.
    """
    mode = deploy_mode(source, service)
    if not deployed(service):
        return NOTHING
    if service.slipway.job == SEED:
        return CRON_JOB
    if source.stack.one_off(service) or mode == "replicated-job":
        return JOB
    if mode.startswith("global"):
        return DAEMON_SET
    return STATEFUL_SET if service.slipway.role == DATABASE else DEPLOYMENT


def deploy_mode(source: KubeSource, service: Service) -> str:
    """Return ``deploy.mode`` of a service, "" when the Compose file does not say it."""
    return str((source.raw(service.name).get("deploy") or {}).get("mode") or "")


def deployed(service: Service) -> bool:
    """Whether a service becomes objects at all: tests and load generators do not."""
    return service.slipway.job != TEST and service.slipway.role != LOAD_GENERATOR


def awaited(stack: Stack, service: Service) -> bool:
    """Whether another service waits for a service to end well, or it is the migration."""
    migrates = service.slipway.job == JOBS[0]
    waited = any(
        other.depends_on.get(service.name) == "service_completed_successfully" for other in stack.services.values()
    )
    return migrates or waited
