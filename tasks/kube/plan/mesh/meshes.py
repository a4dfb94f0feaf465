"""The meshes that a profile may name (``MESH``), and what the one that it names adds to a service."""

from collections.abc import Iterable, Iterator

from ....model.stack.stack import Service
from ..names import label
from ..network.ports import container_ports
from ..outcome import KeyOutcome, ignored, refused
from ..part import Fields, Part, together
from ..source import ISTIO, LINKERD, KubeSource
from . import istio, linkerd
from .members import account, in_mesh
from .mesh import Mesh

KEYS: frozenset[str] = frozenset()
_MESHES = {ISTIO: istio.MESH, LINKERD: linkerd.MESH}


def mesh_of(source: KubeSource) -> Mesh | None:
    """Return the mesh of the environment, None for none."""
    return _MESHES.get(source.settings.mesh)


def part(source: KubeSource, service: Service) -> Part:
    """Return the sidecar of a service, its account and its policies; nothing without a mesh."""
    mesh = mesh_of(source)
    if mesh is None:
        return Part()
    where = f"services.{service.name}"
    if not in_mesh(source, service):
        mode = source.raw(service.name)["network_mode"]
        reason = f"it has no sidecar with network_mode: {mode}, and services of the mesh do not answer it"
        return together((mesh.outside, Part(outcomes=(ignored(f"{where}.network_mode", reason),))))
    own = Part(
        pod={"serviceAccountName": label(service.name)},
        objects=(account(source, service),),
        outcomes=tuple(_not_carried(source, service, mesh, where)),
    )
    return together((own, mesh.member(source, service)))


def routed(source: KubeSource, service: Service, objects: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return the objects of a service with what leads requests of the mesh to its Services, each name for itself."""
    mesh = mesh_of(source)
    return mesh.routed(source, service, objects) if mesh and in_mesh(source, service) else tuple(objects)


def outcomes(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    """Yield what became of a service's ports and of its check."""
    mesh = mesh_of(source)
    if mesh and in_mesh(source, service):
        yield from mesh.told(source, service)


def shared(source: KubeSource, service: Service) -> bool:
    """Whether a canary of a service gets a share of the requests by the mesh."""
    mesh = mesh_of(source)
    return mesh is not None and mesh.divides(source, service)


def _not_carried(source: KubeSource, service: Service, mesh: Mesh, where: str) -> Iterator[KeyOutcome]:
    """Yield what a sidecar does not carry, and what would go past it."""
    ports = container_ports(source, service)
    if udp := [str(port.number) for port in ports if port.protocol != "tcp"]:
        yield ignored(
            f"{where}.ports", f"a mesh carries TCP: {', '.join(udp)}/udp is guarded by the NetworkPolicy only"
        )
    if taken := sorted({port.number for port in ports if port.number in mesh.ports}):
        hint = "let the service listen at another port"
        yield refused(f"{where}.ports", f"the sidecar listens at {', '.join(map(str, taken))} itself", hint)
    said = str(source.raw(service.name).get("user") or "").partition(":")[0]
    if said == str(mesh.user) or (not said and source.image(service.name).uid == mesh.user):
        reason = f"user {mesh.user} is the sidecar's: what it sends goes past the mesh"
        yield refused(f"{where}.user", reason, "let the service run as another user")
