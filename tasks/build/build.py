"""Carries out builds and reports on images."""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..host.machine import free_bytes
from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..model import compose
from ..model.engine.facts import Image
from ..model.engine.image_contents import NO_ALIASES, Aliases
from ..model.errors import CheckError, CommandError
from ..model.reference import split_reference
from ..model.units import show_duration, show_size
from ..model.version import tags
from . import builder, contents, sources
from .plan import build as build_plan
from .plan.bake import outputs

if TYPE_CHECKING:
    from ..host.story.telling import Ending
    from ..image.plan.registry import Named
    from .plan.size import SizeReport

DIGEST_LENGTH = 19  # "sha256:" and twelve characters, as `docker images` shows


def plan(
    project: Project,
    options: build_plan.Options,
    only_changed: bool = False,
    all_tags: bool = False,
    known: Mapping[str, Image] | None = None,
) -> build_plan.BuildPlan:
    """Read the inputs of a build and return its plan; ``known`` are the services' images, where already looked up."""
    stack = project.stack
    project.start_version()
    inputs = sources.of_project(project, options.services)
    images = (project.images(stack) if known is None else known) if only_changed else None
    version, cwd = project.version, project.cwd

    def decide(aliases: Aliases) -> build_plan.BuildPlan:
        return build_plan.plan(stack, project.profile, version, inputs, options, cwd, images, all_tags, aliases)

    build = with_aliases(project, decide)
    if build.ignored:
        note(f"not passed to the build, because buildx bake does not support it: {', '.join(build.ignored)}")
    builder.check(project, build, options)
    return build


def with_aliases(project: Project, decide: Callable[[Aliases], build_plan.BuildPlan]) -> build_plan.BuildPlan:
    """Return the plan that ``decide`` makes; if inputs changed, with the other inputs known to make the same images."""
    build = decide(NO_ALIASES)
    known = contents.aliases(project) if build.outdated else NO_ALIASES
    return decide(known) if known.known else build


def carry_out(project: Project, build: build_plan.BuildPlan | None) -> None:
    """Run a build; an image whose content does not change keeps its id.

    Raises CommandError with the reason and BuildKit's exit code when the build fails.
    """
    if build is None or build.command is None:
        project.runner.show("nothing to build")
        return

    def explain(code: int, output: str) -> CommandError:
        free = free_bytes(project.engine.root_directory()) if project.engine.local() else None
        message, hint = build_plan.explain_failure(output, code, free)
        return CommandError(message, code, hint)

    if project.runner.dry:
        project.runner.run(build.command, explain)
        return
    from . import telling  # not at the top: a deploy with nothing to do builds nothing
    from .ingredients import BuildNotes, to_store

    expected, notes = outputs(build.command), BuildNotes(project, build)
    earlier = contents.present_images(project, expected)
    with telling.told({build.names.get(target.service, target.service): target.service for target in build.targets}):
        project.runner.run(build.command, explain)
    learned = contents.restore_ids(project, expected, earlier)
    if expected:
        contents.remember(project, learned, to_store(notes.built()))


def run(project: Project, options: build_plan.Options, json: bool) -> None:
    """Build the selected services in one graph and report their images.

    Services whose inputs have not changed since their image was built are left out, unless an option asks for more.
    The images are pushed after the build: what the registry has under an exact tag is compared with what was built.
    """
    from ..image.plan import registry
    from ..image.registry import send  # not at the top: a deploy builds too, and does not push here
    from ..image.sign import refuse_unready, sign_pushed

    if options.push:
        refuse_unready(project)
        project.know_releases()
    if options.push and len(_platforms(project, options)) > 1 and builder.in_use(project).driver != "docker":
        _run_lists(project, options, json)
        return
    build = plan(project, replace(options, push=False), only_changed=not options.forced, all_tags=True)
    pushed = _named_images(project, build) if options.push else ()
    before = {} if project.runner.dry else _images(project, build)
    started = time.monotonic()
    with _story(project, build):
        carry_out(project, build)
    if project.runner.dry:
        for name in (name for image in pushed for name in image.references):
            project.runner.run(registry.push(name, compose.docker_env(project.profile), project.cwd))
        return
    seconds = time.monotonic() - started
    if pushed:
        sent = send(project, pushed)
        sign_pushed(project, pushed, {row["reference"]: row["digest"] for row in sent})
    _report(project, build, before, seconds, json)


def _story(project: Project, build: build_plan.BuildPlan) -> "AbstractContextManager[Ending]":
    """Return the story of a build, with a log, for the task that does nothing else."""
    from ..host.story.telling import Ending, story
    from ..model.story.events import StoryBegun

    if build.command is None:
        return nullcontext(Ending())
    begun = StoryBegun("build", project.stack.project, project.profile.environment, project.version.text)
    return story(project, begun)


def _named_images(project: Project, build: build_plan.BuildPlan) -> "tuple[Named, ...]":
    from ..image.plan import registry

    return registry.images(map(build_plan.named_image, build.every), project.profile.environment)


def _platforms(project: Project, options: build_plan.Options) -> set[str]:
    own = (service.recipe().extra.get("platforms") or () for service in project.stack.built(options.services))
    return set(options.platforms or project.profile.words("PLATFORMS")) or max(map(set, own), key=len, default=set())


def _run_lists(project: Project, options: build_plan.Options, json: bool) -> None:
    """Build images for several platforms and push them directly: the engine cannot store manifest lists."""
    from ..image.registry import send_lists
    from ..image.sign import sign_pushed

    build = plan(project, replace(options, by_digest=True))
    images, started = _named_images(project, build), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-") as directory:
        file = Path(directory, "metadata.json")
        command = build.command
        if command is not None and not project.runner.dry:
            command = replace(command, argv=(*command.argv, "--metadata-file", str(file)))
        with _story(project, build):
            carry_out(project, replace(build, command=command))
        if project.runner.dry:
            project.runner.show(
                f"then names by digest: {', '.join(name for image in images for name in image.references)}"
            )
            return
        digests = build_plan.digests(build, loads(file.read_text(encoding="utf-8")))
    seconds = time.monotonic() - started
    digests = send_lists(project, images, digests)
    sign_pushed(project, images, digests)
    rows = [
        # Size 0: a manifest list has several images, each with its own size.
        _row(target, digests[target.reference], 0, seconds, False)
        for target in build.every
    ]
    _show(project, rows, seconds, json)


def _images(project: Project, build: build_plan.BuildPlan) -> dict[str, Image]:
    images = {target.reference: project.engine.image(target.reference) for target in build.every}
    return {reference: image for reference, image in images.items() if image is not None}


def _report(
    project: Project, build: build_plan.BuildPlan, before: dict[str, Image], seconds: float, json: bool
) -> None:
    after = _images(project, build)
    rows = []
    for target in build.every:
        image, earlier = after.get(target.reference), before.get(target.reference)
        cached = bool(image and earlier and image.id == earlier.id)
        rows.append(_row(target, image.id if image else "", image.size if image else 0, seconds, cached))
    _show(project, rows, seconds, json)


def _row(target: build_plan.Target, digest: str, size: int, seconds: float, cached: bool) -> dict[str, Any]:
    return {
        "service": target.service,
        "target": target.target,
        "reference": target.reference,
        "digest": digest,
        "size": size,
        # All images are built in one graph: this is the time of the whole graph.
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
    from .plan.size import report

    reports = []
    for service in project.stack.built(services):
        image = project.engine.image(service.image)
        layers = project.engine.layers(service.image) if image else ()
        reports.append(report(service, image, layers))
    if json:
        emit_json({"schema": "slipway/build.size/v1", "images": [size_report.document() for size_report in reports]})
    else:
        _size_tables(reports)
    over = [size_report for size_report in reports if size_report.over_budget]
    if over:
        raise CheckError(
            "; ".join(
                f"{size_report.reference} is {show_size(size_report.size)}, budget {show_size(size_report.budget)}"
                for size_report in over
            ),
            "see which instruction adds it above, or raise x-slipway.size-budget in the Compose file",
        )


def _size_tables(reports: "list[SizeReport]") -> None:
    emit_table(
        ("SERVICE", "IMAGE", "SIZE", "BUDGET", ""),
        [
            (
                report.service,
                report.reference,
                show_size(report.size) if report.digest else "not built",
                show_size(report.budget) if report.budget else "-",
                "over budget" if report.over_budget else "",
            )
            for report in reports
        ],
    )
    layers = [
        (report.service, show_size(layer.size), layer.instruction[:100])
        for report in reports
        for layer in report.layers
        if layer.size
    ]
    if layers:
        emit_table(("SERVICE", "ADDS", "INSTRUCTION"), layers)


def list_images(project: Project, json: bool) -> None:
    """Report the local images of the project."""
    from ..model.engine.facts import PROJECT_LABEL, SERVICE_LABEL

    images = project.engine.images(f"{PROJECT_LABEL}={project.stack.project}")
    if json:
        rows = [
            {
                "service": image.labels.get(SERVICE_LABEL, ""),
                "tags": list(image.tags),
                "digest": image.id,
                "size": image.size,
                "created": image.created,
            }
            for image in images
        ]
        emit_json({"schema": "slipway/image.list/v1", "images": rows})
        return
    emit_table(
        ("SERVICE", "IMAGE", "DIGEST", "SIZE", "CREATED"),
        [
            (image.labels.get(SERVICE_LABEL, ""), tag, image.id[:DIGEST_LENGTH], show_size(image.size), image.created)
            for image in images
            for tag in image.tags or ("(no tag)",)
        ],
    )


def list_tags(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Report the tags that a build would carry, and why."""
    version = project.version
    rows = []
    for service in project.stack.built(services):
        repository, tag = split_reference(service.image)
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
