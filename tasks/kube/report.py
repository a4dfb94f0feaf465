"""What kube.report does: tells what became of each key of the Compose files."""

from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..model.errors import InputError
from .manifests.plan.judging import place, refuse_secrets, refused
from .plan.outcome import OUTCOMES, REFUSED, TRANSLATED, KeyOutcome
from .translated import Translated, translated

_NAMED = 5  # refused keys in a message
_HEADERS = ("OUTCOME", "KEY", "WRITTEN AT", "ON KUBERNETES", "WHY")


def run(project: Project, every: bool, json: bool) -> None:
    """Report the keys, those first that have to be read first; raises InputError where nothing would be rendered."""
    made = translated(project)
    if json:
        emit_json(_document(project, made))
    else:
        _tables(made, every)
    if faults := refused(made.outcomes):
        raise InputError(
            f"{made.source.stack.project}: refused: {', '.join(fault.key for fault in faults[:_NAMED])}"
            + (f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""),
            "the last column says what to do; nothing is rendered as long as keys are refused",
        )
    refuse_secrets(made.objects)


def _document(project: Project, made: Translated) -> dict[str, object]:
    return {
        "schema": "slipway/kube.report/v1",
        "environment": project.profile.environment,
        "project": made.source.stack.project,
        "counts": _counts(made),
        "keys": [outcome.document(made.source.positions) for outcome in made.outcomes],
        "objects": [
            {"apiVersion": one["apiVersion"], "kind": one["kind"], "name": one["metadata"]["name"]}
            for one in made.objects
        ],
    }


def _why(outcome: KeyOutcome) -> str:
    """Return the reason, what to do, and the word that accepts a refusal."""
    word = f"accept: {outcome.accept}" if outcome.kind == REFUSED and outcome.accept else ""
    return "; ".join(filter(None, (outcome.reason, outcome.hint, word))) or "-"


def _counts(made: Translated) -> dict[str, int]:
    kinds = [outcome.kind for outcome in made.outcomes]
    return {kind: kinds.count(kind) for kind in OUTCOMES}


def _tables(made: Translated, every: bool) -> None:
    shown = [outcome for outcome in made.outcomes if every or outcome.kind != TRANSLATED]
    rows = [
        (
            outcome.kind,
            outcome.key,
            place(outcome, made.source.positions).removesuffix(": ") or "-",
            outcome.into or "-",
            _why(outcome),
        )
        for outcome in shown
    ]
    emit_table(_HEADERS, rows)
    if left := len(made.outcomes) - len(shown):
        note(f"{left} keys are translated as they are: --all lists them too")
