"""Reads and writes the state that Slipway keeps of a project: an image on the engine with the state in its labels."""

import json

from ..host.project import Project
from ..model.errors import RefusedError, SlipwayError
from .plan.observed import State, state_from

STATE_LABEL, _DOCUMENT = "slipway.state", "slipway.state.document"
_TAG = "current"


def read(project: Project) -> State:
    """Return the stored state, an empty one if there is none or it cannot be read."""
    image = project.engine.image(_reference(project))
    if image is None:
        return State()
    try:
        return state_from(json.loads(image.labels.get(_DOCUMENT, "")))
    except ValueError:
        return State()


def write(project: Project, state: State) -> None:
    """Store a state and remove the previous one."""
    name = project.stack.project
    before = project.engine.image(_reference(project))
    text = json.dumps(state.document(), separators=(",", ":"), sort_keys=True)
    project.engine.data.keep(f"{name}-state", _TAG, {"state": b""}, {STATE_LABEL: name, _DOCUMENT: text})
    if before:
        try:
            project.engine.remove_image(before.id)
        except RefusedError:  # the engine does not answer
            raise
        except SlipwayError:
            return  # a container left by a killed process uses it: `clean` removes both


def _reference(project: Project) -> str:
    return f"{project.stack.project}-state:{_TAG}"
