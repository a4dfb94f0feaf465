"""Reads and writes the state that Slipway keeps of a project: an image on the engine with the state in its labels."""

import json
from collections.abc import Mapping
from typing import Any

from ..host.project import Project
from ..model.errors import RefusedError, SlipwayError
from .plan.observed import State, state_from

STATE_LABEL = "slipway.state"
_TAG = "current"


def read(project: Project) -> State:
    """Return the stored state, an empty one if there is none or it cannot be read."""
    return state_from(read_document(project, _reference(project), STATE_LABEL))


def write(project: Project, state: State) -> None:
    """Store a state and remove the previous one."""
    write_document(project, _reference(project), STATE_LABEL, state.document())


def read_document(project: Project, reference: str, mark: str) -> Any:
    """Return the document that the labels of an image keep, None where there is none or it cannot be read."""
    image = project.engine.image(reference)
    try:
        return json.loads(image.labels.get(_document(mark), "null")) if image else None
    except ValueError:
        return None


def write_document(project: Project, reference: str, mark: str, document: Mapping[str, Any]) -> None:
    """Keep a document in the labels of an image, which has ``mark`` with the project, and remove the previous one."""
    before = project.engine.image(reference)
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    repository, _, tag = reference.rpartition(":")
    labels = {mark: project.stack.project, _document(mark): text}
    project.engine.data.keep(repository, tag, {"state": b""}, labels)
    if before:
        try:
            project.engine.remove_image(before.id)
        except RefusedError:  # the engine does not answer
            raise
        except SlipwayError:
            return  # a container left by a killed process uses it: `clean` removes both


def _document(mark: str) -> str:
    return f"{mark}.document"


def _reference(project: Project) -> str:
    return f"{project.stack.project}-state:{_TAG}"
