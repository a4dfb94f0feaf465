"""What should run: the rendered model of a release, and the content of everything that it refers to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ...model.record import Record
from ...model.stack.stack import Stack
from ...release.plan.release import Pinned, pinned
from .mounts import Content, Reference


class Wanted(Record):
    """What a service should be.

    - ``image``: the content id of its image, "" when the image is not on the engine yet.
    - ``hashes``: Compose's configuration hashes that mean this configuration, one for each spelling of it; empty when
      they are not known.
    - ``build``: why its image has to be built, "" when it need not be.
    - ``references``: the secrets, configs and bind mounts of the service; ``contents``: their contents, by target.
    """

    image: str = ""
    hashes: frozenset[str] = frozenset()
    build: str = ""
    references: tuple[Reference, ...] = ()
    contents: Mapping[str, Content] = field(default_factory=dict)


class Desired(Record):
    """The state that a deploy should reach: the typed model, the model as data, and what each service should be.

    - ``names``: image names of this project and the image ids that they have to point to.
    - ``release``: the id of the recorded release that this comes from, 0 for today's files.
    - ``files``: digests of recorded files that the engine needs; ``kept``: digests of directories that are filled into
      a volume (see ``placed``), by service and target.
    - ``origin``: for a promotion, the release of the other environment, in words.
    """

    stack: Stack
    model: Mapping[str, Any]
    services: Mapping[str, Wanted]
    names: Mapping[str, str] = field(default_factory=dict)
    release: int = 0
    files: tuple[str, ...] = ()
    origin: str = ""
    kept: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def wanted(self, service: str) -> Wanted:
        """Return what a service should be; an empty ``Wanted`` for an unknown service."""
        return self.services.get(service, Wanted())


def release_digest(model: Mapping[str, Any], images: Mapping[str, Pinned], desired: Desired, directory: str) -> str:
    """Return a digest that identifies a release: its images, its model and the contents of its mounts.

    The path of the checkout is left out, so that a fresh clone is the same release. Secrets are left out too: a roll
    back cannot restore their values.
    """
    text = json.dumps(pinned(model, images), sort_keys=True).replace(json.dumps(directory)[1:-1], "")
    mounted = {
        f"{name} {reference.target}": wanted.contents[reference.target].digest
        for name, wanted in desired.services.items()
        for reference in wanted.references
        if not reference.secret
    }
    return hashlib.sha256(f"{text}\n{json.dumps(mounted, sort_keys=True)}".encode()).hexdigest()[:32]
