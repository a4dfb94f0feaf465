"""What an image is built from, read from disk."""

from collections.abc import Mapping
from dataclasses import field

from ...model.record import Record
from .dockerfile import Dockerfile


class Inputs(Record):
    """What a service's image is made from: its Dockerfile, a digest of its contexts, its base images' ids.

    ``stages`` has, by stage name, the digest of what the stage takes of the contexts, where that is known.
    """

    dockerfile: Dockerfile
    contexts_digest: str
    bases: Mapping[str, str]
    stages: Mapping[str, str] = field(default_factory=dict)

    def digest(self, target: str) -> str:
        """Return the digest of the files that ``target`` takes, or of all contexts where those are unknown."""
        stage = self.dockerfile.find(target)
        return self.stages.get(stage.name, self.contexts_digest) if stage else self.contexts_digest
