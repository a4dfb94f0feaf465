"""Containers, images, networks and volumes as the engine reports them, as plain data."""

from collections.abc import Mapping
from dataclasses import field

from ..record import Record

PROJECT_LABEL = "com.docker.compose.project"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"
HASH_LABEL = "com.docker.compose.config-hash"
IMAGE_LABEL = "com.docker.compose.image"
DIRECTORY_LABEL = "com.docker.compose.project.working_dir"
FINGERPRINT_LABEL = "slipway.fingerprint"
FILES_LABEL = "slipway.files"
MONITORS_LABEL, JOINS_LABEL = "slipway.monitors", "slipway.joins"
"""Labels of what monitors a stack: the stack's project, and the networks of the stack that a container is to be in."""


def monitoring_project(project: str) -> str:
    """Return the name of the Compose project that monitors another one."""
    return f"{project}-monitoring"


def monitors(container: str, project: str) -> bool:
    """Whether a container that is not of a project monitors it, by the container's name."""
    return container.startswith(f"{monitoring_project(project)}-")


class Container(Record):
    """A container of a Compose project. ``state`` and ``health`` as the engine spells them.

    ``started`` is RFC 3339, ``created`` whole seconds since the epoch. ``binds`` are bind mounts (source on the
    engine's host, target), ``mounted`` volumes (name, target), ``shares`` the ids of containers whose namespaces or
    volumes it uses, ``directory`` is where the project was when it was made. ``young``: it has run for less than an
    hour, so it may be restarting in a loop. ``grace`` is how long it has to end when it is stopped, in seconds, -1:
    unlimited; a listing does not have it. ``answer`` is what its health check said last, also not in a listing.
    ``addresses`` are its IPv4 and IPv6 addresses in all networks.
    """

    id: str
    name: str
    project: str
    service: str
    image_id: str
    state: str
    number: int = 1
    health: str = ""
    exit_code: int = 0
    oneoff: bool = False
    config_hash: str = ""
    image_reference: str = ""
    created_from: str = ""
    ports: tuple[str, ...] = ()
    started: str = ""
    created: float = 0.0
    oom_killed: bool = False
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    restarting: bool = False
    restarts: int = 0
    binds: tuple[tuple[str, str], ...] = ()
    mounted: tuple[tuple[str, str], ...] = ()
    shares: tuple[str, ...] = ()
    directory: str = ""
    young: bool = False
    grace: float = 10.0
    answer: str = ""


class Image(Record):
    """A local image; ``size`` in bytes, ``created`` RFC 3339.

    ``content`` is a digest of its layers and configuration without labels of ours: images that differ in nothing else
    are the same. A list of images tells none. ``triggers``: it has instructions for what is built from it (ONBUILD).
    ``listens`` are the ports that it exposes, ``health`` the times of its health check as far as it says them:
    interval, timeout, start_period, start_interval in seconds, and retries.
    """

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    created: str = ""
    health_check: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    triggers: bool = False
    listens: tuple[int, ...] = ()
    health: Mapping[str, float] = field(default_factory=dict)


class Network(Record):
    """A network of the engine; ``containers`` are the names of those attached to it."""

    name: str
    id: str = ""
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    subnets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()


class Volume(Record):
    """A volume of the engine."""

    name: str
    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class RegistryImage(Record):
    """The image of a reference in a registry: ``digest`` is "" when there is none.

    ``fault`` is the engine's error when the registry could not be asked; ``list_`` means an index of several platforms.
    """

    digest: str = ""
    fault: str = ""
    list_: bool = False


class ImageLayer(Record):
    """An instruction of an image and the size that it adds, in bytes."""

    instruction: str
    size: int


class NamedResource(Record):
    """A network or a volume; ``size`` in bytes, -1 when the engine does not say."""

    id: str
    name: str
    size: int = -1


class LabelledResource(Record):
    """A container, network or volume (``kind``) and its labels."""

    kind: str
    id: str
    name: str
    labels: Mapping[str, str]
