"""What a service mesh makes of a service: the interface behind which each mesh is (``meshes.py`` knows all of them)."""

from collections.abc import Callable, Iterable, Iterator

from ....model.record import Record
from ....model.stack.stack import Service
from ..outcome import KeyOutcome
from ..part import Fields, Part
from ..source import KubeSource


class Mesh(Record):
    """A mesh: what its sidecars take for themselves, and what it adds to the objects of a service.

    - ``user`` is the number of the user that its sidecars run as, ``ports`` those that they listen at.
    - ``outside``: what keeps a sidecar away from Pods.
    - ``member``: the sidecar of a service and who is let in.
    - ``routed``: the objects of a service with what leads requests to it.
    - ``told``: what became of its ports and of its check.
    - ``divides``: whether its new Pods get a share of the requests, as a canary; ``weights``: the kind that says which.
    """

    user: int
    ports: frozenset[int]
    outside: Part
    weights: str
    member: Callable[[KubeSource, Service], Part]
    routed: Callable[[KubeSource, Service, Iterable[Fields]], tuple[Fields, ...]]
    told: Callable[[KubeSource, Service], Iterator[KeyOutcome]]
    divides: Callable[[KubeSource, Service], bool]
