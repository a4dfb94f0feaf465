"""The only place that talks to the Docker engine through its SDK; returns plain data."""

import contextlib
import functools
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
from docker import auth as logins
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import kwargs_from_env

from ..plan.contents import content
from ..plan.errors import RefusedError, SlipwayError
from ..plan.facts import (
    ANONYMOUS_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    Container,
    Image,
    ImageLayer,
    NamedResource,
    Owned,
    Remote,
)
from ..plan.hardening import Confined, Host
from .engine_facts import confined_from_inspect, container_from_inspect, container_from_list, host_from_info
from .engine_records import Records
from .engine_watch import Watch

_TIMEOUT = 60  # seconds; the SDK's own default
_START_HINT = "start it: ./inv setup (here), `systemctl start docker`, or point DOCKER_HOST at one that runs"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(environment: Mapping[str, str]) -> tuple[str, Any]:
    """Return the engine's address and TLS settings by Docker's own order: DOCKER_HOST, then the context."""
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"], None
    name = environment.get("DOCKER_CONTEXT", "")
    # Reading the context costs a file look-up only where a context is set.
    if name or Path(environment.get("DOCKER_CONFIG", Path.home() / ".docker"), "config.json").exists():
        from docker.context import ContextAPI

        context = ContextAPI.get_context(name or None)
        if context is None:
            raise RefusedError(f"docker context {name!r} does not exist", "list them: docker context ls")
        if context.Host:
            return context.Host, context.TLSConfig
    return "unix:///var/run/docker.sock", None


class _Client(docker.APIClient):
    """The SDK's client, for which REQUESTS_CA_BUNDLE does not replace the engine's own authority.

    https://github.com/psf/requests/issues/3829

    ``limit`` is how long an answer, or the next part of one, may take in seconds: also that to a request for events,
    which the SDK would wait for without an end.
    """

    limit: float = _TIMEOUT

    def _get(self, url: str, **words: Any) -> Any:
        return super()._get(url, **{**words, "timeout": self.limit})  # type: ignore[misc]

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        chosen = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, chosen, cert)


def address(environment: Mapping[str, str]) -> str:
    """Return the address of the engine that an environment points at; nothing is asked there."""
    return _address({**os.environ, **environment})[0]


class Engine(Records, Watch):
    """An open connection to one engine. Every method raises a SlipwayError when the engine does not answer."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = self._environment = {**os.environ, **(environment or {})}
        self.address, tls = _address(environment)
        try:
            options: dict[str, Any] = {"tls": tls} if tls else {}
            if environment.get("DOCKER_HOST"):
                options = dict(kwargs_from_env(environment=environment))
            options["base_url"] = self.address
            if self.address.startswith("ssh://"):
                from .engine_ssh import Bridge

                self._bridge = Bridge(self.address)
                options = {"base_url": self._bridge.url}
            # The SDK's type stubs leave some methods untyped.
            self._api: Any = _Client(version="auto", timeout=_TIMEOUT, **options)
            # To a socket no proxy leads and no login of ~/.netrc: nothing is to be looked up for each request.
            self._api.trust_env = not self.address.startswith(("unix://", "http+unix://", "ssh://"))
        except (DockerException, OSError, ValueError) as error:
            raise _unreachable(self.address, error) from None

    def version(self) -> str:
        """Return the engine's version, such as ``26.1.5``."""
        with self._answering():
            return str(self._api.version()["Version"])

    def local(self) -> bool:
        """Whether the engine runs on this very machine, so that its ports are ours."""
        return self.address.startswith(("unix://", "http+unix://"))

    def info(self) -> Mapping[str, Any]:
        """Return what ``docker info`` shows."""
        with self._answering():
            return dict(self._api.info())

    def root_directory(self) -> str:
        """Return the directory on the engine's host that holds its data."""
        return str(self.info()["DockerRootDir"])

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            raise SlipwayError(f"the engine refused: {error.explanation or error}", "see `docker events`") from None
        except (DockerException, OSError) as error:
            raise _unreachable(self.address, error) from None

    def named(self, references: Iterable[str]) -> dict[str, Image]:
        """Return the local images that references stand for, by the reference asked for."""
        return {one: image for one in sorted(set(references)) if (image := self.image(one)) is not None}

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return all containers of a Compose project, one-off ones included, by service and number.

        A container that somebody started from one of the project's images has the image's labels, the project among
        them; whether it is a one-off only a container says of itself.
        """
        return self.labelled(f"{PROJECT_LABEL}={project}", ONEOFF_LABEL)

    def labelled(self, *labels: str) -> tuple[Container, ...]:
        """Return all containers that carry all labels (``key`` or ``key=value``), by service and number."""
        with self._answering():
            listed = self._api.containers(all=True, filters={"label": list(labels)})
        found = map(container_from_list, listed)
        return tuple(sorted(found, key=lambda one: (one.service, one.oneoff, one.number, one.id)))

    def inspect(self, container_id: str) -> Container | None:
        """Return one container in full, None when it is gone."""
        with self._answering():
            try:
                return container_from_inspect(self._api.inspect_container(container_id))
            except NotFound:
                return None

    def confined(self, project: str) -> tuple[Confined, ...]:
        """Return what each running container of a Compose project may do, one-off ones included."""
        found = []
        for one in self.containers(project):
            with self._answering(), contextlib.suppress(NotFound):
                if one.state == "running":
                    found.append(confined_from_inspect(self._api.inspect_container(one.id)))
        return tuple(found)

    def confines(self) -> Host:
        """Return what the engine can confine containers with."""
        return host_from_info(self.info())

    def label(self, container_id: str, name: str) -> str:
        """Return the value of a label of a container, "" when it has none or is gone."""
        with self._answering():
            try:
                return str((self._api.inspect_container(container_id)["Config"].get("Labels") or {}).get(name, ""))
            except NotFound:
                return ""

    def image(self, reference: str) -> Image | None:
        """Return a local image, None when there is none."""
        with self._answering():
            try:
                found = self._api.inspect_image(reference)
            except (ImageNotFound, NotFound):
                return None
        return Image(
            id=found["Id"],
            tags=tuple(found.get("RepoTags") or ()),
            digests=tuple(found.get("RepoDigests") or ()),
            size=int(found.get("Size", 0)),
            health_check=bool((found.get("Config") or {}).get("Healthcheck")),
            created=str(found.get("Created", "")),
            labels=(found.get("Config") or {}).get("Labels") or {},
            content=content(found),
            triggers=bool((found.get("Config") or {}).get("OnBuild")),
            listens=tuple(int(one.partition("/")[0]) for one in (found.get("Config") or {}).get("ExposedPorts") or ()),
        )

    def image_user(self, reference: str) -> str:
        """Return the user that a local image runs as, "" for root or an image that is not there."""
        with self._answering():
            try:
                return str((self._api.inspect_image(reference).get("Config") or {}).get("User") or "")
            except (ImageNotFound, NotFound):
                return ""

    def remove_container(self, name: str) -> None:
        """Stop and remove a container and its anonymous volumes; one that is gone already is fine."""
        with self._answering():
            try:
                self._api.remove_container(name, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # another one is removing it
                    raise

    def images(self, label: str = "") -> tuple[Image, ...]:
        """Return the local images, those that carry a label (``key`` or ``key=value``), newest first."""
        with self._answering():
            listed = self._api.images(filters={"label": label} if label else None)
        images = (
            Image(
                id=found["Id"],
                tags=tuple(tag for tag in found.get("RepoTags") or () if tag != "<none>:<none>"),
                digests=tuple(found.get("RepoDigests") or ()),
                size=int(found.get("Size", 0)),
                created=_utc(found.get("Created", 0)),
                labels=found.get("Labels") or {},
            )
            for found in listed
        )
        return tuple(sorted(images, key=lambda one: one.created, reverse=True))

    def layers(self, reference: str) -> tuple[ImageLayer, ...]:
        """Return what each instruction of an image adds, first instruction first."""
        with self._answering():
            history = self._api.history(reference)
        return tuple(ImageLayer(str(one.get("CreatedBy", "")), int(one.get("Size", 0))) for one in reversed(history))

    def networks(self, project: str) -> tuple[NamedResource, ...]:
        """Return the networks of a Compose project."""
        with self._answering():
            listed = self._api.networks(filters={"label": f"{PROJECT_LABEL}={project}"})
        return tuple(NamedResource(one["Id"], one["Name"]) for one in listed)

    def unused_networks(self) -> tuple[str, ...]:
        """Return the networks of the whole engine that no container is in, also none that is stopped, by name."""
        with self._answering():
            # `dangling=true` of Engine 26 lists networks that are in use as well.
            found = {str(one["Name"]) for one in self._api.networks(filters={"type": "custom"})}
            listed = self._api.containers(all=True)
        return tuple(sorted(found - {name for one in listed for name in container_from_list(one).networks}))

    def publishing(self, port: int) -> tuple[str, ...]:
        """Return the running containers of the whole engine that publish a port, by name."""
        with self._answering():
            return tuple(str(one["Names"][0][1:]) for one in self._api.containers(filters={"publish": str(port)}))

    def volumes(self, project: str, mounted: Collection[str] = (), sizes: bool = False) -> tuple[NamedResource, ...]:
        """Return the volumes of a Compose project, and those without a name that are ``mounted``.

        A container that Compose made anew has its predecessor's by name, so `docker rm --volumes` leaves them.
        ``sizes``: with their sizes, for which the engine reads through every volume that it has.
        """
        with self._answering():
            found = list(self._api.volumes(filters={"label": f"{PROJECT_LABEL}={project}"})["Volumes"] or ())
            if mounted:
                nameless = self._api.volumes(filters={"label": ANONYMOUS_LABEL})["Volumes"] or ()
                found += [one for one in nameless if one["Name"] in mounted]
        known = self._volume_sizes() if sizes and found else {}
        names = dict.fromkeys(str(one["Name"]) for one in found)
        return tuple(NamedResource(name, name, known.get(name, -1)) for name in names)

    def _volume_sizes(self) -> Mapping[str, int]:
        """Return the size of each volume in bytes, of none when the engine does not come to an end with that."""
        try:
            # Only volumes: images and the build cache take even longer.
            answer = self._api._get(self._api._url("/system/df"), params={"type": "volume"})
            usage = self._api._result(answer, True).get("Volumes") or ()
        except (DockerException, OSError):
            return {}
        return {one["Name"]: int((one.get("UsageData") or {}).get("Size", -1)) for one in usage}

    def volume_created(self, name: str) -> float | None:
        """Return when a volume was made, in seconds since the epoch; None when that is not known."""
        with self._answering():
            try:
                return datetime.fromisoformat(str(self._api.inspect_volume(name)["CreatedAt"])).timestamp()
            except (NotFound, KeyError, ValueError):
                return None

    def owned(self, label: str) -> tuple[Owned, ...]:
        """Return the containers, networks and volumes that carry a label (``key`` or ``key=value``), in this order."""
        filters = {"label": label}
        with self._answering():
            found = [("container", one) for one in self._api.containers(all=True, filters=filters)]
            found += [("network", one) for one in self._api.networks(filters=filters)]
            found += [("volume", one) for one in self._api.volumes(filters=filters)["Volumes"] or ()]
        return tuple(
            Owned(kind, one.get("Id") or one["Name"], (one.get("Name") or one["Names"][0][1:]), one.get("Labels") or {})
            for kind, one in found
        )

    def archive(self, container_id: str, path: str) -> Iterator[bytes]:
        """Yield a directory of a container as a tar archive, its volumes included."""
        with self._answering():
            yield from self._api.get_archive(container_id, path)[0]

    def reaches(self, reference: str) -> bool:
        """Whether the engine can get an image from its registry (asks for the manifest, pulls nothing)."""
        return bool(self.remote(reference).digest)

    @functools.cached_property
    def _logins(self) -> Any:
        warnings.filterwarnings("ignore", module=r"docker\.credentials")  # it raises as well
        file = Path(self._environment.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
        return logins.load_config(str(file)) if file.exists() else logins.AuthConfig({})

    def remote(self, reference: str) -> Remote:
        """Return what a registry has under a reference. The engine asks it, with its own TLS settings.

        The credentials are those of ``docker login``, from the directory that DOCKER_CONFIG names.
        """
        try:
            registry, _ = logins.resolve_repository_name(reference)
            auth = logins.resolve_authconfig(self._logins, registry, credstore_env=self._environment)
            try:
                found = self._api.inspect_distribution(reference, auth_config=auth or {})["Descriptor"]
            except APIError as error:
                if "EOF" not in str(error.explanation):
                    raise
                # The engine kept a connection that a registry which was started again had closed.
                found = self._api.inspect_distribution(reference, auth_config=auth or {})["Descriptor"]
        except NotFound:
            return Remote()
        except (DockerException, OSError) as error:
            return Remote(fault=str(getattr(error, "explanation", None) or error))
        return Remote(str(found["digest"]), list_=str(found["mediaType"]).endswith(("list.v2+json", "index.v1+json")))

    def has_file(self, container_id: str, path: str) -> bool:
        """Whether a path exists in a container's file system; starts nothing in it."""
        try:
            stream, _ = self._api.get_archive(container_id, path)
            stream.close() if hasattr(stream, "close") else None
        except (NotFound, APIError):
            return False
        return True


def _unreachable(address: str, error: Exception) -> RefusedError:
    if "PermissionError" in str(error) or isinstance(error, PermissionError):
        return RefusedError(f"no permission to use the engine at {address}", "join the docker group, or use sudo")
    return RefusedError(f"no Docker engine answers at {address}", _START_HINT)
