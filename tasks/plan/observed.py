"""What runs, as far as a deploy decides on it: one look at the engine, as plain data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .facts import Container, Image, Network, Volume
from .mounts import Content


@dataclass(frozen=True)
class Stamp:
    """What Slipway noted of a container when it made it: what it refers to stood for, and whether it was proven.

    ``references`` holds the content by the reference's target. A container of a rollout is proven when it was watched
    to the end; every other one is when it runs.
    """

    references: Mapping[str, Content] = field(default_factory=dict)
    proven: bool = True


@dataclass(frozen=True)
class Ran:
    """The last run of a job that ended well: what it was (``identity``) and the release that ran it."""

    identity: str
    release: int = 0


@dataclass(frozen=True)
class State:
    """What Slipway keeps on the engine beside releases, by container id, job and interrupted service (seconds).

    ``unrecorded``: a deploy has changed something and did not come to record its release, or to go back.
    """

    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    jobs: Mapping[str, Ran] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    unrecorded: bool = False

    def document(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {
            "stamps": {
                name: {"proven": one.proven, "references": {k: [v.digest, v.place] for k, v in one.references.items()}}
                for name, one in self.stamps.items()
            },
            "jobs": {name: [one.identity, one.release] for name, one in self.jobs.items()},
            "seconds": dict(self.seconds),
            "unrecorded": self.unrecorded,
        }

    def stamped(self, stamps: Mapping[str, Stamp]) -> "State":
        """Return the state with notes of more containers."""
        return replace(self, stamps={**self.stamps, **stamps})

    def kept(self, containers: Collection[str]) -> "State":
        """Return the state without notes of containers that are gone."""
        return replace(self, stamps={name: one for name, one in self.stamps.items() if name in containers})


def state_from(document: Any) -> State:
    """Return the state that a document describes; an empty one for what is not understood."""
    try:
        stamps = {
            name: Stamp({key: Content(*pair) for key, pair in one["references"].items()}, bool(one["proven"]))
            for name, one in document["stamps"].items()
        }
        jobs = {name: Ran(str(identity), int(release)) for name, (identity, release) in document["jobs"].items()}
        seconds = {name: float(one) for name, one in document["seconds"].items()}
        return State(stamps, jobs, seconds, bool(document["unrecorded"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return State()


@dataclass(frozen=True)
class Observed:
    """One look at the engine.

    ``images`` are what references stand for now, ``contents`` the contents of the images of containers by id; ``seen``
    is what a container sees of a reference, by container id and target, where that can be known. ``upstreams`` are the
    proxy's files by service, ``front`` names the proxy's running containers. ``strangers`` are containers of no service
    of the files that are another Compose profile's, ``taken_ports`` wanted ports that something else listens on.
    """

    containers: tuple[Container, ...] = ()
    images: Mapping[str, Image] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    state: State = field(default_factory=State)
    seen: Mapping[tuple[str, str], str] = field(default_factory=dict)
    upstreams: Mapping[str, str] = field(default_factory=dict)
    front: tuple[str, ...] = ()
    strangers: frozenset[str] = frozenset()
    taken_ports: tuple[int, ...] = ()

    def of(self, service: str) -> tuple[Container, ...]:
        """Return the containers of a service, one-off runs by hand left out, by number."""
        found = (one for one in self.containers if one.service == service and not one.oneoff)
        return tuple(sorted(found, key=lambda one: one.number))

    def running(self, service: str) -> tuple[Container, ...]:
        """Return the running containers of a service."""
        return tuple(one for one in self.of(service) if one.state == "running")

    def content(self, container: Container) -> str:
        """Return the content of a container's image: the one that Compose recorded, where the engine shows another.

        An engine may show the image of one platform where the name stands for a list of them.
        """
        image = container.created_from or container.image_id
        return self.contents.get(image, image)


def doubles(observed: Observed) -> tuple[Container, ...]:
    """Return the containers that do not run and have the number of another one of their service.

    Compose makes a container anew beside the one that it replaces, by a name for the meantime. Where it is killed both
    are left: the one of the right name stays, or the one that runs.
    """
    known: dict[tuple[str, int], Container] = {}
    found = []
    usual = [one for one in observed.containers if not one.oneoff]
    for one in sorted(usual, key=lambda one: (one.state != "running", not one.name.endswith(f"-{one.number}"))):
        if known.setdefault((one.service, one.number), one) is not one and one.state != "running":
            found.append(one)
    return tuple(found)
