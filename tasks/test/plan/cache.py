"""Whether an earlier result of a suite can be reused, and the result of a suite that was run several times."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...build.plan.inputs import Inputs
from ...build.plan.stage_key import UNKNOWN, digest, key, settings_of
from ...model.profile.profile import Profile
from ...model.stack.stack import Stack
from ...model.suite import FAILED, FLAKY, INVALID, PASSED, SKIPPED, UNCHANGED, SuiteResult

KEPT = 20  # results remembered of each suite: enough to return to another branch


@dataclass(frozen=True)
class CacheEntry:
    """A remembered result: the digests of what it depends on (``parts``), its run, and the time (RFC 3339)."""

    parts: Mapping[str, str]
    run: str
    time: str
    results: tuple[SuiteResult, ...]

    @property
    def reusable(self) -> bool:
        """Whether every suite passed or was skipped; a failed, flaky or invalid result is never reused."""
        return bool(self.results) and all(result.outcome in (PASSED, SKIPPED) for result in self.results)

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        return {"key": key(self.parts), "parts": dict(self.parts), "run": self.run, "time": self.time,
                "results": [asdict(result) for result in self.results]}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """Whether a suite has to run, and why; ``entry`` is the result to reuse when it has not."""

    run: bool
    reason: str
    entry: CacheEntry | None = None


def stack_parts(stack: Stack, inputs: Mapping[str, Inputs], images: Mapping[str, str], model: str) -> dict[str, str]:
    """Return what tests of the whole stack depend on: the sources and base images of all services, and the model.

    ``images`` are the ids, by reference, of the images that are not built here. ``model`` is the Compose model with
    its variables replaced, so that their values count too.
    """
    parts = {"Compose model": digest(model)}
    for service in stack.services.values():
        service_inputs = inputs.get(service.name)
        if service_inputs is None:
            parts[f"{service.name}: image"] = images.get(service.image, service.image)
        elif not service_inputs.contexts_digest:
            parts[f"{service.name}: sources"] = UNKNOWN
        else:
            parts[f"{service.name}: sources"] = service_inputs.contexts_digest[:32]
            parts[f"{service.name}: base images"] = digest(json.dumps(dict(sorted(service_inputs.bases.items()))))
    return parts


def profile_part(profile: Profile, keys: Iterable[str]) -> dict[str, str]:
    """Return the settings of the profile as a single digest, since some may be secret."""
    return {"profile": digest(json.dumps(settings_of(profile, sorted(keys))))}


def entries(document: object) -> tuple[CacheEntry, ...]:
    """Return the remembered results in a JSON document, newest first; entries that cannot be read are left out."""
    listed = document.get("entries") if isinstance(document, dict) else None
    known = []
    for item in listed if isinstance(listed, list) else []:
        try:
            parts = {str(name): str(value) for name, value in item["parts"].items()}
            known.append(CacheEntry(parts, str(item["run"]), str(item["time"]), results(item)))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(known)


def results(document: object) -> tuple[SuiteResult, ...]:
    """Return the results in a JSON document, none when it cannot be read."""
    try:
        items = document["results"]  # type: ignore[index]
        return tuple(
            SuiteResult(**{**item, "reports": tuple(item["reports"]), "failed": tuple(item.get("failed", ()))})
            for item in items
        )
    except (KeyError, TypeError, ValueError):
        return ()


def with_entry(known: Sequence[CacheEntry], new: CacheEntry) -> tuple[CacheEntry, ...]:
    """Return the results to remember after a run, at most ``KEPT``; the new one replaces those with the same key.

    So a failure replaces the pass that it contradicts.
    """
    rest = [entry for entry in known if key(entry.parts) != key(new.parts)]
    return (new, *rest)[:KEPT]


def decide(known: Sequence[CacheEntry], parts: Mapping[str, str], force: bool, kept: Iterable[str]) -> Decision:
    """Return whether a suite has to run; ``kept`` are the runs whose reports are still there."""
    wanted = key(parts)
    same = next((entry for entry in known if wanted and key(entry.parts) == wanted), None)
    if not wanted:
        unknown = ", ".join(name for name, value in parts.items() if value == UNKNOWN)
        return Decision(True, f"it cannot be known whether this changed: {unknown}")
    if force:
        return Decision(True, "--force")
    if same is None:
        changed = differences(known[0].parts, parts) if known else ()
        return Decision(True, f"changed since run {known[0].run}: {', '.join(changed)}" if known else "no earlier run")
    if not same.reusable:
        outcomes = sorted({result.outcome for result in same.results if result.outcome != PASSED})
        return Decision(True, f"run {same.run} with the same inputs: {', '.join(outcomes) or 'not finished'}")
    if same.run not in set(kept):
        return Decision(True, f"the reports of run {same.run} are gone")
    return Decision(False, f"unchanged since run {same.run}, passed", same)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts that differ, sorted."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def explanation(known: Sequence[CacheEntry], parts: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the rows of ``--why``: each part, its value and how it differs from the newest remembered result."""
    if not known:
        return [(name, value or "-", "") for name, value in parts.items()]
    before = known[0].parts
    lines = []
    for name in [*parts, *(name for name in before if name not in parts)]:
        old, new = before.get(name), parts.get(name)
        word = "" if old == new else "new" if old is None else "gone" if new is None else f"was {old or '-'}"
        lines.append((name, (new if new is not None else old) or "-", word))
    return lines


def unchanged(entry: CacheEntry) -> tuple[SuiteResult, ...]:
    """Return the results of a suite that is not run: ``reason`` is the run that passed; skipped stays skipped."""
    return tuple(
        result
        if result.outcome == SKIPPED
        else replace(result, outcome=UNCHANGED, reason=entry.run, seconds=0.0, output="")
        for result in entry.results
    )


def retry_wanted(results: Sequence[SuiteResult], attempts: int, retries: int) -> bool:
    """Whether a suite that has run ``attempts`` times has to run again."""
    return attempts <= retries and any(result.outcome in (FAILED, INVALID) for result in results)


def combine_attempts(attempts: Sequence[Sequence[SuiteResult]]) -> tuple[SuiteResult, ...]:
    """Return the results of a suite after its attempts: failed and then passed is flaky, not passed."""
    last = attempts[-1]
    seconds = dict.fromkeys((result.name for result in last), 0.0)
    for run in attempts:
        for result in run:
            if result.name in seconds:
                seconds[result.name] += result.seconds
    final = []
    for result in last:
        failed = [(number, early) for number, run in enumerate(attempts[:-1], 1) for early in run
                  if early.name == result.name and not early.good]  # fmt: skip
        if result.outcome == PASSED and failed:
            reason = f"failed in attempt {failed[-1][0]}, passed in attempt {len(attempts)}: {failed[-1][1].reason}"
            names = dict.fromkeys(name for _, early in failed for name in early.failed)
            result = replace(result, outcome=FLAKY, reason=reason, failed=tuple(names))
        reports = tuple(dict.fromkeys(path for _, early in failed for path in early.reports)) + result.reports
        final.append(replace(result, seconds=seconds[result.name], reports=reports))
    return tuple(final)


def flaky_record(result: SuiteResult, run: str, time: str, environment: str, attempts: int) -> dict[str, Any]:
    """Return the line that the ledger of flaky tests gets for a suite."""
    return {"time": time, "run": run, "environment": environment, "suite": result.name, "attempts": attempts,
            "tests": list(result.failed), "reason": result.reason}  # fmt: skip


def stopped(name: str, by: str) -> SuiteResult:
    """Return the result of a suite that was stopped because the suite ``by`` failed."""
    return SuiteResult(name, SKIPPED, reason=f"stopped: {by} failed (--fail-fast)")
