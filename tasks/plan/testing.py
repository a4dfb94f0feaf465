"""When a result still holds, why, and what a suite that was run again has come to."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .build import Inputs, target
from .profile import Profile
from .secret import reveal
from .stack import Service, Stack
from .suites import FAILED, FLAKY, INVALID, PASSED, SKIPPED, UNCHANGED, SuiteResult
from .version import Version

KEPT = 20  # results that are remembered of each suite: enough to come back to another branch
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Entry:
    """A result that is remembered: what it depended on, the run that had it, and when (RFC 3339)."""

    parts: Mapping[str, str]
    run: str
    time: str
    results: tuple[SuiteResult, ...]

    @property
    def holds(self) -> bool:
        """Whether it can stand for a run that is not done: it passed, or there was nothing to run.

        What failed, was flaky or could not be trusted never does.
        """
        return bool(self.results) and all(one.outcome in (PASSED, SKIPPED) for one in self.results)

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        return {"key": key(self.parts), "parts": dict(self.parts), "run": self.run, "time": self.time,
                "results": [asdict(one) for one in self.results]}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """Whether a suite has to run, and why; ``entry`` is the result that holds when it has not."""

    run: bool
    reason: str
    entry: Entry | None = None


def key(parts: Mapping[str, str]) -> str:
    """Return the key of what a result depends on, "" when a part of it cannot be known."""
    if _UNKNOWN in parts.values():
        return ""
    return hashlib.sha256(json.dumps(dict(sorted(parts.items()))).encode()).hexdigest()[:32]


def _settings(profile: Profile, keys: Iterable[str]) -> dict[str, str]:
    return {name: reveal(profile.text(name)) for name in keys}


def stage_parts(
    services: Iterable[tuple[Service, str]], inputs: Mapping[str, Inputs], built: Version, profile: Profile
) -> dict[str, str]:
    """Return what tests of single images depend on: the inputs of each service's stage, and the limits."""
    parts = {"environment": profile.environment}
    for service, stage in services:
        found = inputs[service.name]
        name = f"{service.name}: stage {stage}"
        if found.dockerfile.find(stage) is None:
            parts[name] = "no such stage"
        else:
            parts[name] = target(service, built, found, stage).fingerprint or _UNKNOWN
    return {**parts, **_settings(profile, ("COVERAGE_MIN", "TEST_TIMEOUT", "TEST_MEMORY"))}


def stack_parts(stack: Stack, inputs: Mapping[str, Inputs], images: Mapping[str, str], model: str) -> dict[str, str]:
    """Return what tests of the whole stack depend on: sources and base images of all services, and the model.

    ``images`` are the ids of the images that are not built. The model holds every value that it interpolates.
    """
    parts = {"Compose model": _digest(model)}
    for service in stack.services.values():
        found = inputs.get(service.name)
        if found is None:
            parts[f"{service.name}: image"] = images.get(service.image, service.image)
        elif not found.contexts_digest:
            parts[f"{service.name}: sources"] = _UNKNOWN
        else:
            parts[f"{service.name}: sources"] = found.contexts_digest[:32]
            parts[f"{service.name}: base images"] = _digest(json.dumps(dict(sorted(found.bases.items()))))
    return parts


def profile_part(profile: Profile, keys: Iterable[str]) -> dict[str, str]:
    """Return the part that stands for settings of the profile, as one digest: some may be secret."""
    return {"profile": _digest(json.dumps(_settings(profile, sorted(keys))))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def entries(document: object) -> tuple[Entry, ...]:
    """Return the results that a file remembers, newest first; what is not understood is forgotten."""
    found = document.get("entries") if isinstance(document, dict) else None
    known = []
    for one in found if isinstance(found, list) else []:
        try:
            parts = {str(name): str(value) for name, value in one["parts"].items()}
            known.append(Entry(parts, str(one["run"]), str(one["time"]), results(one)))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(known)


def results(document: object) -> tuple[SuiteResult, ...]:
    """Return the results in a JSON document, none when it is not understood."""
    try:
        found = document["results"]  # type: ignore[index]
        return tuple(
            SuiteResult(**{**one, "reports": tuple(one["reports"]), "failed": tuple(one.get("failed", ()))})
            for one in found
        )
    except (KeyError, TypeError, ValueError):
        return ()


def remembered(known: Sequence[Entry], new: Entry) -> tuple[Entry, ...]:
    """Return the results to remember after a run: the new one takes the place of what had the same key.

    So a failure drops the pass that it contradicts.
    """
    rest = [one for one in known if key(one.parts) != key(new.parts)]
    return (new, *rest)[:KEPT]


def decide(known: Sequence[Entry], parts: Mapping[str, str], force: bool, kept: Iterable[str]) -> Decision:
    """Return whether a suite has to run; ``kept`` are the runs whose reports are still there."""
    wanted = key(parts)
    same = next((one for one in known if wanted and key(one.parts) == wanted), None)
    if not wanted:
        unknown = ", ".join(name for name, value in parts.items() if value == _UNKNOWN)
        return Decision(True, f"it cannot be known whether this changed: {unknown}")
    if force:
        return Decision(True, "--force")
    if same is None:
        changed = differences(known[0].parts, parts) if known else ()
        return Decision(True, f"changed since run {known[0].run}: {', '.join(changed)}" if known else "no earlier run")
    if not same.holds:
        what = ", ".join(sorted({one.outcome for one in same.results if one.outcome != PASSED})) or "not finished"
        return Decision(True, f"run {same.run} with the same inputs: {what}")
    if same.run not in set(kept):
        return Decision(True, f"the reports of run {same.run} are gone")
    return Decision(False, f"unchanged since run {same.run}, passed", same)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts that are not the same, sorted."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def explanation(known: Sequence[Entry], parts: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return each part, its value and how it differs from the newest remembered result."""
    if not known:
        return [(name, value or "-", "") for name, value in parts.items()]
    before = known[0].parts
    lines = []
    for name in [*parts, *(one for one in before if one not in parts)]:
        old, new = before.get(name), parts.get(name)
        word = "" if old == new else "new" if old is None else "gone" if new is None else f"was {old or '-'}"
        lines.append((name, (new if new is not None else old) or "-", word))
    return lines


def unchanged(entry: Entry) -> tuple[SuiteResult, ...]:
    """Return the results of a suite that is not run again: ``reason`` is the run that passed; skipped stays skipped."""
    return tuple(
        one if one.outcome == SKIPPED else replace(one, outcome=UNCHANGED, reason=entry.run, seconds=0.0, output="")
        for one in entry.results
    )


def again(results: Sequence[SuiteResult], attempts: int, retries: int) -> bool:
    """Whether a suite that has run ``attempts`` times is run once more."""
    return attempts <= retries and any(one.outcome in (FAILED, INVALID) for one in results)


def combined(attempts: Sequence[Sequence[SuiteResult]]) -> tuple[SuiteResult, ...]:
    """Return what a suite came to after its attempts: one that failed and then passed is flaky, not passed."""
    last = attempts[-1]
    seconds = {name: sum(one.seconds for run in attempts for one in run if one.name == name) for name in _names(last)}
    found = []
    for one in last:
        failed = [(number, early) for number, run in enumerate(attempts[:-1], 1) for early in run
                  if early.name == one.name and not early.good]  # fmt: skip
        if one.outcome == PASSED and failed:
            reason = f"failed in attempt {failed[-1][0]}, passed in attempt {len(attempts)}: {failed[-1][1].reason}"
            names = dict.fromkeys(name for _, early in failed for name in early.failed)
            one = replace(one, outcome=FLAKY, reason=reason, failed=tuple(names))
        reports = tuple(dict.fromkeys(path for _, early in failed for path in early.reports)) + one.reports
        found.append(replace(one, seconds=seconds[one.name], reports=reports))
    return tuple(found)


def _names(results: Iterable[SuiteResult]) -> tuple[str, ...]:
    return tuple(one.name for one in results)


def flaky_record(one: SuiteResult, run: str, time: str, environment: str, attempts: int) -> dict[str, Any]:
    """Return the line of the ledger for a flaky suite."""
    return {"time": time, "run": run, "environment": environment, "suite": one.name, "attempts": attempts,
            "tests": list(one.failed), "reason": one.reason}  # fmt: skip


def stopped(name: str, by: str) -> SuiteResult:
    """Return the result of a suite that was stopped since another one failed."""
    return SuiteResult(name, SKIPPED, reason=f"stopped: {by} failed (--fail-fast)")
