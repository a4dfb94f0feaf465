"""Where everything of a cluster is: files, addresses, names. All of it is derived from a directory and a number."""

from dataclasses import dataclass
from pathlib import Path

FIRST, LAST = 180, 219  # of the networks 10.N.0.0/16 that a cluster may take
PAUSE = "slipway.test/pause:1"
COMPONENTS = "slipway.test/components:1"
STORAGE_CLASS = "local"
GRACE = 50  # seconds, as Kubernetes has it
VOLUMES = 60  # how many claims all tests together can bind, on all nodes


@dataclass(frozen=True)
class Layout:
    """A cluster: ``directory`` has its files, ``programs`` the built components, ``number`` says which addresses.

    ``size`` is how many nodes it has, ``grace`` after how many seconds of silence a node is found not ready.
    """

    directory: Path
    programs: Path
    number: int
    size: int = 1
    grace: int = GRACE

    @property
    def nodes(self) -> "tuple[Node, ...]":
        """All nodes, first the one that has the control plane as well."""
        return tuple(Node(self, number) for number in range(1, self.size + 1))

    @property
    def host(self) -> str:
        """The address of this machine on the link to the first node."""
        return f"10.{self.number}.128.1"

    @property
    def pods(self) -> str:
        """The network of all Pods."""
        return f"10.{self.number}.0.0/18"

    @property
    def services(self) -> str:
        """The network of Services."""
        return f"10.{self.number}.64.0/18"

    @property
    def between(self) -> str:
        """The network between the nodes: a bridge in the first one, which has no wire to this machine."""
        return f"10.{self.number}.129.0/24"

    @property
    def gateway(self) -> str:
        """The address of the first node in the network between the nodes."""
        return f"10.{self.number}.129.1"

    @property
    def api_service(self) -> str:
        """The address of the Service ``kubernetes``: the first of the network."""
        return f"10.{self.number}.64.1"

    @property
    def dns(self) -> str:
        """The address of the cluster's name server."""
        return f"10.{self.number}.64.10"

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://{self.nodes[0].address}:6443"

    @property
    def link(self) -> str:
        """The network interface of this machine that leads to the first node."""
        return f"slipway-k{self.number}"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator."""
        return self.pki / "admin.conf"

    @property
    def pki(self) -> Path:
        """Certificates and kubeconfigs."""
        return self.directory / "pki"

    @property
    def images(self) -> Path:
        """The images that each node has from the start."""
        return self.directory / "images"

    @property
    def registries(self) -> Path:
        """Where each containerd is told how to reach a registry, a directory for each."""
        return self.directory / "registries"

    @property
    def logs(self) -> Path:
        """A directory for each node, with a log of each component."""
        return self.directory / "logs"


@dataclass(frozen=True)
class Node:
    """A node of a cluster; ``number`` counts from 1."""

    cluster: Layout
    number: int

    @property
    def name(self) -> str:
        """The name in the cluster."""
        return f"node-{self.number}"

    @property
    def first(self) -> bool:
        """Whether it has the control plane."""
        return self.number == 1

    @property
    def address(self) -> str:
        """The address: of the first one on its link to this machine, of others in the network between nodes."""
        return f"10.{self.cluster.number}.{'128.2' if self.first else f'129.{self.number}'}"

    @property
    def pods(self) -> str:
        """The network of its Pods."""
        return f"10.{self.cluster.number}.{self.number - 1}.0/24"

    @property
    def group(self) -> str:
        """The control group of its Pods."""
        return self.cluster.link if self.first else f"{self.cluster.link}-{self.number}"

    @property
    def directory(self) -> Path:
        """Its disk."""
        return self.cluster.directory / self.name

    @property
    def run(self) -> Path:
        """What is lost when it has no power."""
        return self.directory / "run"

    @property
    def containerd(self) -> Path:
        """The socket of its own containerd."""
        return self.run / "containerd.sock"

    @property
    def volumes(self) -> tuple[Path, ...]:
        """The directories that claims are bound to."""
        return tuple(self.directory / "volumes" / str(number) for number in range(VOLUMES // self.cluster.size))

    @property
    def logs(self) -> Path:
        """A log of each component."""
        return self.cluster.logs / self.name
