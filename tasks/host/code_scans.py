"""Scans the sources of every service that has a stage for it: the scanners run in containers, beside each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..plan import code_scan as planner
from ..plan.build import dockerfile_path
from ..plan.code_scan import Database, Output, Tool
from ..plan.errors import CheckError
from ..plan.finding import SKIPPED, UNCHECKED, Scan
from ..plan.stack import Service
from ..plan.testing import stage_parts
from ..plan.unit import Box, Facts, without_stage
from . import boxes, go_database
from .project import Project
from .reports import Run, read_json, read_report, write_json
from .unit_tests import refuse_remote

KIND = "code"


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on: sources, stages, and the date of the advisories."""
    database = project.go_database
    inputs = project.build_inputs()
    stages = [(one, planner.STAGE) for one in project.stack.built()]
    return {
        **stage_parts(stages, inputs, project.version, project.profile),
        "go advisories": f"{project.profile.text('SCAN_GO_DB')} {database.date or database.missing}",
    }


def hand_over(project: Project, run: Run) -> None:
    """Write down what is known of the database, so that the process that scans does not ask for it again."""
    run.suite(f"scan-{KIND}")
    write_json(_handed(run), vars(project.go_database))


def handed_over(project: Project, run: Run) -> Database:
    """Return the database as it was handed over; what was not is asked for."""
    found = read_json(_handed(run))
    try:
        return Database(**found) if isinstance(found, dict) else project.go_database
    except TypeError:
        return project.go_database


def _handed(run: Run) -> Path:
    return run.path(f"scan-{KIND}") / "go-database.json"


def check(project: Project, run: Run, tools: Sequence[Tool] = planner.TOOLS) -> list[Scan]:
    """Run the scanners on the sources of all services that have the stage, and return what each came to."""
    chosen = services(project)
    if not chosen:
        reason = f"no service has a stage {planner.STAGE!r}"
        return [Scan(tool.title, "", SKIPPED, reason=reason) for tool in tools]
    refuse_remote(project)
    targets = boxes.build(project, {one.name: planner.STAGE for one in chosen})
    database = _database(project, run, chosen) if any(tool.database for tool in tools) else Database()
    pairs = [(tool, one) for tool in tools for one in chosen if not (tool.database and database.missing)]
    made = [_box(project, run, tool, one, targets[one.name].reference, database) for tool, one in pairs]
    if not project.runner.dry:
        boxes.remove_stale(project)
    facts = boxes.run_all(project, run, made, lambda _: "", "SCAN_TIMEOUT")
    found: dict[str, list[Output]] = {tool.name: [] for tool in tools}
    for (tool, one), box, ended in zip(pairs, made, facts, strict=False):
        found[tool.name].append(_output(project, tool, one, box, ended))
    return [
        Scan(tool.title, "", UNCHECKED, reason=database.missing)
        if tool.database and database.missing
        else planner.scan(tool, found[tool.name])
        for tool in tools
    ]


def services(project: Project) -> list[Service]:
    """Return the services to look at: of several that are built from the same sources the first."""
    built = project.stack.built()
    without = without_stage(built, project.build_inputs(), planner.STAGE) if built else ()
    found: dict[tuple[str, str], Service] = {}
    for one in built:
        if one.name not in without:
            found.setdefault((one.recipe().context, dockerfile_path(one.recipe())), one)
    return list(found.values())


def _database(project: Project, run: Run, chosen: Sequence[Service]) -> Database:
    found = handed_over(project, run)
    if project.runner.dry or found.directory or found.missing:
        return found
    contexts = [Path(one.recipe().context) for one in chosen if one.recipe().context.startswith("/")]
    modules = {name for context in contexts for name in go_database.modules(context)}
    return go_database.fetch(project, found, run.suite(f"scan-{KIND}") / "go-database", modules)


def _box(project: Project, run: Run, tool: Tool, service: Service, image: str, database: Database) -> Box:
    mounts = ((database.directory, planner.DATABASE),) if tool.database else ()
    return boxes.box(
        project, run, f"scan-{tool.name}", service, image,
        entrypoint="sh", arguments=planner.arguments(tool), mounts=mounts,
    )  # fmt: skip


def _output(project: Project, tool: Tool, service: Service, box: Box, facts: Facts) -> Output:
    """Read what a scanner left; a report that is no plain file, or too large, is a fault of the scan."""
    directory, where = Path(box.reports), f"{service.name}: {tool.file}"
    context = Path(service.recipe().context)
    root = project.settings.root
    prefix = str(context.relative_to(root)) if context.is_relative_to(root) else context.name
    try:
        read = {name: read_report(directory / name, where) for name in (tool.file, "version", "directory")}
    except CheckError as error:
        return Output(service.name, facts, fault=error.message)
    texts: Mapping[str, str] = {name: (data or b"").decode(errors="replace").strip() for name, data in read.items()}
    return Output(service.name, facts, read[tool.file], texts["version"], texts["directory"], prefix)
