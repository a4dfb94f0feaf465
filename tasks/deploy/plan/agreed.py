"""A plan that was written to a file, to be carried out later if nothing has moved since.

The file holds no value: of the profile, the Compose files, the sources and what runs it has names and fingerprints that
tell nothing without the project's key, which stays on the engine, or in the namespace of the cluster.
"""

import hashlib
import hmac
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model.errors import InputError, RefusedError
from ...model.version import PLAN_FILE
from ...reconcile.plan.operation import Plan
from .shown import KEEP, ShownPlan, action

SCHEMA = f"{PLAN_FILE}/v1"
ENGINE, CLUSTER = "the engine", "the cluster"  # the fact that names where a plan is carried out
STARTING, HEALTHY = "running, starting", "running, healthy"  # a container, in words
_DIGITS = 32
_SHOWN = 8  # things that have moved, in a message


@dataclass(frozen=True)
class Fact:
    """Something that a plan depends on: its fingerprint, and in words how it was where that is no secret."""

    fingerprint: str
    words: str = ""


@dataclass(frozen=True)
class AgreedPlan:
    """What a plan file says: the ``actions`` by service, the operations, what is interrupted, and the ``facts``.

    ``seal`` is the fingerprint of ``sealed``, which is everything else that the file has.
    """

    environment: str
    project: str
    created: str
    actions: Mapping[str, str] = field(default_factory=dict)
    interrupts: tuple[str, ...] = ()
    operations: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    sealed: str = ""
    seal: str = ""


def fingerprint(key: bytes, text: str) -> str:
    """Return a fingerprint that tells nothing of a text without the key."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def document(shown: ShownPlan, environment: str, created: str, facts: Mapping[str, Fact], key: bytes) -> dict[str, Any]:
    """Return the content of a plan file; ``created`` is RFC 3339 UTC, ``key`` the project's key, which seals it."""
    content = {
        "schema": SCHEMA,
        "environment": environment,
        "project": shown.stack.project,
        "created": created,
        **shown.document(),
        "facts": [
            {"name": name, "fingerprint": fact.fingerprint, "words": fact.words} for name, fact in sorted(facts.items())
        ],
    }
    return {**content, "seal": fingerprint(key, _text(content))}


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)


def parse(text: str, name: str, environment: str) -> AgreedPlan:
    """Return what a plan file says; raises InputError for another file. ``name`` is that of the file, for messages."""
    try:
        read = json.loads(text)
        if read["schema"] != SCHEMA:
            raise ValueError(read["schema"])
        return AgreedPlan(
            str(read["environment"]),
            str(read["project"]),
            str(read["created"]),
            {str(change["service"]): str(change["action"]) for change in read["changes"]},
            tuple(map(str, read["interrupts"])),
            tuple(read["operations"]),
            {str(fact["name"]): Fact(str(fact["fingerprint"]), str(fact["words"])) for fact in read["facts"]},
            _text({name: value for name, value in read.items() if name != "seal"}),
            str(read["seal"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"--plan {name}: is no plan of this version of Slipway",
            f"make one: inv deploy.plan --env {environment} --out {shlex.quote(name)}",
        ) from None


def refuse_another(plan: AgreedPlan, name: str, environment: str, project: str, rehearsed: str = "") -> None:
    """Raise InputError for the plan of another environment or project; ``rehearsed``: which one this rehearses."""
    if (plan.environment, plan.project) == (environment, project):
        return
    file = shlex.quote(name)
    raise InputError(
        f"--plan {name}: is a plan of {plan.environment} ({plan.project}), not of {environment} ({project})",
        # Who rehearses must not be led to the environment itself.
        f"a rehearsal has plans of its own: inv deploy.plan --env {environment} --out {file}"
        if rehearsed == plan.environment
        else f"inv deploy.{plan.environment} --plan {file}",
    )


def moved(then: Mapping[str, Fact], now: Mapping[str, Fact]) -> list[str]:
    """Return in words what has moved since a plan was made."""
    words = []
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if before is None or after is None:
            words.append(f"{name} is {'new' if before is None else 'gone'}")
        elif before.words != after.words and not _got_ready(before, after):
            words.append(f"{name} is {after.words or 'none'}, was {before.words or 'none'}")
        elif before.fingerprint != after.fingerprint:
            words.append(f"{name} has changed")
    return words


def got_ready(then: Mapping[str, Fact], now: Mapping[str, Fact]) -> bool:
    """Whether a container was starting when a plan was made, and is healthy by now: less may be left to do."""
    return any(name in now and _got_ready(fact, now[name]) for name, fact in then.items())


def _got_ready(before: Fact, after: Fact) -> bool:
    return before.fingerprint == after.fingerprint and (before.words, after.words) == (STARTING, HEALTHY)


def refuse_edited(agreed: AgreedPlan, facts: Mapping[str, Fact], key: bytes) -> None:
    """Raise RefusedError for a plan that another key has sealed, or that is not as it was written."""
    if key and hmac.compare_digest(agreed.seal.encode(), fingerprint(key, agreed.sealed).encode()):
        return
    (place, now), (planned, then) = _place(facts), _place(agreed.facts)
    if place != planned:
        raise _refused([f"it is for {planned} {then}, and this is {place} {now}"], agreed)
    if then != now:
        raise _refused([f"{place} is {now or 'unknown'}, was {then or 'unknown'}"], agreed)
    raise _refused(["the file was changed since, or the key of the project is another one"], agreed)


def _place(facts: Mapping[str, Fact]) -> tuple[str, str]:
    """Return the fact that names where a plan is carried out, and what it says."""
    return next(((name, facts[name].words) for name in (CLUSTER, ENGINE) if name in facts), (ENGINE, ""))


def refuse_moved(agreed: AgreedPlan, facts: Mapping[str, Fact]) -> None:
    """Raise RefusedError that says what has moved since the plan was made."""
    if words := moved(agreed.facts, facts):
        raise _refused(words, agreed)


def refuse_other_plan(agreed: AgreedPlan, plan: Plan) -> None:
    """Raise RefusedError when the operations are others than agreed, although nothing has moved."""
    if json.loads(json.dumps([operation.document() for operation in plan.operations])) != list(agreed.operations):
        raise _refused(["this version of Slipway would do something else"], agreed)


def refuse_more(agreed: AgreedPlan, plan: Plan) -> None:
    """Raise RefusedError when a plan that was made again, after a build, does more than agreed; less is as agreed."""
    words = []
    for change in plan.changes:
        word, planned = action(change, plan), agreed.actions.get(change.service, KEEP)
        if word not in (KEEP, planned):
            words.append(f"{change.service}: {word}, agreed: {planned}")
    words += [f"{name} would be interrupted" for name in plan.interrupts if name not in agreed.interrupts]
    if words:
        raise _refused(words, agreed)


def _refused(words: Iterable[str], agreed: AgreedPlan) -> RefusedError:
    every = list(words)
    more = f", and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return RefusedError(
        f"not as planned ({agreed.created}): {'; '.join(every[:_SHOWN])}{more}",
        f"make the plan again: inv deploy.plan --env {agreed.environment} --out FILE",
    )
