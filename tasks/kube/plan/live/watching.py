"""Whether Pods that were ready stay well: none ends, is started again or fails its check."""

from collections.abc import Iterable, Iterator, Mapping

from ....model.record import Record
from ..workloads.slots import SLOT
from . import pods
from .difference import Raw
from .pods import PodProblem


class SickPod(Record):
    """A Pod that did not stay well, and what is wrong with it."""

    pod: Raw
    problem: PodProblem


def watched(
    found: Iterable[Raw], services: Iterable[str], names: Mapping[str, str], slots: Mapping[str, str]
) -> tuple[Raw, ...]:
    """Return the Pods of services that are watched; ``slots`` are the slots of those that have Pods in another one.

    A Pod that is being removed is not, nor one that has not started yet: more of them may come at any time.
    """
    given = tuple(found)
    return tuple(
        pod
        for name in services
        for pod in pods.of_service(given, name, names)
        if (pod["metadata"].get("labels") or {}).get(SLOT, "") == slots.get(name) or name not in slots
        if pods.restarts(pod) or pods.ready(pod) or not pods.starting(pod)
    )


def counts(found: Iterable[Raw]) -> dict[str, int]:
    """Return how often containers of Pods were started again, by the id of the Pod."""
    return {str(pod["metadata"]["uid"]): pods.restarts(pod) for pod in found}


def sick(found: Iterable[Raw], before: Mapping[str, int], names: Mapping[str, str]) -> tuple[SickPod, ...]:
    """Return the Pods that are not well; ``before`` is what ``counts`` said when they were seen first."""
    return tuple(SickPod(pod, problem) for pod in found for problem in _problem(pod, before, names))


def _problem(pod: Raw, before: Mapping[str, int], names: Mapping[str, str]) -> Iterator[PodProblem]:
    name = pods.container_row(pod, names)["service"]
    hint = f"inv logs --service {name}"
    if pods.restarts(pod) > before.get(str(pod["metadata"]["uid"]), pods.restarts(pod)):
        code = pods.last_exit_code(pod)
        yield PodProblem(
            name, f"it ended{'' if code is None else f' with exit code {code}'} and was started again", hint
        )
    elif not pods.ready(pod):
        known = pods.problems([pod], (), names)
        yield known[0] if known else PodProblem(name, f"it is not ready ({pods.state(pod)})", hint)
