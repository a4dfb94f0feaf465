"""What tasks ask an engine for, as plain data."""

import base64
import contextlib
import functools
import io
import json
import operator
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.engine.confinement import Confined, Host
from ...model.engine.facts import (
    ANONYMOUS_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    Container,
    Image,
    ImageLayer,
    LabelledResource,
    NamedResource,
    RegistryImage,
)
from ...model.engine.image_contents import content_digest
from ...model.errors import RefusedError, SlipwayError
from .connection import Connection, NotThereError
from .parse import confined_from_inspect, container_from_inspect, container_from_list, health_times, host_from_info
from .watch import Watch

if TYPE_CHECKING:
    from .container_logs import ContainerLogs
    from .data_images import DataImages


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Engine:
    """One engine. Every method raises a SlipwayError when the engine does not answer.

    ``watch`` waits for containers and reads their logs.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._connection = Connection({**os.environ, **(environment or {})})
        self._read, self._find = self._connection.read, self._connection.find
        self._answering = self._connection.answering
        self.asking, self.address = self._connection.asking, self._connection.address
        self.watch = Watch(self._connection, self.containers, self.inspect)

    @property
    def _api(self) -> Any:
        """The SDK's client, for what is changed or streamed; what is only read takes none (``_read``, ``_find``)."""
        return self._connection.api

    @functools.cached_property
    def data(self) -> "DataImages":
        """The images that hold data only."""
        from .data_images import DataImages

        return DataImages(self._connection)

    @functools.cached_property
    def logs(self) -> "ContainerLogs":
        """The logs of the containers, line by line."""
        from .container_logs import ContainerLogs

        return ContainerLogs(self._connection)

    def version(self) -> str:
        """Return the engine's version, such as ``26.1.5``."""
        return str(self._read("/version")["Version"])

    def local(self) -> bool:
        """Whether the engine runs on this very machine, so that its ports are ours."""
        return self.address.startswith(("unix://", "http+unix://"))

    @functools.cached_property
    def _described(self) -> Mapping[str, Any]:
        return dict(self._read("/info"))

    def info(self) -> Mapping[str, Any]:
        """Return what ``docker info`` shows; asked once, for what stays as it is while a task runs."""
        return self._described

    def time(self) -> str:
        """Return what the engine's clock says now, RFC 3339."""
        self._described = dict(self._read("/info"))
        return str(self._described["SystemTime"])

    def root_directory(self) -> str:
        """Return the directory on the engine's host that holds its data."""
        return str(self.info()["DockerRootDir"])

    def named(self, references: Iterable[str]) -> dict[str, Image]:
        """Return the local images that references stand for, by reference."""
        return {
            reference: image for reference in sorted(set(references)) if (image := self.image(reference)) is not None
        }

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return all containers of a Compose project, one-off ones included, by service and number.

        A container that was started by hand from one of the project's images inherits the image's labels, the project's
        among them, but not the one-off label, which Compose gives to containers only.
        """
        return self.labelled(f"{PROJECT_LABEL}={project}", ONEOFF_LABEL)

    def labelled(self, *labels: str) -> tuple[Container, ...]:
        """Return all containers that carry all labels (``key`` or ``key=value``), by service and number."""
        listed = self._read("/containers/json", all=1, filters={"label": list(labels)})
        containers = map(container_from_list, listed)
        return tuple(sorted(containers, key=operator.attrgetter("service", "oneoff", "number", "id")))

    def inspect(self, container_id: str) -> Container | None:
        """Return a container with all its details, None when it is gone."""
        raw = self._inspected(container_id)
        return container_from_inspect(raw) if raw else None

    def _inspected(self, container: str) -> Any:
        """Return the engine's description of a container, or of an image (``sha256:…``); None when it is gone."""
        kind = "images" if container.startswith("sha256:") else "containers"
        return self._find(f"/{kind}/{container}/json")

    def confined(self, project: str) -> tuple[Confined, ...]:
        """Return what each running container of a Compose project may do, one-off ones included."""
        confinements = []
        for container in self.containers(project):
            if container.state == "running" and (raw := self._inspected(container.id)):
                confinements.append(confined_from_inspect(raw))
        return tuple(confinements)

    def confines(self) -> Host:
        """Return what the engine can confine containers with."""
        return host_from_info(self.info())

    def label(self, container_id: str, name: str) -> str:
        """Return the value of a label of a container, "" when it has none or is gone."""
        raw = self._inspected(container_id)
        return str((raw["Config"].get("Labels") or {}).get(name, "")) if raw else ""

    def image(self, reference: str) -> Image | None:
        """Return a local image, None when there is none."""
        raw = self._find(f"/images/{reference}/json")
        if raw is None:
            return None
        health = (raw.get("Config") or {}).get("Healthcheck") or {}
        return Image(
            id=raw["Id"],
            tags=tuple(raw.get("RepoTags") or ()),
            digests=tuple(raw.get("RepoDigests") or ()),
            size=int(raw.get("Size", 0)),
            health_check=(health.get("Test") or ["NONE"])[:1] != ["NONE"],
            health=health_times(health),
            created=str(raw.get("Created", "")),
            labels=(raw.get("Config") or {}).get("Labels") or {},
            content=content_digest(raw),
            triggers=bool((raw.get("Config") or {}).get("OnBuild")),
            listens=tuple(int(port.partition("/")[0]) for port in (raw.get("Config") or {}).get("ExposedPorts") or ()),
        )

    def image_user(self, reference: str) -> str:
        """Return the user that a local image runs as, "" for root or an image that is not there."""
        raw = self._find(f"/images/{reference}/json") or {}
        return str((raw.get("Config") or {}).get("User") or "")

    def remove_container(self, name: str) -> None:
        """Stop and remove a container and its anonymous volumes; no error when it is gone already."""
        from docker.errors import APIError, NotFound

        with self._answering():
            try:
                self._api.remove_container(name, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # its removal is in progress already
                    raise

    def images(self, label: str = "") -> tuple[Image, ...]:
        """Return the local images, newest first; with a ``label`` (``key`` or ``key=value``) those with it."""
        listed = self._read("/images/json", **({"filters": {"label": [label]}} if label else {}))
        images = (
            Image(
                id=raw["Id"],
                tags=tuple(tag for tag in raw.get("RepoTags") or () if tag != "<none>:<none>"),
                digests=tuple(raw.get("RepoDigests") or ()),
                size=int(raw.get("Size", 0)),
                created=_utc(raw.get("Created", 0)),
                labels=raw.get("Labels") or {},
            )
            for raw in listed
        )
        return tuple(sorted(images, key=lambda image: image.created, reverse=True))

    def layers(self, reference: str) -> tuple[ImageLayer, ...]:
        """Return what each instruction of an image adds, first instruction first."""
        history = self._read(f"/images/{reference}/history")
        return tuple(
            ImageLayer(str(layer.get("CreatedBy", "")), int(layer.get("Size", 0))) for layer in reversed(history)
        )

    def networks(self, project: str, *labels: str) -> tuple[NamedResource, ...]:
        """Return the networks of a Compose project; with ``labels`` only those that carry all of them."""
        listed = self._read("/networks", filters={"label": [f"{PROJECT_LABEL}={project}", *labels]})
        return tuple(NamedResource(network["Id"], network["Name"]) for network in listed)

    def unused_networks(self) -> tuple[str, ...]:
        """Return the names of the networks of the whole engine that no container uses, not even a stopped one."""
        # `dangling=true` of Engine 26 lists networks that are in use as well.
        names = {str(network["Name"]) for network in self._read("/networks", filters={"type": ["custom"]})}
        listed = self._read("/containers/json", all=1)
        return tuple(sorted(names - {name for container in listed for name in container_from_list(container).networks}))

    def publishing(self, port: int) -> tuple[str, ...]:
        """Return the names of the running containers of the whole engine that publish a port."""
        listed = self._read("/containers/json", filters={"publish": [str(port)]})
        return tuple(str(container["Names"][0][1:]) for container in listed)

    def volumes(self, project: str, mounted: Collection[str] = (), sizes: bool = False) -> tuple[NamedResource, ...]:
        """Return the volumes of a Compose project, and the anonymous ones among ``mounted``.

        A recreated container mounts the anonymous volumes of its predecessor by name, so `docker rm --volumes` leaves
        them behind. ``sizes``: with their sizes in bytes, for which the engine reads through every volume that it has.
        """
        volumes = self._labelled_volumes(f"{PROJECT_LABEL}={project}")
        if mounted:
            volumes += [volume for volume in self._labelled_volumes(ANONYMOUS_LABEL) if volume["Name"] in mounted]
        known = self._volume_sizes() if sizes and volumes else {}
        names = dict.fromkeys(str(volume["Name"]) for volume in volumes)
        return tuple(NamedResource(name, name, known.get(name, -1)) for name in names)

    def _labelled_volumes(self, label: str) -> list[Mapping[str, Any]]:
        return list(self._read("/volumes", filters={"label": [label]})["Volumes"] or ())

    def _volume_sizes(self) -> Mapping[str, int]:
        """Return the size of each volume in bytes; empty when the engine fails or does not answer in time."""
        try:
            # Only volumes: images and the build cache take even longer.
            usage = self._read("/system/df", type="volume").get("Volumes") or ()
        except SlipwayError:
            return {}
        return {volume["Name"]: int((volume.get("UsageData") or {}).get("Size", -1)) for volume in usage}

    def volume_created(self, name: str) -> float | None:
        """Return when a volume was created, in seconds since the epoch; None when that is not known."""
        raw = self._find(f"/volumes/{name}") or {}
        with contextlib.suppress(KeyError, ValueError):
            return datetime.fromisoformat(str(raw["CreatedAt"])).timestamp()
        return None

    def owned(self, label: str) -> tuple[LabelledResource, ...]:
        """Return the containers, networks and volumes that carry a label (``key`` or ``key=value``), in this order."""
        filters = {"label": [label]}
        resources = [("container", container) for container in self._read("/containers/json", all=1, filters=filters)]
        resources += [("network", network) for network in self._read("/networks", filters=filters)]
        resources += [("volume", volume) for volume in self._labelled_volumes(label)]
        return tuple(
            LabelledResource(
                kind,
                resource.get("Id") or resource["Name"],
                (resource.get("Name") or resource["Names"][0][1:]),
                resource.get("Labels") or {},
            )
            for kind, resource in resources
        )

    def archive(self, container_id: str, path: str) -> Iterator[bytes]:
        """Yield a directory of a container, volumes included, as the pieces of a tar archive."""
        with self._answering():
            yield from self._api.get_archive(container_id, path)[0]

    def reaches(self, reference: str) -> bool:
        """Whether the engine can get an image from its registry (asks for the manifest, pulls nothing)."""
        return bool(self.remote(reference).digest)

    @functools.cached_property
    def _logins(self) -> Any:
        from docker import auth as logins

        warnings.filterwarnings("ignore", module=r"docker\.credentials")  # it raises the same as an error
        file = Path(self._connection.environment.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
        return logins.load_config(str(file)) if file.exists() else logins.AuthConfig({})

    def remote(self, reference: str) -> RegistryImage:
        """Return what a registry has under a reference. The engine asks the registry, with its own TLS settings.

        The credentials are those of ``docker login``, from the directory that DOCKER_CONFIG names.
        """
        from docker import auth as logins
        from docker.errors import APIError, DockerException, NotFound

        try:
            registry, _ = logins.resolve_repository_name(reference)
            auth = logins.resolve_authconfig(self._logins, registry, credstore_env=self._connection.environment)
            try:
                descriptor = self._api.inspect_distribution(reference, auth_config=auth or {})["Descriptor"]
            except APIError as error:
                if "EOF" not in str(error.explanation):
                    raise
                # The engine reused a connection that the registry had closed when it was restarted.
                descriptor = self._api.inspect_distribution(reference, auth_config=auth or {})["Descriptor"]
        except NotFound:
            return RegistryImage()
        except (DockerException, OSError) as error:
            return RegistryImage(fault=str(getattr(error, "explanation", None) or error))
        kind = str(descriptor["mediaType"])
        return RegistryImage(str(descriptor["digest"]), list_=kind.endswith(("list.v2+json", "index.v1+json")))

    def logged_in(self, reference: str) -> bool:
        """Whether `docker login` has credentials for the registry of an image; asks nobody whether they are valid."""
        from docker import auth as logins
        from docker.errors import DockerException

        registry, _ = logins.resolve_repository_name(reference)
        try:
            return bool(logins.resolve_authconfig(self._logins, registry, credstore_env=self._connection.environment))
        except DockerException:  # its credential helper failed
            return False

    def has_file(self, container_id: str, path: str) -> bool:
        """Whether a path exists in a container's file system; starts nothing in it."""
        try:
            return self._path_status(container_id, path) is not None
        except RefusedError:  # the engine does not answer
            raise
        except SlipwayError:
            return False

    def is_file(self, container_id: str, path: str) -> bool:
        """Whether a regular file is there; False also for a container that is gone."""
        status = self._path_status(container_id, path)
        return status is not None and not status.get("linkTarget")

    def _path_status(self, container_id: str, path: str) -> Mapping[str, Any] | None:
        """Return what the engine knows of a path in a container, such as ``linkTarget``; None when nothing is there.

        https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerArchiveInfo
        """
        try:
            reply = self._connection.reply("HEAD", f"/containers/{container_id}/archive", path=path)
        except NotThereError:
            return None
        status: Mapping[str, Any] = json.loads(base64.b64decode(reply.headers["x-docker-container-path-stat"]))
        return status

    def file(self, container: str, path: str) -> bytes:
        """Return the content of a file in a container."""
        import tarfile

        archive = self._connection.reply("GET", f"/containers/{container}/archive", path=path)
        with tarfile.open(fileobj=io.BytesIO(archive.body)) as tar:
            member = tar.extractfile(tar.next() or "")
            return member.read() if member else b""

    def processes(self, container: str) -> tuple[dict[str, str], ...]:
        """Return the processes of a container, each as a mapping of column title to value."""
        table = self._read(f"/containers/{container}/top")
        return tuple(dict(zip(table["Titles"], row, strict=False)) for row in table["Processes"] or ())

    def environment(self, container: str) -> dict[str, str]:
        """Return the environment variables of a container that have a value; empty when the container is gone."""
        return self.started_with(container)[0]

    def started_with(self, container: str) -> tuple[dict[str, str], list[str]]:
        """Return environment and command of a container, or of an image by its id (``sha256:…``); empty if gone."""
        config = (self._inspected(container) or {}).get("Config") or {}
        words = config.get("Env") or ()
        return dict(word.split("=", 1) for word in words if "=" in word), list(config.get("Cmd") or ())

    def tag(self, image: str, reference: str) -> None:
        """Give a local image another name; an image that has that name loses it."""
        repository, _, tag = reference.rpartition(":")
        with self._answering():
            self._api.tag(image, repository, tag, force=True)

    def remove_image(self, reference: str) -> None:
        """Remove a name of an image, and the image with its last name; no error when it is gone already."""
        from docker.errors import NotFound

        with self._answering(), contextlib.suppress(NotFound):
            self._api.remove_image(reference)
