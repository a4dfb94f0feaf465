"""Files in images, through the engine: nothing is run for it."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from ...model.errors import SlipwayError
from .client import Engine

_LABEL = "slipway.look"


def inspected(engine: Engine, reference: str) -> Mapping[str, Any] | None:
    """Return a local image as the engine describes it (``Id``, ``RepoDigests``, ``Config``), None where there is none.

    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Image/operation/ImageInspect
    """
    raw: Mapping[str, Any] | None = engine._find(f"/images/{reference}/json")
    return raw


class ImageFiles:
    """The files of one image, looked at in a container that is made for it, never started, and removed.

    An image can be saved as well, but then the engine writes out all of its layers.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        self._engine, self._image, self._container = engine, image, ""

    def __enter__(self) -> "ImageFiles":
        with self._engine._answering():
            made = self._engine._api.create_container(self._image, command=["none"], labels={_LABEL: self._image})
        self._container = made["Id"]
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.remove_container(self._container)

    def contents(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of those of the files that are there."""
        found = {}
        for path in paths:
            # A link to a path that is not in the answer is a KeyError.
            with contextlib.suppress(KeyError):
                if self.has(path):
                    found[path] = self._engine.file(self._container, path)
        return found

    def has(self, path: str) -> bool:
        """Whether something is at a path, a link too."""
        try:
            return self._engine._path_status(self._container, path) is not None
        except SlipwayError:
            return False
