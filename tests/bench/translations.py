"""Translates every Compose project below a directory to Kubernetes: ``python -m tests.bench.translations DIR``.

It works on a copy, so DIR may be a clone of any repository. Each project is adopted, and what it builds gets an image
of a registry, as a user writes it for a cluster. Then its environment prod is reported, rendered and judged: by the
schemas of the API, and with ``--kubeconfig`` by a dry run of the API server. With ``--accept``, refusals that may be
accepted are, and it is tried once more.

``--stand-ins`` is for a machine that reaches no registry: images that say the same of themselves are put in the place
of all images (`stand_ins`), and are removed afterwards. Without it, build and pull the images before, so that the
engine knows them.

The exit code is 1 when a task ended with a traceback or a defect, or when objects that are rendered are not accepted.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulate import tabulate

from . import stand_ins
from .foreign import DEFECT, inv, projects

_ENVIRONMENT, _REGISTRY = "prod", "registry.example.com"
_OUTCOMES = ("translated", "inferred", "ignored", "refused")
_OK, _BAD, _NONE = "ok", "no", "-"


@dataclass
class Row:
    """What became of a project: numbers of keys by outcome, refusals, verdicts, and what must not have happened."""

    project: str
    counts: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    refusals: list[str] = field(default_factory=list)
    accepted: int = 0
    schema: str = _NONE
    server: str = _NONE
    defects: list[str] = field(default_factory=list)

    def cells(self) -> tuple[object, ...]:
        """Return the row of the table."""
        numbers = (self.counts.get(outcome, _NONE) for outcome in _OUTCOMES)
        return (self.project, self.objects or _NONE, *numbers, self.accepted or _NONE, self.schema, self.server)


def visit(project: Path, root: Path, options: argparse.Namespace) -> Row:
    """Adopt a project, translate it, and let its objects be judged."""
    row = Row(str(project.relative_to(root)))
    adopted = inv(project, "adopt", "--yes")
    if adopted.returncode:
        row.defects.append(f"adopt: {_last(adopted)}")
        return row
    try:
        with (project / "envs" / f"{_ENVIRONMENT}.env").open("a") as profile:
            profile.write(f"KUBE_CONTEXT={options.context}\nKUBE_NAMESPACE={options.namespace}\n")
            profile.write(f"KUBECONFIG={options.kubeconfig}\n" if options.kubeconfig else "")
        _name_images(project, row.project, options.stand_ins)
    except (RuntimeError, OSError) as error:
        row.defects.append(str(error))
        return row
    report = _report(project, row)
    row.refusals = [_told(key, project) for key in _refused(report)]
    if options.accept and _accept(project, report):
        row.accepted = len(_refused(report))
        report = _report(project, row)
        row.accepted -= len(_refused(report))
    if report and not _refused(report):
        row.objects = len(report["objects"])
        _judge(project, root, row, options)
    return row


def _report(project: Path, row: Row) -> dict[str, Any]:
    """Return the report of a project, or nothing where the task failed."""
    done = inv(project, "kube.report", "--env", _ENVIRONMENT, "--json")
    if done.returncode == DEFECT or "Traceback" in done.stderr or not done.stdout:
        row.defects.append(f"kube.report: {_last(done)}")
        return {}
    report: dict[str, Any] = json.loads(done.stdout)
    row.counts = row.counts or report["counts"]
    return report


def _refused(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [key for key in report.get("keys", ()) if key["outcome"] == "refused"]


def _told(key: dict[str, Any], project: Path) -> str:
    word = f" [{key['accept']}]" if key["accept"] else ""
    return f"{key['key']}: {key['reason']}{word}".replace(f"{project}", ".")


def _name_images(project: Path, name: str, all_of_them: bool) -> None:
    """Write an overlay with images of a registry: of what is built, or with stand-ins of everything."""
    words = ("docker", "compose", "config", "--format", "json")
    shown = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True)
    services: dict[str, dict[str, Any]] = json.loads(shown.stdout).get("services") or {}
    registry = stand_ins.PREFIX if all_of_them else _REGISTRY
    images = {
        service: f"{registry}/{name.lower()}/{service}:1" if raw.get("build") else stand_ins.name_of(raw["image"])
        for service, raw in services.items()
        if raw.get("build") or all_of_them
    }
    _overlay(project, "registry", {service: {"image": image} for service, image in images.items()})
    for service, raw in services.items() if all_of_them else ():
        if raw.get("build"):
            stand_ins.built(raw["build"], images[service])
        else:
            stand_ins.published(raw["image"])


def _accept(project: Path, report: dict[str, Any]) -> bool:
    """Accept what may be accepted; return whether there is something."""
    services: dict[str, dict[str, str]] = {}
    for key in _refused(report):
        if key["accept"] and key["key"].startswith("services."):
            services.setdefault(key["key"].split(".")[1], {})[key["accept"]] = "tried"
    accepted = {service: {"x-slipway": {"accept": words}} for service, words in services.items()}
    _overlay(project, "accepted", accepted)
    return bool(services)


def _overlay(project: Path, name: str, services: dict[str, Any]) -> None:
    """Add a Compose file to the environment."""
    if not services:
        return
    (project / f"compose.{name}.yaml").write_text(json.dumps({"services": services}), "utf-8")
    profile = project / "envs" / f"{_ENVIRONMENT}.env"
    lines = [
        f"{line}:compose.{name}.yaml" if line.startswith("COMPOSE_FILE=") else line
        for line in profile.read_text("utf-8").splitlines()
    ]
    profile.write_text("\n".join(lines) + "\n", "utf-8")


def _judge(project: Path, root: Path, row: Row, options: argparse.Namespace) -> None:
    """Render a project, and let the schemas and the API server judge its objects."""
    # Not into the project, which may be mounted as a whole.
    rendered = inv(project, "kube.render", "--env", _ENVIRONMENT, "--out", f"{root}-objects/{row.project}")
    if rendered.returncode:
        row.defects.append(f"kube.render: {_last(rendered)}")
        return
    words = () if options.kubeconfig else ("--offline",)
    checked = inv(project, "kube.check", "--env", _ENVIRONMENT, "--security", "privileged", "--json", *words)
    if not checked.stdout:
        row.defects.append(f"kube.check: {_last(checked)}")
        return
    verdict = json.loads(checked.stdout)
    outcomes = {check["check"]: check["outcome"] for check in verdict["checks"]}
    row.schema = _OK if outcomes["schema"] == "passed" else _BAD
    row.server = {"passed": _OK, "failed": _BAD}.get(outcomes["server"], _NONE)
    row.defects += [
        f"{finding['check']}: {finding}" for finding in verdict["findings"] if finding["check"] in ("schema", "server")
    ]


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    return " / ".join([line for line in done.stderr.splitlines() if line.strip()][-3:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--accept", action="store_true", help="accept what may be accepted, and try again")
    parser.add_argument("--stand-ins", action="store_true", help="put images that run nothing in the place of all")
    parser.add_argument("--kubeconfig", default="", help="of a cluster that tries the objects without keeping them")
    parser.add_argument("--context", default="default")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--jobs", type=int, default=2, help="how many projects at once")
    return parser.parse_args()


def main() -> int:
    """Print the table; return the exit code."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="translations-") as scratch:
        copy = Path(scratch) / options.directory.resolve().name
        shutil.copytree(options.directory, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
        try:
            with ThreadPoolExecutor(options.jobs) as pool:
                rows = list(pool.map(lambda project: visit(project, copy, options), list(projects(copy))))
        finally:
            if options.stand_ins:
                stand_ins.remove()
    headers = ("PROJECT", "OBJECTS", *(outcome.upper() for outcome in _OUTCOMES), "ACCEPTED", "SCHEMA", "DRY RUN")
    print(tabulate([row.cells() for row in rows], headers=headers, tablefmt="plain"))
    for row in rows:
        for line in row.refusals:
            print(f"{row.project}: {line}")
    defects = [f"{row.project}: {line}" for row in rows for line in row.defects]
    for line in defects:
        print(f"DEFECT {line}")
    rendered = [row for row in rows if row.objects]
    as_it_is = sum(not row.accepted for row in rendered)
    print(
        f"{len(rows)} projects: {as_it_is} as they are, {len(rendered) - as_it_is} more with accepted refusals, "
        f"{len(rows) - len(rendered)} refused, {len(defects)} defects"
    )
    return 1 if defects or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
