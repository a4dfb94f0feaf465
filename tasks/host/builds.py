"""Carries out builds and reports on images."""

import time
from typing import Any

from ..plan import build as planner
from ..plan.errors import CheckError, CommandError
from ..plan.facts import Image
from ..plan.size import SizeReport, report
from ..plan.units import show_duration, show_size
from ..plan.version import tags
from .machine import free_bytes
from .output import emit_json, emit_table, note
from .project import Project

DIGEST_LENGTH = 19  # "sha256:" and twelve characters, as `docker images` shows


def plan(
    project: Project, options: planner.Options, only_changed: bool = False, all_tags: bool = False
) -> planner.BuildPlan:
    """Gather what a build is decided on, and return its plan."""
    stack = project.stack
    inputs = project.build_inputs(options.services)
    images = project.images(stack) if only_changed else None
    made = planner.plan(stack, project.profile, project.version, inputs, options, project.cwd, images, all_tags)
    if made.ignored:
        note(f"not passed to the build, buildx bake has no word for it: {', '.join(made.ignored)}")
    return made


def carry_out(project: Project, build: planner.BuildPlan) -> None:
    """Run a build; raises CommandError with the reason and BuildKit's exit code when it fails."""
    if build.command is None:
        project.runner.show("nothing to build")
        return

    def explain(code: int, output: str) -> CommandError:
        free = free_bytes(project.engine.root_directory()) if project.engine.local() else None
        message, hint = planner.explain_failure(output, code, free)
        return CommandError(message, code, hint)

    project.runner.run(build.command, explain)


def run(project: Project, options: planner.Options, json: bool) -> None:
    """Build the selected services in one graph and report their images.

    Services whose inputs have not changed since their image was built are left out, unless an option asks for more.
    """
    build = plan(project, options, only_changed=not options.forced, all_tags=True)
    before = {} if project.runner.dry else _images(project, build)
    started = time.monotonic()
    carry_out(project, build)
    if not project.runner.dry:
        _report(project, build, before, time.monotonic() - started, json)


def _images(project: Project, build: planner.BuildPlan) -> dict[str, Image]:
    found = {one.reference: project.engine.image(one.reference) for one in build.every}
    return {reference: image for reference, image in found.items() if image is not None}


def _report(project: Project, build: planner.BuildPlan, before: dict[str, Image], seconds: float, json: bool) -> None:
    after = _images(project, build)
    rows: list[dict[str, Any]] = []
    for one in build.every:
        image, earlier = after.get(one.reference), before.get(one.reference)
        rows.append(
            {
                "service": one.service,
                "target": one.target,
                "reference": one.reference,
                "digest": image.id if image else "",
                "size": image.size if image else 0,
                # One graph builds them all: the time is the graph's.
                "seconds": round(seconds, 2),
                "cached": bool(image and earlier and image.id == earlier.id),
            }
        )
    if json:
        emit_json({"schema": "slipway/build/v1", "environment": project.profile.environment, "images": rows})
        return
    emit_table(
        ("SERVICE", "TARGET", "IMAGE", "DIGEST", "SIZE", ""),
        [
            (
                row["service"],
                row["target"] or "(last)",
                row["reference"],
                row["digest"][:DIGEST_LENGTH],
                show_size(row["size"]),
                "unchanged" if row["cached"] else "built",
            )
            for row in rows
        ],
    )
    built = sum(not row["cached"] for row in rows)
    note(f"{built} of {len(rows)} images built in {show_duration(seconds)}")


def size(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Report image and layer sizes; raises CheckError when an image is over its ``x-slipway.size-budget``."""
    reports = []
    for service in project.stack.built(services):
        image = project.engine.image(service.image)
        layers = project.engine.layers(service.image) if image else ()
        reports.append(report(service, image, layers))
    if json:
        emit_json({"schema": "slipway/build.size/v1", "images": [one.document() for one in reports]})
    else:
        _size_tables(reports)
    over = [one for one in reports if one.over_budget]
    if over:
        raise CheckError(
            "; ".join(f"{one.reference} is {show_size(one.size)}, budget {show_size(one.budget)}" for one in over),
            "see which instruction adds it above, or raise x-slipway.size-budget in the Compose file",
        )


def _size_tables(reports: list[SizeReport]) -> None:
    emit_table(
        ("SERVICE", "IMAGE", "SIZE", "BUDGET", ""),
        [
            (
                one.service,
                one.reference,
                show_size(one.size) if one.digest else "not built",
                show_size(one.budget) if one.budget else "-",
                "over budget" if one.over_budget else "",
            )
            for one in reports
        ],
    )
    layers = [
        (one.service, show_size(layer.size), layer.instruction[:100])
        for one in reports
        for layer in one.layers
        if layer.size
    ]
    if layers:
        emit_table(("SERVICE", "ADDS", "INSTRUCTION"), layers)


def list_images(project: Project, json: bool) -> None:
    """Report the local images of the project."""
    from ..plan.facts import PROJECT_LABEL, SERVICE_LABEL

    images = project.engine.images(f"{PROJECT_LABEL}={project.stack.project}")
    if json:
        rows = [
            {
                "service": one.labels.get(SERVICE_LABEL, ""),
                "tags": list(one.tags),
                "digest": one.id,
                "size": one.size,
                "created": one.created,
            }
            for one in images
        ]
        emit_json({"schema": "slipway/image.list/v1", "images": rows})
        return
    emit_table(
        ("SERVICE", "IMAGE", "DIGEST", "SIZE", "CREATED"),
        [
            (one.labels.get(SERVICE_LABEL, ""), tag, one.id[:DIGEST_LENGTH], show_size(one.size), one.created)
            for one in images
            for tag in one.tags or ("(no tag)",)
        ],
    )


def list_tags(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Report the tags that a build would carry, and why."""
    version = project.version
    rows = []
    for service in project.stack.built(services):
        repository, tag = planner.split_reference(service.image)
        rows.append((service.name, repository, tags(version, tag, service.recipe().target)))
    if json:
        images = [
            {
                "service": name,
                "repository": repository,
                "version": version.text,
                "tags": [tag for tag, _ in carried],
            }
            for name, repository, carried in rows
        ]
        emit_json({"schema": "slipway/image.tags/v1", "images": images})
        return
    emit_table(
        ("SERVICE", "IMAGE", "WHY"),
        [(name, f"{repository}:{tag}", why) for name, repository, carried in rows for tag, why in carried],
    )
