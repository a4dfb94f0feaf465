"""What runs, as plain data: everything on the engine that a deploy decides on."""

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Any

from ...model.engine.facts import Container, Image, Network, Volume
from ...model.record import Record
from .configuration import MadeWith
from .mounts import Content

# Noted while files in a volume are exchanged; a later deploy that reads it exchanges them again.
UNFINISHED = Content("unfinished")


class Stamp(Record):
    """What Slipway noted about a container when it created it.

    - ``references``: the contents of its secrets, configs and bind mounts, by target.
    - ``proven``: for a container of a rollout, that it was watched to the end; True for every other container.
    - ``configuration``: a digest of its service in the Compose files, if the container was created from a changed
      definition (see ``placed``).
    """

    references: Mapping[str, Content] = field(default_factory=dict)
    proven: bool = True
    configuration: str = ""

    def with_(self, contents: Mapping[str, Content]) -> "Stamp":
        """Return the stamp with other contents of some references."""
        return replace(self, references={**self.references, **contents})


class Ran(Record):
    """The last successful run of a job: its ``identities`` (`difference.job_digests`) and the release that ran it.

    ``migrations``: the digests of the migrations that it had, by name; None if they were not noted.
    """

    identities: frozenset[str]
    release: int = 0
    migrations: Mapping[str, str] | None = None

    def document(self) -> list[Any]:
        """Return the run as JSON data."""
        noted = () if self.migrations is None else (dict(self.migrations),)
        return [sorted(self.identities), self.release, *noted]


class State(Record):
    """What Slipway keeps on the engine in addition to releases.

    ``stamps`` are by container id, ``jobs`` by service; ``seconds`` says how long each service was last interrupted.
    ``unrecorded``: a deploy changed something and then neither recorded its release nor went back.
    """

    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    jobs: Mapping[str, Ran] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    unrecorded: bool = False

    def document(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {
            "stamps": {
                name: {
                    "proven": stamp.proven,
                    "references": {k: [v.digest, v.place] for k, v in stamp.references.items()},
                    **({"configuration": stamp.configuration} if stamp.configuration else {}),
                }
                for name, stamp in self.stamps.items()
            },
            "jobs": {name: ran.document() for name, ran in self.jobs.items()},
            "seconds": dict(self.seconds),
            "unrecorded": self.unrecorded,
        }

    def stamped(self, stamps: Mapping[str, Stamp]) -> "State":
        """Return the state with the stamps of more containers."""
        return replace(self, stamps={**self.stamps, **stamps})

    def kept(self, containers: Collection[str]) -> "State":
        """Return the state with only the stamps of these containers."""
        return replace(self, stamps={name: stamp for name, stamp in self.stamps.items() if name in containers})


def state_from(document: Any) -> State:
    """Return the state that a document describes; an empty state if it cannot be read.

    Unknown members, written by a later version of Slipway, are ignored.
    """
    try:
        stamps = {
            name: Stamp(
                {key: Content(*pair[:2]) for key, pair in entry["references"].items()},
                bool(entry["proven"]),
                str(entry.get("configuration", "")),
            )
            for name, entry in document["stamps"].items()
        }
        jobs = {
            name: Ran(_identities(entry[0]), int(entry[1]), dict(entry[2]) if len(entry) > 2 else None)
            for name, entry in document["jobs"].items()
        }
        seconds = {name: float(value) for name, value in document["seconds"].items()}
        return State(stamps, jobs, seconds, bool(document["unrecorded"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return State()


class Observed(Record):
    """What was seen on the engine at one time.

    - ``images``: the images on the engine, by the reference in the model; ``contents``: content ids of the images of
      the containers, by image id.
    - ``seen``: the digest that a container sees of a reference, by container id and target, where it can be known.
    - ``upstreams``: the texts of the proxy's files, by service; ``front``: the proxy's running containers.
    - ``clearable``: ids of containers with ``rm`` in their image, so that files can be deleted from their volumes.
    - ``other_profiles``: services with containers that only another Compose profile declares.
    - ``taken_ports``: ports that the model publishes and another program listens on.
    - ``made``: what containers with another configuration were created with, by container id, as far as known.
    """

    containers: tuple[Container, ...] = ()
    images: Mapping[str, Image] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    state: State = field(default_factory=State)
    seen: Mapping[tuple[str, str], str] = field(default_factory=dict)
    upstreams: Mapping[str, str] = field(default_factory=dict)
    clearable: frozenset[str] = frozenset()
    front: tuple[str, ...] = ()
    other_profiles: frozenset[str] = frozenset()
    taken_ports: tuple[int, ...] = ()
    made: Mapping[str, MadeWith] = field(default_factory=dict)

    def of(self, service: str) -> tuple[Container, ...]:
        """Return the containers of a service by number, without those of ``docker compose run``."""
        containers = (
            container for container in self.containers if container.service == service and not container.oneoff
        )
        return tuple(sorted(containers, key=lambda container: container.number))

    def running(self, service: str) -> tuple[Container, ...]:
        """Return the running containers of a service."""
        return tuple(container for container in self.of(service) if container.state == "running")

    def content(self, container: Container) -> str:
        """Return the content id of a container's image.

        The image id that Compose recorded comes first: for a multi-platform image the engine may show the id of a
        single platform instead.
        """
        image = container.created_from or container.image_id
        return self.contents.get(image, image)


def duplicates(observed: Observed) -> tuple[Container, ...]:
    """Return the stopped containers that share service and number with another container.

    To recreate a container Compose first creates the new one under a temporary name, next to the old one. If it is
    killed then, both are left. The running container is kept, else the one with the regular name.
    """
    first: dict[tuple[str, int], Container] = {}
    surplus = []
    usual = [container for container in observed.containers if not container.oneoff]
    for container in sorted(
        usual, key=lambda container: (container.state != "running", not container.name.endswith(f"-{container.number}"))
    ):
        if (
            first.setdefault((container.service, container.number), container) is not container
            and container.state != "running"
        ):
            surplus.append(container)
    return tuple(surplus)


def _identities(noted: str | list[str]) -> frozenset[str]:
    """Return the identities of a run; an earlier version noted one."""
    return frozenset((noted,) if isinstance(noted, str) else map(str, noted))
