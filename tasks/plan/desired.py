"""What is to run: the rendered model of one release, and what everything that it refers to stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .mounts import Content, Reference
from .stack import Stack


@dataclass(frozen=True)
class Wanted:
    """What one service is to be.

    ``image`` is the content of its image, "" when it is not there yet; ``hashes`` are Compose's configuration hashes
    that count as this configuration, in every spelling of it; none when they are not known. ``build`` is why its image
    has to be built, "" when it has not; ``contents`` what its references stand for, by target.
    """

    image: str = ""
    hashes: frozenset[str] = frozenset()
    build: str = ""
    references: tuple[Reference, ...] = ()
    contents: Mapping[str, Content] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """One release to be: its typed model, the model as data, and what each service is to be.

    ``names`` are names of images built for this project and the ids that they are to stand for again; ``release`` is
    the record that this comes from, 0 for what the files say today. ``files`` are recorded files, by digest, which
    the engine has to have for it.
    """

    stack: Stack
    model: Mapping[str, Any]
    services: Mapping[str, Wanted]
    names: Mapping[str, str] = field(default_factory=dict)
    release: int = 0
    files: tuple[str, ...] = ()

    def wanted(self, service: str) -> Wanted:
        """Return what a service is to be."""
        return self.services.get(service, Wanted())
