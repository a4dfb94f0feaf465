"""A project as Kubernetes objects: gathered, translated, judged."""

from collections.abc import Mapping
from typing import Any

from ..host.project import Project
from ..model.record import Record
from .gather import gather
from .manifests.plan.judging import refusal, refuse_secrets, settled
from .plan.outcome import KeyOutcome
from .plan.source import KubeSource
from .plan.translate import translate


class Translated(Record):
    """The objects of an environment and what became of each key, with what they were made from."""

    source: KubeSource
    objects: tuple[Mapping[str, Any], ...]
    outcomes: tuple[KeyOutcome, ...]


def translated(project: Project) -> Translated:
    """Return the translation of a project, also where keys are refused."""
    return translation(gather(project))


def translation(source: KubeSource) -> Translated:
    """Return the translation of what was gathered, also where keys are refused."""
    made = translate(source)
    return Translated(source, made.objects, settled(made.outcomes, source.stack))


def rendered(project: Project) -> Translated:
    """Return the translation of a project; raises as ``accepted`` does."""
    return accepted(translated(project))


def accepted(made: Translated) -> Translated:
    """Return a translation; raises InputError that lists the keys which are refused, or a secret in an object."""
    if fault := refusal(made.outcomes, made.source.positions):
        raise fault
    refuse_secrets(made.objects)
    return made
