"""How the running Pods of an environment are confined."""

from ...host.project import Project
from ...model.engine.confinement import Confined
from ...model.record import Record
from ..plan import labels
from ..plan.live import confined
from ..plan.names import by_label
from .cluster import Cluster


class PodConfinement(Record):
    """The containers of Pods, the services that have a token of the API, and those of whose user nothing is known."""

    containers: tuple[Confined, ...]
    with_token: tuple[str, ...]
    nameless: tuple[str, ...]


def of_pods(project: Project) -> PodConfinement:
    """Return how the running Pods of a project are confined."""
    cluster, names = Cluster(project), by_label(project.stack.services)
    listed = cluster.read("get", "pods", "--selector", f"{labels.PROJECT}={cluster.name}", missing='{"items": []}')
    containers = confined.confined(listed["items"], names)
    nameless = sorted({one.service or one.name for one in containers if one.user == confined.UNKNOWN})
    return PodConfinement(containers, confined.with_token(listed["items"], names), tuple(nameless))
