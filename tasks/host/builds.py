"""Carries out builds and reports on images."""

import json as documents
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..plan import build as planner
from ..plan import registry
from ..plan.bake import outputs
from ..plan.contents import NO_ALIASES, Aliases
from ..plan.errors import CheckError, CommandError
from ..plan.facts import Image
from ..plan.size import SizeReport, report
from ..plan.units import show_duration, show_size
from ..plan.version import tags
from . import builders, contents
from .machine import free_bytes
from .output import emit_json, emit_table, note
from .project import Project

DIGEST_LENGTH = 19  # "sha256:" and twelve characters, as `docker images` shows


def plan(
    project: Project,
    options: planner.Options,
    only_changed: bool = False,
    all_tags: bool = False,
    known: Mapping[str, Image] | None = None,
) -> planner.BuildPlan:
    """Gather what a build is decided on, and return its plan; ``known`` are the images that its services name."""
    stack = project.stack
    project.start_version()
    inputs = project.build_inputs(options.services)
    images = (project.images(stack) if known is None else known) if only_changed else None
    version, cwd = project.version, project.cwd

    def decide(aliases: Aliases) -> planner.BuildPlan:
        return planner.plan(stack, project.profile, version, inputs, options, cwd, images, all_tags, aliases)

    made = with_aliases(project, decide)
    if made.ignored:
        note(f"not passed to the build, buildx bake has no word for it: {', '.join(made.ignored)}")
    builders.check(project, made, options)
    return made


def with_aliases(project: Project, decide: Callable[[Aliases], planner.BuildPlan]) -> planner.BuildPlan:
    """Return a plan that knows which inputs make the image that is there; asked for where inputs changed only."""
    made = decide(NO_ALIASES)
    known = contents.aliases(project) if made.outdated else NO_ALIASES
    return decide(known) if known.known else made


def carry_out(project: Project, build: planner.BuildPlan) -> None:
    """Run a build; an image whose content did not change keeps its id.

    Raises CommandError with the reason and BuildKit's exit code when the build fails.
    """
    if build.command is None:
        project.runner.show("nothing to build")
        return

    def explain(code: int, output: str) -> CommandError:
        free = free_bytes(project.engine.root_directory()) if project.engine.local() else None
        message, hint = planner.explain_failure(output, code, free)
        return CommandError(message, code, hint)

    made = outputs(build.command)
    earlier = {} if project.runner.dry else contents.before(project, made)
    project.runner.run(build.command, explain)
    if not project.runner.dry:
        contents.settle(project, made, earlier)


def run(project: Project, options: planner.Options, json: bool) -> None:
    """Build the selected services in one graph and report their images.

    Services whose inputs have not changed since their image was built are left out, unless an option asks for more.
    To push is a step after the build: what the registry has under an exact tag is compared with what was built.
    """
    from .registry import send  # a deploy may build, and pushes otherwise
    from .signatures import refuse_unready, sign_pushed

    if options.push:
        refuse_unready(project)
        project.know_releases()
    if options.push and len(_platforms(project, options)) > 1 and builders.in_use(project).driver != "docker":
        _run_lists(project, options, json)
        return
    build = plan(project, replace(options, push=False), only_changed=not options.forced, all_tags=True)
    pushed = _of(project, build) if options.push else ()
    before = {} if project.runner.dry else _images(project, build)
    started = time.monotonic()
    carry_out(project, build)
    if project.runner.dry:
        for name in (name for one in pushed for name in one.references):
            project.runner.run(registry.push(name, registry.environment(project.profile), project.cwd))
        return
    seconds = time.monotonic() - started
    if pushed:
        sent = send(project, pushed)
        sign_pushed(project, pushed, {row["reference"]: row["digest"] for row in sent})
    _report(project, build, before, seconds, json)


def _of(project: Project, build: planner.BuildPlan) -> tuple[registry.Named, ...]:
    return registry.images(map(registry.of_target, build.every), project.profile.environment)


def _platforms(project: Project, options: planner.Options) -> set[str]:
    own = (service.recipe().extra.get("platforms") or () for service in project.stack.built(options.services))
    return set(options.platforms or project.profile.words("PLATFORMS")) or max(map(set, own), key=len, default=set())


def _run_lists(project: Project, options: planner.Options, json: bool) -> None:
    """Build images of several platforms: straight into the registry, the engine cannot hold them."""
    from .registry import send_lists
    from .signatures import sign_pushed

    build = plan(project, replace(options, by_digest=True))
    images, started = _of(project, build), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-") as directory:
        file = Path(directory, "metadata.json")
        command = build.command
        if command is not None and not project.runner.dry:
            command = replace(command, argv=(*command.argv, "--metadata-file", str(file)))
        carry_out(project, replace(build, command=command))
        if project.runner.dry:
            project.runner.show(f"then names by digest: {', '.join(name for one in images for name in one.references)}")
            return
        digests = planner.digests(build, documents.loads(file.read_text(encoding="utf-8")))
    seconds = time.monotonic() - started
    digests = send_lists(project, images, digests)
    sign_pushed(project, images, digests)
    rows = [
        # Its size is that of no single image.
        _row(one, digests[one.reference], 0, seconds, False)
        for one in build.every
    ]
    _show(project, rows, seconds, json)


def _images(project: Project, build: planner.BuildPlan) -> dict[str, Image]:
    found = {one.reference: project.engine.image(one.reference) for one in build.every}
    return {reference: image for reference, image in found.items() if image is not None}


def _report(project: Project, build: planner.BuildPlan, before: dict[str, Image], seconds: float, json: bool) -> None:
    after = _images(project, build)
    rows = []
    for one in build.every:
        image, earlier = after.get(one.reference), before.get(one.reference)
        cached = bool(image and earlier and image.id == earlier.id)
        rows.append(_row(one, image.id if image else "", image.size if image else 0, seconds, cached))
    _show(project, rows, seconds, json)


def _row(one: planner.Target, digest: str, size: int, seconds: float, cached: bool) -> dict[str, Any]:
    return {
        "service": one.service,
        "target": one.target,
        "reference": one.reference,
        "digest": digest,
        "size": size,
        # One graph builds them all: the time is the graph's.
        "seconds": round(seconds, 2),
        "cached": cached,
    }


def _show(project: Project, rows: list[dict[str, Any]], seconds: float, json: bool) -> None:
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
                show_size(row["size"]) if row["size"] else "-",
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
    for tag, release in version.withheld:
        note(f"{tag} stays with {release}")
    emit_table(
        ("SERVICE", "IMAGE", "WHY"),
        [(name, f"{repository}:{tag}", why) for name, repository, carried in rows for tag, why in carried],
    )
