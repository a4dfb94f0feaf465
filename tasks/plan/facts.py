"""What the engine says, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Container:
    """One container of a Compose project. ``state`` and ``health`` are the engine's words.

    ``started`` is RFC 3339, ``created`` seconds since the epoch, whole ones. ``binds`` are bind mounts (source on the
    engine's host, target), ``shares`` the ids of containers whose namespaces or volumes it uses, ``directory`` is where
    the project lay when it was made. ``young``: it has run for less than an hour, so it may be one that ends again and
    again.
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
    restarting: bool = False
    restarts: int = 0
    binds: tuple[tuple[str, str], ...] = ()
    shares: tuple[str, ...] = ()
    directory: str = ""
    young: bool = False


@dataclass(frozen=True)
class Image:
    """One local image; ``size`` in bytes, ``created`` RFC 3339.

    ``content`` is a digest of its layers and configuration without labels of ours: images that differ in nothing else
    are the same. A list of images tells none. ``triggers``: it has instructions for what is built from it (ONBUILD).
    ``listens`` are the ports that it exposes.
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


@dataclass(frozen=True)
class Network:
    """A network as the engine has it; ``containers`` are the names of those in it."""

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


@dataclass(frozen=True)
class Volume:
    """A volume as the engine has it."""

    name: str
    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """What a registry has under one reference: ``digest`` is "" when there is nothing.

    ``fault`` is what the engine said when the registry could not be asked. A ``list_`` stands for several platforms.
    """

    digest: str = ""
    fault: str = ""
    list_: bool = False


@dataclass(frozen=True)
class ImageLayer:
    """One instruction of an image and what it adds, in bytes."""

    instruction: str
    size: int


@dataclass(frozen=True)
class NamedResource:
    """A network or a volume; ``size`` in bytes, -1 when the engine does not say."""

    id: str
    name: str
    size: int = -1


@dataclass(frozen=True)
class Owned:
    """A container, network or volume (``kind``) and its labels."""

    kind: str
    id: str
    name: str
    labels: Mapping[str, str]
