"""Lists the faults that there are to inject, and those that are in effect."""

from invoke import Context

from ..host.output import emit_json, emit_table, note
from ..host.profile.settings import settings
from ..host.project import Project
from ..model.units import show_duration
from . import active
from .experiment import library
from .plan.faults import FAULTS


def run(c: Context, env: str, json: bool) -> None:
    """Report the faults by name; of a named environment also those that are in effect, or left."""
    project = Project(c, env) if env else None
    there = active.found(project) if project else ()
    where = settings()
    experiments = {name: where.shown(path) for name, path in library(where.project_dir).items()}
    if json:
        rows = [
            {
                "fault": kind.name,
                "does": kind.does,
                "undone": kind.undone,
                "amount": kind.amount or None,
                "between": kind.between,
            }
            for kind in FAULTS
        ]
        emit_json(
            {
                "schema": "slipway/chaos.list/v1",
                "environment": project.profile.environment if project else None,
                "faults": rows,
                "experiments": [{"experiment": name, "file": file} for name, file in experiments.items()],
                "active": [vars(one) for one in there],
            }
        )
        return
    if project:
        emit_table(
            ("FAULT", "CONTAINER", "STATE", "SINCE", "FOR", "HELPER"),
            [(one.fault, one.target, one.state, one.since, show_duration(one.seconds), one.helper) for one in there],
        )
        return
    emit_table(
        ("FAULT", "DOES", "UNDONE", "--amount", "--from"),
        [(one.name, one.does, one.undone, one.amount or "-", "yes" if one.between else "-") for one in FAULTS],
    )
    if experiments:
        note(f"experiments for inv chaos.run: {', '.join(experiments)}")
    note("inv chaos.list --env NAME shows the faults that are in effect")
