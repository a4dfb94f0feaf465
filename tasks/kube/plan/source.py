"""What a translation starts from: the rendered, pinned model of a release and what it refers to."""

import functools
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar, cast

from ...model.record import Record
from ...model.stack.stack import Stack
from .mentions import Mentions, mentions

Asked = TypeVar("Asked")
ISTIO, LINKERD = "istio", "linkerd"


class ImageFacts(Record):
    """What an image says by itself, as in its configuration; ``None`` where it is not known.

    ``user`` is the text of the configuration (``app:app``), ``uid`` and ``gid`` the numbers that it means in the image,
    ``ports`` as in ``8000/tcp``, ``health`` the HEALTHCHECK as the engine prints it (``Test``, ``Interval`` in
    nanoseconds), ``shell`` whether it has ``/bin/sh``, ``volumes`` the paths of its VOLUMEs, ``copies`` the paths of
    bind mounts at which it has the same files as the project.
    """

    reference: str = ""
    user: str = ""
    uid: int | None = None
    gid: int | None = None
    ports: tuple[str, ...] = ()
    health: Mapping[str, Any] | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: bool | None = None
    volumes: tuple[str, ...] = ()
    users: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    copies: frozenset[str] = frozenset()


class HostFile(Record):
    """What a host path of the model is: ``kind`` is ``file``, ``directory``, ``socket`` or ``missing``.

    ``files`` are the contents by path below it; a file's own is at ``""``. ``tracked``: it belongs to the project
    (below its directory), so that a copy of it is what the service had. ``withheld`` is what keeps a path of the
    project from that: something in it that git ignores, or the file of a secret.
    """

    kind: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    tracked: bool = True
    withheld: str = ""


class Position(Record):
    """Where a key of the model was written: the Compose file as the user named it, and the line, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class KubeSettings(Record):
    """What the profile says about the cluster.

    ``secret_keys`` are the names of the variables that are secret (SECRET_KEYS). ``node_timeout``: how long a node may
    not answer until its Pods are started on another one, in seconds; None: as the cluster says. ``mesh`` is ISTIO,
    LINKERD or ""; ``mesh_ingress``: what leads in from outside is in the mesh as well.
    """

    namespace: str = ""
    ingress_class: str = ""
    storage_class: str = ""
    volume_size: str = ""
    pull_secrets: tuple[str, ...] = ()
    gateway: str = ""
    health_timeout: float = 60.0
    node_timeout: float | None = None
    secret_keys: tuple[str, ...] = ()
    mesh: str = ""
    mesh_ingress: bool = False


class KubeSource(Record):
    """The input of the translation.

    - ``model``: the rendered model as Compose prints it, images pinned by digest; ``stack``: the same, parsed.
    - ``environment``: the profile's name; ``release``: what names a release in names of jobs, "" where nothing is
      deployed.
    - ``images``: facts of images by service; ``files``: what host paths are, by absolute path.
    - ``positions``: where keys were written, by dotted path such as ``services.web.cap_add``.
    - ``profiles``: Compose profiles that are active.
    - ``slots``: the slot (``blue``, ``green``) of the new Pods of a service with a blue-green rollout, by service.
    """

    model: Mapping[str, Any]
    stack: Stack
    environment: str = ""
    release: str = ""
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    files: Mapping[str, HostFile] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    settings: KubeSettings = KubeSettings()
    slots: Mapping[str, str] = field(default_factory=dict)

    def raw(self, service: str) -> Mapping[str, Any]:
        """Return a service as Compose prints it."""
        section: Mapping[str, Any] = self.model["services"][service]
        return section

    def image(self, service: str) -> ImageFacts:
        """Return the facts of a service's image; without knowledge, empty ones."""
        return self.images.get(service, ImageFacts())

    @functools.cached_property
    def _known(self) -> dict[object, object]:
        return {}

    def once(self, ask: Callable[["KubeSource"], Asked]) -> Asked:
        """Return what ``ask`` returns for this source; it is called only once, though each service needs it."""
        if ask not in self._known:
            self._known[ask] = ask(self)
        return cast("Asked", self._known[ask])

    @functools.cached_property
    def mentions(self) -> Mentions:
        """Where the project names hosts; cached, because each service asks for it."""
        contents = {
            posixpath.join(path, name) if name else path: content
            for path, file in self.files.items()
            for name, content in file.files.items()
        }
        return mentions(self.model, contents)
