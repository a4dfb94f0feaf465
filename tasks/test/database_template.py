"""Template databases: a filled database is kept as an image, so that a stack starts with its files."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ..host import processes
from ..host.output import note
from ..host.project import Project
from ..host.reports import Run
from ..host.runner import capture
from ..model.engine.facts import Image
from ..model.errors import CommandError, SlipwayError, StoppedError
from ..model.stack.stack import Service, unescaped
from .plan import shared
from .plan import stack as stack_plan
from .plan.stack import Copy
from .stack import Throwaway, bind_kinds, docker, removed

_KIND = "tpl"  # in the names of the stacks that fill a database


def template(project: Project, run: Run, database: Service, ids: Mapping[str, str]) -> str:
    """Return the id of the image with the filled database, made when there is none; "" when it cannot be made.

    The image contains what the jobs have written and the database's stored passwords: it is never pushed.
    """
    services = (database, *stack_plan.prepared(project.stack))
    key = stack_plan.template_key(project.model, services, ids, _contents(project, services))
    reference = f"{project.stack.project}-template:{key}"
    image = project.engine.image(reference)
    if image is None and not project.runner.dry:
        try:
            image = _make(project, run, database, ids, reference)
        except StoppedError:
            raise
        except SlipwayError as error:
            note(f"the database gets no template and is filled by every run: {error.message}")
    return image.id if image else ""


def _contents(project: Project, services: tuple[Service, ...]) -> dict[str, str]:
    """Return the digest of every file that the services of a copy mount: secrets, configs, files of the project."""
    empty = shared.own_volumes(unescaped(project.model), bind_kinds(project))
    paths = {path for service in services for path in project.stack.files(service).values()}
    for service in services:
        mounts = unescaped(project.model["services"][service.name].get("volumes") or [])
        paths |= {str(mount["source"]) for mount in mounts if mount.get("type") == "bind"} - set(empty)
    return {path: _digest(Path(path)) for path in sorted(paths)}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in (path, *sorted(path.rglob("*"))) if path.is_dir() else (path,):
        if file.is_file():
            digest.update(f"{file}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _make(project: Project, run: Run, database: Service, ids: Mapping[str, str], reference: str) -> Image | None:
    """Fill a database, stop it, and return the image with its files; raises CommandError when that fails."""
    copy = Copy(
        name=f"{project.stack.project}-{_KIND}-{run.id}",
        owner=project.stack.project,
        process=processes.mark(),
        services=(database.name, *(job.name for job in stack_plan.prepared(project.stack))),
        images=ids,
        fresh=True,
        kinds=bind_kinds(project),
    )
    note(f"filling a database to start from: {reference}")
    with removed(project, copy):
        stack = Throwaway(project, project, copy)
        stack.up()
        container = next(candidate for candidate in stack.containers() if candidate.service == database.name)
        capture(stack.docker("docker", "stop", container.id))
        ended = project.engine.inspect(container.id)
        if ended is None or ended.exit_code:
            raise CommandError(f"{database.name} did not stop cleanly: its exit code is not 0", 1)
        _build(project, database, reference, project.engine.archive(container.id, database.slipway.data))
    _forget(project)
    return project.engine.image(reference)


def _build(project: Project, database: Service, reference: str, files: Iterator[bytes]) -> None:
    """Build the database's image with the files added; an empty volume that is mounted there starts with them."""
    with tempfile.TemporaryDirectory() as directory:
        with Path(directory, "data.tar").open("wb") as archive:
            archive.writelines(files)
        parent = PurePosixPath(database.slipway.data).parent
        # ADD, not COPY: it unpacks the archive and keeps the owners of its files.
        Path(directory, "Dockerfile").write_text(f'FROM {database.image}\nADD ["data.tar", "{parent}/"]\n')
        labels = stack_plan.template_labels(project.stack.project, database.name)
        words = ("docker", "buildx", "build", "--load", "--quiet", f"--tag={reference}", *labels, directory)
        done = capture(docker(project, words))
    if done.exit_code:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise CommandError(f"its image cannot be built: {lines[-1].strip()}", done.exit_code)


def _forget(project: Project) -> None:
    """Remove the oldest templates of a project; the engine refuses to remove one in use."""
    templates = project.engine.images(f"{stack_plan.TEMPLATE_LABEL}={project.stack.project}")
    for image in templates[stack_plan.TEMPLATES_KEPT :]:
        capture(docker(project, ("docker", "image", "rm", *image.tags)))
