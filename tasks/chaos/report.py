"""chaos.report: writes one page about experiments that were run, from their journals."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..host.output import WARNING, add_mask, emit, emit_json, mask_secrets, note
from ..host.profile.load_profile import load_profile
from ..host.profile.text_files import replace_text
from ..model.errors import InputError, SlipwayError
from .plan.experiment import extension
from .plan.masked import masked
from .plan.report_page import page
from .plan.timeline import Timeline, phases, timeline

_LARGEST = 64 << 20  # bytes of a journal


def run(paths: Iterable[str], out: str, json_: bool) -> None:
    """Write the page and say where it is; raises InputError for what is no journal, or a file that cannot be."""
    files = [file for path in paths for file in _journals(path)]
    target = _target(files[0], out)
    journals = [(str(path), _read(path)) for path in files]
    _know_secrets(
        {str(extension(journal).get("environment", "")) for _, journal in journals if isinstance(journal, dict)}
    )
    timelines = [timeline(masked(journal, mask_secrets), name) for name, journal in journals]
    try:
        replace_text(target, page(timelines), mode=0o644)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}", "--out names another file") from None
    if json_:
        emit_json(_document(target, timelines))
    else:
        emit(str(target))


def _journals(path: str) -> list[Path]:
    """Return the journals of a path: the file itself, or those of a directory, such as ``reports/latest/chaos``."""
    given = Path(path).expanduser()
    if given.is_dir():
        found = sorted(one for one in given.glob("*.json") if one.is_file())
        if not found:
            raise InputError(f"{path}: has no journal", "name a file, or a directory such as reports/latest/chaos")
        return found
    if not given.is_file():
        raise InputError(f"there is no journal {path!r}", "chaos.run says where it has written one")
    return [given]


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: is too large for a journal", "name a journal.json")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else "is no JSON"
        raise InputError(f"{path}: {said}", "name a journal.json") from None


def _target(first: Path, out: str) -> Path:
    """Return where the page goes: the file that was named, else ``report.html`` beside the first journal."""
    path = Path(out).expanduser().absolute() if out else first.absolute().parent / "report.html"
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"--out {out}: no file can be written there", "name a file in a directory that exists")
    return path


def _know_secrets(environments: Iterable[str]) -> None:
    """Let the secrets of the environments be masked that the experiments ran in, or of the default one."""
    for name in sorted(environments):
        try:
            add_mask(load_profile(name).masked)
        except SlipwayError as error:
            note(f"secrets are masked by their names only: {error.message}", WARNING)


def _document(target: Path, timelines: Iterable[Timeline]) -> dict[str, Any]:
    """Return what the page says as JSON data, without the samples."""
    return {
        "schema": "slipway/chaos.report/v1",
        "file": str(target),
        "experiments": [
            {
                "title": one.title,
                "status": one.status,
                "deviated": one.deviated,
                "seconds": round(one.seconds, 2),
                "faults": [
                    {"fault": span.name, "service": span.service, "begin": round(span.begin, 2),
                     "end": round(span.end, 2)}
                    for span in one.faults
                ],
                "measured": [
                    {"probe": series.probe, "phases": [vars(phase) for phase in phases(series, one.faults)]}
                    for series in one.series
                ],
            }
            for one in timelines
        ],
    }  # fmt: skip
