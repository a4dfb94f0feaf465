"""The objects of a release as a Helm chart has them: always, at the first install only, and at an upgrade only.

A job that needs a service of the project is an ordinary object at the first install, and a hook before an upgrade
(``ordering.py`` says why). A chart writes the first between ``{{ if .Release.IsInstall }}`` and ``{{ end }}``, the
second between ``{{ if .Release.IsUpgrade }}`` and ``{{ end }}``. What differs:

- the hook is tried again twice only, in the same Pod, because what it needs is there, and only has to hear of its Pod;
- it has another name: Helm neither makes nor changes an object that is there and belongs to no release, so that a
  ``helm rollback`` to the first release would fail where a hook with the name of its Job had run since;
- a hook runs before any ordinary object of its release is made. So the ConfigMaps that it mounts are hooks too, under
  another name and before it, and are removed when it has ended well. So is its ServiceAccount, where it has one.

After a ``helm rollback`` to the very first release its Job is an ordinary object again and runs once more: the
migration of that time, which finds everything done. No other roll back runs a job.
"""

from collections.abc import Iterable, Iterator, Mapping

from ....model.record import Record
from ..part import Fields
from .jobs import AGAIN_BEFORE_UPGRADE, ONCE
from .kinds import JOB
from .ordering import ARGO_DELETE, ARGO_HOOK, ARGO_WAVE, BEFORE_ALL, BEFORE_UPGRADE, HELM_DELETE, HELM_HOOK, HELM_WEIGHT
from .references import ACCOUNT, CONFIG_MAP, for_hook, mentioned, renamed

_COPIED = (CONFIG_MAP, ACCOUNT)
_FIRST = "0"  # jobs have a weight from 1 on
_HOOKS = (HELM_HOOK, HELM_WEIGHT, HELM_DELETE)
_WHEN = (HELM_HOOK, ARGO_HOOK, ARGO_DELETE, ARGO_WAVE)
_LONGEST = 63  # of the name of a Job: its Pods have it as a label


class ChartObjects(Record):
    """The objects of a chart by when Helm is to render them."""

    always: tuple[Fields, ...]
    at_install: tuple[Fields, ...]
    at_upgrade: tuple[Fields, ...]


def of_chart(objects: Iterable[Fields]) -> ChartObjects:
    """Return the objects of a release by when a chart has them."""
    given = tuple(objects)
    files = {(each["kind"], each["metadata"]["name"]): each for each in given if each["kind"] in _COPIED}
    always: list[Fields] = []
    install: list[Fields] = []
    upgrade: list[Fields] = []
    for each in given:
        when = _hook(each)
        if when == BEFORE_UPGRADE:
            install.append(_ordinary(each))
            upgrade += _with_files(_once(each), files)
        elif when == BEFORE_ALL:
            always += _with_files(each, files)
        else:
            always.append(each)
    return ChartObjects(tuple(always), tuple(install), tuple(upgrade))


def _hook(made: Fields) -> str:
    notes = made["metadata"].get("annotations") or {}
    return str(notes.get(HELM_HOOK, "")) if made["kind"] == JOB else ""


def _ordinary(job: Fields) -> Fields:
    notes = {key: value for key, value in job["metadata"]["annotations"].items() if key not in _HOOKS}
    return {**job, "metadata": {**job["metadata"], "annotations": notes}}


def _once(job: Fields) -> Fields:
    spec, about = job["spec"], job["metadata"]
    base, _, digest = str(about["name"]).rpartition("-")
    name = f"{base[: _LONGEST - len(f'-upgrade-{digest}')]}-upgrade-{digest}"
    if ONCE.items() <= about["annotations"].items():
        spec = {**spec, "backoffLimit": AGAIN_BEFORE_UPGRADE}
    return {**job, "metadata": {**about, "name": name}, "spec": spec}


def _with_files(job: Fields, files: Mapping[tuple[str, str], Fields]) -> Iterator[Fields]:
    """Yield what a hook mounts and runs as, as hooks before it, and the hook with their names."""
    names = {key: for_hook(key[1]) for key in mentioned(job["spec"]["template"]["spec"]) if key in files}
    when = {key: value for key, value in job["metadata"]["annotations"].items() if key in _WHEN}
    notes = {**when, HELM_WEIGHT: _FIRST, HELM_DELETE: "before-hook-creation,hook-succeeded"}
    for key, copy in names.items():
        about = files[key]["metadata"]
        annotations = {**(about.get("annotations") or {}), **notes}
        yield {**files[key], "metadata": {**about, "name": copy, "annotations": annotations}}
    yield {**job, "spec": renamed(job["spec"], names)}
