"""Says what makes images new: what goes into them now, and what went in the last time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..host.output import emit_json, emit_table
from ..host.project import Project
from ..model.errors import InputError
from . import build as builds
from .ingredients import IngredientReader, noted
from .plan.bake import Options, Target
from .plan.build import BuildPlan
from .plan.ingredients import Built, Ingredients, Why, tool_differences

_SHOWN = 6  # differences in a row of the table; --json has all


def build_or_explain(project: Project, options: Options, json: bool, why: bool) -> None:
    """Build the selected services; with ``why`` only say what makes their images new."""
    if not why:
        builds.run(project, options, json)
        return
    if options.forced or options.push:
        raise InputError("--why builds nothing: it goes with --env, --service and --json only", "leave the others out")
    explain(project, options, json)


def explain(project: Project, options: Options, json: bool) -> None:
    """Report what makes the images of services new; builds nothing."""
    build = builds.plan(project, options, only_changed=True)
    reader, known = IngredientReader(project, tuple(build.services.values())), noted(project)
    targets = {target.service: target for target in build.every}
    rows = [
        _row(target, build, reader.of(target, targets), known.get(target.reference), reader) for target in build.every
    ]
    if json:
        environment = project.profile.environment
        emit_json({"schema": "slipway/build.why/v1", "environment": environment, "images": rows})
        return
    emit_table(("SERVICE", "IMAGE", "", "WHY"), [_cells(row) for row in rows])


def _row(
    target: Target, build: BuildPlan, now: Ingredients, last: Built | None, reader: IngredientReader
) -> dict[str, Any]:
    told = reader.differences(target, last.ingredients, now) if last else ()
    return {
        "service": target.service,
        "target": target.target,
        "reference": target.reference,
        "unchanged": target.service not in build.causes,
        "cause": build.causes.get(target.service, ""),
        "known": last is not None,
        "why": [asdict(why) for why in told],
        "tools": [asdict(why) for why in (tool_differences(last.ingredients, now) if last else ())],
        "made": [asdict(why) for why in last.made] if last else None,
    }


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    told = _words(row["why"])
    if not row["unchanged"]:
        unknown = "" if row["known"] else ", and what went in the last time was not noted"
        return row["service"], row["reference"], "new", told or f"{row['cause']}{unknown}"
    alike = f"{told}: known to make the same image" if told else ""
    made = f"made new by: {_words(row['made'])}" if row["made"] else ""
    tools = f"since then: {_words(row['tools'])}" if row["tools"] else ""
    return row["service"], row["reference"], "unchanged", "; ".join(filter(None, (alike, made, tools)))


def _words(entries: Sequence[Mapping[str, Any]]) -> str:
    words = [Why(one["kind"], one["name"], one["change"], tuple(one["stages"])).words() for one in entries]
    more = [f"and {len(words) - _SHOWN} more (--json)"] if len(words) > _SHOWN else []
    return "; ".join([*words[:_SHOWN], *more])
