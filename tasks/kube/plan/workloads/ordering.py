"""In which order services come to be, and what keeps a job before the services that wait for it.

Kubernetes starts everything at once, and starts a container that ends again: that is how most of ``depends_on`` comes
true. What is left is the job that has to end before new Pods of a service come: a migration. Nothing in a Pod can wait
for a Job without a client of the API in its image and the right to use it, and the job as an init container of the
service would run once for each Pod and again with each roll back, when an old migration meets a newer schema. So the
job is a Job, and whoever applies it keeps the order:

- **Helm, upgrade**: a hook ``pre-upgrade``. Helm runs it to its end before it changes anything; when it fails, the
  upgrade has failed and the old Pods are as they were.
- **Helm, first install**: a hook ``pre-install`` would wait for a database that is made after it, and a hook
  ``post-install`` comes after ``--wait``, which waits for a service that waits for the schema. So at the first install,
  where nothing serves yet, the Job is an ordinary object that tries again until its database is there, and
  ``helm install --wait --wait-for-jobs`` has succeeded when it has. A job that needs nothing of the project is a hook
  at the first install too, unless it has a volume. ``charts.py`` makes these variants of a Job.
- **Argo CD**: a hook ``Sync`` in a wave of its own. A wave begins when everything in the waves before it is healthy:
  the database, then the job, then what waits for it, at the first sync and at each later one; a job that fails leaves
  the later waves as they were. A ``PreSync`` hook would be before the database again. With a hook of Argo CD's own it
  takes no notice of Helm's (https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-hooks).
- **kubectl apply -k, Flux**: an ordinary object. Its name has a digest of what it does, because a Job can not be
  changed; so a second release applies, and an unchanged one runs nothing. New Pods come at the same time as the job,
  and serve when their readiness check says so. Who wants them to come after it applies wave by wave, and waits in
  between: ``kubectl apply -k DIRECTORY -l slipway/wave=0``, then 1, and so on.

A job that nobody waits for (``once``) comes after the rest: ``post-install,post-upgrade``.
"""

from collections.abc import Callable, Iterable

from ....model.stack.stack import Service, Stack
from ..outcome import KeyOutcome, ignored, inferred, translated
from ..part import Fields, Part, merged
from ..source import KubeSource
from .kinds import CRON_JOB, JOB, NOTHING, awaited, kind
from .references import mentioned

HELM_HOOK, HELM_WEIGHT, HELM_DELETE = "helm.sh/hook", "helm.sh/hook-weight", "helm.sh/hook-delete-policy"
ARGO_HOOK, ARGO_DELETE = "argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"
ARGO_WAVE = "argocd.argoproj.io/sync-wave"
WAVE = "slipway/wave"
BEFORE_UPGRADE, BEFORE_ALL, AFTER_ALL = "pre-upgrade", "pre-install,pre-upgrade", "post-install,post-upgrade"
_COMPLETED = "service_completed_successfully"
KEYS = frozenset({"depends_on"})


def part(source: KubeSource, service: Service) -> Part:
    """Return the hooks of a job, and what became of what a service waits for."""
    outcomes = []
    said = source.raw(service.name).get("depends_on") or {}
    for name, condition in service.depends_on.items():
        key = f"services.{service.name}.depends_on.{name}"
        outcomes.append(_dependency(source, key, name, condition))
        if said[name].get("restart"):
            outcomes.append(ignored(f"{key}.restart", f"a new Pod of {name} keeps its address: no restart is needed"))
    made = kind(source, service)
    key = f"services.{service.name}.x-slipway.job" if service.slipway.job else f"services.{service.name}"
    if made == CRON_JOB:
        outcomes.append(inferred(key, "CronJob", "it is suspended, and runs when somebody asks for it"))
    if made != JOB:
        return Part(outcomes=tuple(outcomes))
    outcomes.append(inferred(key, "Job", f"Helm's hook {hook(source, service)}, a hook Sync of Argo CD"))
    return Part(about=hooks(source, service), outcomes=tuple(outcomes))


def _dependency(source: KubeSource, key: str, name: str, condition: str) -> KeyOutcome:
    other = source.stack.services.get(name)
    if other is None or kind(source, other) == NOTHING:
        return ignored(key, f"{name} is not part of what is deployed")
    if condition == _COMPLETED:
        return translated(key, f"the hooks and the sync wave of the Job {name}")
    return ignored(key, f"all Pods start at once; what ends because {name} does not answer yet is started again")


def hooks(source: KubeSource, service: Service) -> dict[str, str]:
    """Return the annotations that make a Job a hook of Helm and of Argo CD."""
    place = str(wave(source.stack, service.name))
    return {
        HELM_HOOK: hook(source, service),
        HELM_WEIGHT: place,
        HELM_DELETE: "before-hook-creation",
        ARGO_HOOK: "Sync",
        ARGO_DELETE: "BeforeHookCreation",
        ARGO_WAVE: place,
    }


def hook(source: KubeSource, service: Service) -> str:
    """Return when Helm is to run a job."""
    if not awaited(source.stack, service):
        return AFTER_ALL
    return BEFORE_UPGRADE if _made_with(source, service) else BEFORE_ALL


def _made_with(source: KubeSource, service: Service) -> bool:
    """Whether a job can only run after objects of its release were made: its claims, or what it waits for."""
    return bool(service.volumes) or waits(source, service)


def waits(source: KubeSource, service: Service) -> bool:
    """Whether a job needs what comes at the same time: a service that runs on, or a job that is no hook either."""
    others = (source.stack.services[name] for name in service.depends_on if name in source.stack.services)
    return any(
        _made_with(source, other) if kind(source, other) == JOB else bool(kind(source, other)) for other in others
    )


def wave(stack: Stack, name: str) -> int:
    """Return in which wave a service comes, from 0: a job after what it needs, and before what waits for it."""
    return _longest(stack, name, lambda condition: condition == _COMPLETED, stack.one_off, {})


def distance(stack: Stack, name: str) -> int:
    """Return how many services have to be up one after another before a service can be: 0 when it needs none."""
    return _longest(stack, name, lambda _: True, lambda _: False, {})


def _longest(
    stack: Stack,
    name: str,
    step: Callable[[str], bool],
    own: Callable[[Service], bool],
    known: dict[str, int],
) -> int:
    """Return the longest way through ``depends_on``: what ``step`` counts of its steps, ``own`` of its services."""
    if name not in known:
        service = stack.services[name]
        before = (
            _longest(stack, other, step, own, known) + step(condition)
            for other, condition in service.depends_on.items()
            if other in stack.services
        )
        known[name] = max(before, default=0) + own(service)
    return known[name]


def placed(made: Iterable[tuple[Fields, int]]) -> tuple[Fields, ...]:
    """Return objects, each with its wave, as an annotation for Argo CD and as a label for others.

    What Pods of an earlier wave mount comes with them: a claim or a ConfigMap that several services have. Where all
    objects are of the first wave, nothing is said of it.
    """
    given = tuple(made)
    if not any(place for _, place in given):
        return tuple(each for each, _ in given)
    earliest: dict[tuple[str, str], int] = {}
    for each, place in given:
        for name in mentioned(each.get("spec")):
            earliest[name] = min(place, earliest.get(name, place))
    return tuple(
        _in_wave(each, min(place, earliest.get((each["kind"], each["metadata"]["name"]), place)))
        for each, place in given
    )


def _in_wave(made: Fields, place: int) -> Fields:
    about = made["metadata"]
    notes = {ARGO_WAVE: str(place), **(about.get("annotations") or {})}
    return {**made, "metadata": merged(about, {"labels": {WAVE: str(place)}, "annotations": notes})}
