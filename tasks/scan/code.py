"""Scans the sources of every service that has a ``security`` stage, with all scanners in parallel containers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..build import sources
from ..build.plan.build import dockerfile_path, without_stage
from ..build.plan.stage_key import stage_parts
from ..host.project import Project
from ..host.reports import Run, read_json, read_report, write_json
from ..model.errors import CheckError
from ..model.finding import SKIPPED, UNCHECKED, Scan
from ..model.stack.stack import Service
from ..sandbox import container
from ..sandbox.container import refuse_remote
from ..sandbox.plan.container import Box, ContainerResult
from . import go_db
from .plan import code
from .plan.code import GoDatabase, Tool, ToolOutput

KIND = "code"


def parts(project: Project) -> dict[str, str]:
    """Return what the scan's result depends on: sources, stages, and the date of the advisories."""
    database = project.once(go_db.find)
    inputs = sources.of_project(project)
    stages = [(service, code.STAGE) for service in project.stack.built()]
    return {
        **stage_parts(stages, inputs, project.version, project.profile),
        "go advisories": f"{project.profile.text('SCAN_GO_DB')} {database.date or database.missing}",
    }


def hand_over(project: Project, run: Run) -> None:
    """Write down the state of the Go database, so that the scan's process does not request it again."""
    run.suite(f"scan-{KIND}")
    write_json(_handover_file(run), vars(project.once(go_db.find)))


def handed_over(project: Project, run: Run) -> GoDatabase:
    """Return the database that ``hand_over`` wrote down, else request it."""
    document = read_json(_handover_file(run))
    try:
        return GoDatabase(**document) if isinstance(document, dict) else project.once(go_db.find)
    except TypeError:
        return project.once(go_db.find)


def _handover_file(run: Run) -> Path:
    return run.path(f"scan-{KIND}") / "go-database.json"


def check(project: Project, run: Run, tools: Sequence[Tool] = code.TOOLS) -> list[Scan]:
    """Run the scanners on the sources of all services that have the stage; returns a scan for each scanner."""
    scanned = services(project)
    if not scanned:
        reason = f"no service has a stage {code.STAGE!r}"
        return [Scan(tool.title, "", SKIPPED, reason=reason) for tool in tools]
    refuse_remote(project)
    targets = container.build(project, {service.name: code.STAGE for service in scanned})
    database = _database(project, run, scanned) if any(tool.database for tool in tools) else GoDatabase()
    pairs = [(tool, service) for tool in tools for service in scanned if not (tool.database and database.missing)]
    boxes = [_box(project, run, tool, service, targets[service.name].reference, database) for tool, service in pairs]
    if not project.runner.dry:
        container.remove_stale(project)
    results = container.run_all(project, run, boxes, lambda _: "", "SCAN_TIMEOUT")
    outputs: dict[str, list[ToolOutput]] = {tool.name: [] for tool in tools}
    for (tool, service), box, result in zip(pairs, boxes, results, strict=False):
        outputs[tool.name].append(_output(project, tool, service, box, result))
    return [
        Scan(tool.title, "", UNCHECKED, reason=database.missing)
        if tool.database and database.missing
        else code.scan(tool, outputs[tool.name])
        for tool in tools
    ]


def services(project: Project) -> list[Service]:
    """Return the services to scan: those with the stage, the first of several with the same context and Dockerfile."""
    built = project.stack.built()
    without = without_stage(built, sources.of_project(project), code.STAGE) if built else ()
    by_source: dict[tuple[str, str], Service] = {}
    for service in built:
        if service.name not in without:
            by_source.setdefault((service.recipe().context, dockerfile_path(service.recipe())), service)
    return list(by_source.values())


def _database(project: Project, run: Run, scanned: Sequence[Service]) -> GoDatabase:
    database = handed_over(project, run)
    if project.runner.dry or database.directory or database.missing:
        return database
    contexts = [Path(service.recipe().context) for service in scanned if service.recipe().context.startswith("/")]
    modules = {name for context in contexts for name in go_db.modules(context)}
    return go_db.fetch(project, database, run.suite(f"scan-{KIND}") / "go-database", modules)


def _box(project: Project, run: Run, tool: Tool, service: Service, image: str, database: GoDatabase) -> Box:
    mounts = ((database.directory, code.DATABASE),) if tool.database else ()
    return container.box(
        project, run, f"scan-{tool.name}", service, image,
        entrypoint="sh", arguments=code.arguments(tool), mounts=mounts,
    )  # fmt: skip


def _output(project: Project, tool: Tool, service: Service, box: Box, result: ContainerResult) -> ToolOutput:
    """Return a scanner's output; a report that is no regular file, or too large, makes it a fault."""
    directory, where = Path(box.reports), f"{service.name}: {tool.file}"
    context = Path(service.recipe().context)
    root = project.settings.root
    prefix = str(context.relative_to(root)) if context.is_relative_to(root) else context.name
    try:
        reports = {name: read_report(directory / name, where) for name in (tool.file, "version", "directory")}
    except CheckError as error:
        return ToolOutput(service.name, result, fault=error.message)
    texts: Mapping[str, str] = {name: (data or b"").decode(errors="replace").strip() for name, data in reports.items()}
    return ToolOutput(service.name, result, reports[tool.file], texts["version"], texts["directory"], prefix)
