"""What a plan asks a cluster before anything is rendered: all at once, while Compose and Python work."""

from ...host.project import Project
from ...model.record import Record
from ..plan.data.held import secret_name
from ..plan.live.difference import Raw
from .cluster import Cluster
from .history import History
from .inventory import Inventory


class Asked(Record):
    """A cluster, what a project has on it, and its history; each waits for its answer when it is first looked at."""

    cluster: Cluster
    inventory: Inventory
    history: History

    def secret(self) -> Raw | None:
        """Return the Secret of the project, None where there is none."""
        name = secret_name(self.cluster.name)
        return next((raw for raw in self.inventory.secrets if raw["metadata"]["name"] == name), None)


def ask(project: Project) -> Asked:
    """Ask the cluster of a project; raises InputError where the profile does not name it."""
    cluster = Cluster(project)
    inventory = Inventory(cluster)
    return Asked(cluster, inventory, History(cluster, lambda: inventory.records))
