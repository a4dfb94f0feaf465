"""Reads what a source scanner found."""

import json
from dataclasses import dataclass

from .errors import CheckError

STAGE = "gosec"
ARGUMENTS = ("-fmt=json", "-out=/reports/gosec.json", "./...")


@dataclass(frozen=True)
class Findings:
    """What a scan found: one line each; ``files`` is how many it looked at, ``errors`` what it could not read."""

    lines: tuple[str, ...]
    files: int
    errors: tuple[str, ...] = ()


def parse(data: bytes, where: str) -> Findings:
    """Return the findings of gosec's JSON report; raises CheckError when it is none."""
    try:
        report = json.loads(data)
        lines = tuple(
            f"{one['file']}:{one['line']}: {one['rule_id']} ({one['severity']}): {one['details']}"
            for one in report["Issues"] or ()
        )
        errors = tuple(
            f"{file}: {one['error']}" for file, found in (report.get("Golang errors") or {}).items() for one in found
        )
        return Findings(lines, int(report["Stats"]["files"]), errors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"{where}: is not a report of gosec: {error}", "see the log beside it") from None
