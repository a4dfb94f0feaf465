"""An experiment in the format of Chaos Toolkit: read, checked, and with its variables filled in.

https://chaostoolkit.org/reference/api/experiment/
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...model.errors import InputError, RefusedError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from . import faults, tolerance

HTTP, PROCESS, PYTHON = "http", "process", "python"
EXTENSION = "slipway"
LASTS = "CHAOS_LASTS"
"""The variable that says how long the fault of an experiment lasts, where it says so: `--for ${lasts}`."""
_NEEDED = {HTTP: ("url",), PROCESS: ("path",), PYTHON: ("module", "func")}
_VARIABLE = lazy_pattern(r"\$\{(\w+)\}")
_FASTEST = 500  # requests a second that are measured
_INJECT, _STOP = "chaos.inject", "chaos.stop"

Activity = Mapping[str, Any]


class Experiment(Record):
    """An experiment; ``document`` is what its file says, ``values`` are those of its variables (``filled``).

    ``during_deploy``: it says that it is about deploys, in `extensions: [{name: slipway, during-deploy: true}]`;
    ``alert`` is the alert that has to fire because of its fault, "" when it names none.
    """

    title: str
    document: Mapping[str, Any]
    probes: tuple[Activity, ...]
    method: tuple[Activity, ...]
    rollbacks: tuple[Activity, ...]
    values: Mapping[str, Any]
    during_deploy: bool = False
    alert: str = ""

    def lasting(self, time: str) -> "Experiment":
        """Return the experiment with faults that last as long as ``time`` says, such as 30m, where they ask LASTS."""
        asked = _mapping(self.document.get("configuration")).items()
        longer = {name: time for name, value in asked if _mapping(value).get("key") == LASTS}
        return replace(self, values={**self.values, **longer})

    def ends_faults(self, activity: Activity) -> bool:
        """Whether an activity is the action that ends our faults: ``inv chaos.stop``."""
        return is_stop(self.filled(activity))

    def filled(self, activity: Activity) -> Activity:
        """Return an activity with the values of its variables."""
        made: Activity = filled(activity, self.values)
        return made


def read(document: Any, name: str, environment: Mapping[str, str], python: bool = False) -> Experiment:
    """Return the experiment of a document; ``environment`` are the variables that its configuration may name.

    Raises InputError that names all that is wrong with it, and RefusedError for a provider that is not allowed.
    """
    wrong = list(_faults(document))
    if wrong:
        raise InputError(
            "\n".join(f"{name}: {line}" for line in wrong), "https://chaostoolkit.org/reference/api/experiment/"
        )
    values = _values(document.get("configuration") or {}, name, environment)
    hypothesis = document.get("steady-state-hypothesis") or {}
    parts = (hypothesis.get("probes") or (), document["method"], document.get("rollbacks") or ())
    probes, method, rollbacks = map(tuple, parts)
    if not python:
        _refuse_python((*probes, *method, *rollbacks), name)
    return Experiment(
        str(filled(document["title"], values)),
        document,
        probes,
        method,
        rollbacks,
        values,
        bool(extension(document).get("during-deploy")),
        extension(document).get("alert", ""),
    )


def extension(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an experiment, or a journal, says for us in its ``extensions``; empty when it says nothing."""
    known = document.get("extensions")
    listed = known if isinstance(known, list) else []
    return next((one for one in listed if isinstance(one, Mapping) and one.get("name") == EXTENSION), {})


def _faults(document: Any) -> Iterator[str]:
    if not isinstance(document, Mapping):
        yield "an experiment is an object with title, description and method"
        return
    yield from (f"{key}: is missing" for key in ("title", "description") if not isinstance(document.get(key), str))
    if document.get("secrets"):
        yield "secrets: are not read; name the variables of the environment in `configuration`"
    hypothesis = document.get("steady-state-hypothesis") or {}
    if not isinstance(hypothesis, Mapping):
        yield "steady-state-hypothesis: is no object"
        hypothesis = {}
    for where, activities in (
        ("steady-state-hypothesis.probes", hypothesis.get("probes") or []),
        ("method", document.get("method")),
        ("rollbacks", document.get("rollbacks") or []),
    ):
        if not isinstance(activities, list):
            yield f"{where}: is no list"
            continue
        for number, activity in enumerate(activities):
            for line in _of_activity(activity, where.startswith("steady")):
                yield f"{where}[{number}]: {line}"
    yield from _of_alert(document)
    rate = extension(document).get("measure", True)
    if not isinstance(rate, bool) and not (isinstance(rate, int | float) and 0 < rate <= _FASTEST):
        yield f"extensions: measure: is false, or how many requests a second, at most {_FASTEST}"


def _of_alert(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the alert that an experiment names: it is waited for until the fault is ended."""
    alert, method = extension(document).get("alert"), document.get("method")
    if alert is None:
        return
    if not isinstance(alert, str) or not alert:
        yield "extensions: alert: is the name of an alert"
    elif isinstance(method, list) and not any(map(is_stop, method)):
        yield f"extensions: alert: {alert} is waited for before the method ends its fault: it has no {_STOP}"


def _of_activity(activity: Any, steady: bool) -> Iterator[str]:
    """Yield what is wrong with an activity; a probe of a steady state has a tolerance."""
    if not isinstance(activity, Mapping):
        yield "is no object"
        return
    if "ref" in activity:
        yield "`ref` is not understood; write the activity out"
        return
    if activity.get("type") not in ("action", "probe"):
        yield f"type: is action or probe, not {activity.get('type')!r}"
    if not isinstance(activity.get("name"), str):
        yield "name: is missing"
    if steady and "tolerance" not in activity:
        yield "tolerance: is missing"
    if "tolerance" in activity and (fault := tolerance.fault(activity["tolerance"])):
        yield f"tolerance: {fault}"
    provider = activity.get("provider")
    kind = provider.get("type") if isinstance(provider, Mapping) else None
    if not isinstance(provider, Mapping) or kind not in _NEEDED:
        yield f"provider.type: is {', '.join(_NEEDED)}, not {kind!r}"
        return
    yield from (f"provider.{key}: is missing" for key in _NEEDED[kind] if not provider.get(key))
    if kind == PROCESS and not isinstance(provider.get("arguments") or [], str | list | Mapping):
        yield "provider.arguments: is a text, a list or an object"


def _refuse_python(activities: Sequence[Activity], name: str) -> None:
    for activity in activities:
        if activity["provider"]["type"] == PYTHON:
            raise RefusedError(
                f"{name}: {activity['name']} runs Python code of {activity['provider']['module']}",
                "read it, and allow it with --allow-python; actions of ours are processes: inv chaos.inject FAULT",
            )


def _values(configuration: Mapping[str, Any], name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the variables of an experiment; raises InputError for one that is not in the environment."""
    values: dict[str, Any] = {}
    for key, value in configuration.items():
        if not (isinstance(value, Mapping) and value.get("type") == "env"):
            values[key] = value
            continue
        variable = str(value.get("key", ""))
        if variable not in environment and "default" not in value:
            raise InputError(f"{name}: configuration.{key}: {variable} is not set", f"export {variable}=…")
        values[key] = environment.get(variable, value.get("default"))
    return values


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a part of an experiment with ``${name}`` replaced; a text that is only that becomes the value itself."""
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _VARIABLE.sub(lambda found: str(values.get(found[1], found[0])), value)
    if isinstance(value, Mapping):
        return {key: filled(item, values) for key, item in value.items()}
    return [filled(item, values) for item in value] if isinstance(value, list) else value


def words(provider: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command of a process: its arguments are a text, a list, or options with their values."""
    given = provider.get("arguments") or []
    if isinstance(given, str):
        given = shlex.split(given)
    elif isinstance(given, Mapping):
        given = [part for pair in given.items() for part in pair]
    return (str(provider["path"]), *(str(word) for word in given if word not in (None, "")))


def ours(activity: Any) -> tuple[str, ...]:
    """Return the command of an activity that runs `inv`, empty for another, and for what is none."""
    provider = _mapping(_mapping(activity).get("provider"))
    if provider.get("type") != PROCESS or not isinstance(provider.get("arguments") or [], str | list | Mapping):
        return ()
    try:
        argv = words({"path": "", **provider})
    except ValueError:  # quotes that are not closed
        return ()
    return argv if argv[0].rpartition("/")[2] == "inv" else ()


def is_stop(activity: Any) -> bool:
    """Whether an activity is the action that ends our faults."""
    return ours(activity)[1:2] == (_STOP,)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def check_faults(experiment: Experiment, environment: str, services: Sequence[str], name: str) -> None:
    """Raise InputError for an action of ours that could not work, before anything is done.

    An unknown fault, a service that the project does not have, or another environment than the experiment runs in.
    """
    for activity, argv in _injections(experiment):
        where = f"{name}: {activity['name']}"
        try:
            faults.fault(_fault(argv))
        except InputError as error:
            raise InputError(f"{where}: {error.message}", error.hint) from None
        for option, known in (("--service", services), ("--from", services), ("--env", (environment,))):
            for given in _given(argv, option):
                if given not in known:
                    raise InputError(f"{where}: {option} {given}: not of this run", f"there is {', '.join(known)}")


def fault_of_host(experiment: Experiment) -> str:
    """Return the first fault of an experiment that the whole host has, "" for none; its faults are known ones."""
    named = (_fault(argv) for _, argv in _injections(experiment))
    return next((name for name in named if faults.fault(name).of_host), "")


def _injections(experiment: Experiment) -> Iterator[tuple[Activity, tuple[str, ...]]]:
    """Yield the activities that make a fault, each with its command."""
    for activity in map(experiment.filled, (*experiment.method, *experiment.rollbacks)):
        argv = ours(activity)
        if argv[1:2] == (_INJECT,):
            yield activity, argv


def _fault(argv: Sequence[str]) -> str:
    return argv[2] if len(argv) > 2 else ""


def _given(argv: Sequence[str], option: str) -> Iterator[str]:
    for word, following in zip(argv, (*argv[1:], ""), strict=True):
        if word == option:
            yield following
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]


def addresses(of_services: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the variables that tell an experiment where services are: ``CHAOS_ADDRESS_WEB=172.18.0.3``."""
    return {
        f"CHAOS_ADDRESS_{re.sub(r'[^A-Z0-9]', '_', service.upper())}": known[0]
        for service, known in of_services.items()
        if known
    }
