"""What Slipway keeps of a project on its engine beside releases: an image that holds no files, only its labels."""

import json

from ..plan.observed import State, state_from
from .project import Project

STATE_LABEL, _DOCUMENT = "slipway.state", "slipway.state.document"
_TAG = "current"


def read(project: Project) -> State:
    """Return what was noted, an empty state when nothing was."""
    image = project.engine.image(_reference(project))
    if image is None:
        return State()
    try:
        return state_from(json.loads(image.labels.get(_DOCUMENT, "")))
    except ValueError:
        return State()


def write(project: Project, state: State) -> None:
    """Keep a state in place of the one before."""
    name = project.stack.project
    before = project.engine.image(_reference(project))
    text = json.dumps(state.document(), separators=(",", ":"), sort_keys=True)
    project.engine.keep(f"{name}-state", _TAG, {"state": b""}, {STATE_LABEL: name, _DOCUMENT: text})
    if before:
        project.engine.remove_image(before.id)


def _reference(project: Project) -> str:
    return f"{project.stack.project}-state:{_TAG}"
