"""Template databases: a filled database is kept as an image, and a stack starts with its files."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ..plan import shared
from ..plan import throwaway as planner
from ..plan.errors import CommandError, SlipwayError, StoppedError
from ..plan.facts import Image
from ..plan.stack import Service, plain
from ..plan.throwaway import Copy
from . import processes
from .output import note
from .project import Project
from .reports import Run
from .runner import capture
from .throwaway import Throwaway, bind_kinds, docker, removed

_KIND = "tpl"  # in the names of the stacks that fill a database


def template(project: Project, run: Run, database: Service, ids: Mapping[str, str]) -> str:
    """Return the image whose database is filled, made when there is none yet; "" where that cannot be done.

    It holds what the jobs have written, the database's passwords as the database keeps them included: it stays on
    this engine.
    """
    services = (database, *planner.prepared(project.stack))
    key = planner.template_key(project.model, services, ids, _contents(project, services))
    reference = f"{project.stack.project}-template:{key}"
    found = project.engine.image(reference)
    if found is None and not project.runner.dry:
        try:
            found = _make(project, run, database, ids, reference)
        except StoppedError:
            raise
        except SlipwayError as error:
            note(f"no template of the database, it is filled each time: {error.message}")
    return found.id if found else ""


def _contents(project: Project, services: tuple[Service, ...]) -> dict[str, str]:
    """Return a digest of every file that services of a copy mount: secrets, configs and files of the project."""
    empty = shared.own_volumes(plain(project.model), bind_kinds(project))
    paths = {path for one in services for path in project.stack.files(one).values()}
    for one in services:
        mounts = plain(project.model["services"][one.name].get("volumes") or [])
        paths |= {str(mount["source"]) for mount in mounts if mount.get("type") == "bind"} - set(empty)
    return {path: _digest(Path(path)) for path in sorted(paths)}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in (path, *sorted(path.rglob("*"))) if path.is_dir() else (path,):
        if file.is_file():
            digest.update(f"{file}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _make(project: Project, run: Run, database: Service, ids: Mapping[str, str], reference: str) -> Image | None:
    """Fill a database, stop it in an orderly way, and keep its files in an image."""
    copy = Copy(
        name=f"{project.stack.project}-{_KIND}-{run.id}",
        owner=project.stack.project,
        holder=processes.mark(),
        services=(database.name, *(one.name for one in planner.prepared(project.stack))),
        images=ids,
        fresh=True,
        kinds=bind_kinds(project),
    )
    note(f"filling a database to start from: {reference}")
    with removed(project, copy):
        stack = Throwaway(project, project, copy)
        stack.up()
        container = next(one for one in stack.containers() if one.service == database.name)
        capture(stack.docker("docker", "stop", container.id))
        ended = project.engine.inspect(container.id)
        if ended is None or ended.exit_code:
            raise CommandError(f"{database.name} did not stop in an orderly way", 1)
        _build(project, database, reference, project.engine.archive(container.id, database.slipway.data))
    _forget(project)
    return project.engine.image(reference)


def _build(project: Project, database: Service, reference: str, files: Iterator[bytes]) -> None:
    """Add the files to the database's image. A volume that is mounted there begins with them."""
    with tempfile.TemporaryDirectory() as directory:
        with Path(directory, "data.tar").open("wb") as archive:
            archive.writelines(files)
        parent = PurePosixPath(database.slipway.data).parent
        # ADD and not COPY: an archive keeps its owners.
        Path(directory, "Dockerfile").write_text(f'FROM {database.image}\nADD ["data.tar", "{parent}/"]\n')
        labels = planner.template_labels(project.stack.project, database.name)
        words = ("docker", "buildx", "build", "--load", "--quiet", f"--tag={reference}", *labels, directory)
        done = capture(docker(project, words))
    if done.exit_code:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise CommandError(f"its image cannot be built: {lines[-1].strip()}", done.exit_code)


def _forget(project: Project) -> None:
    """Remove the oldest templates of a project; one in use stays."""
    templates = project.engine.images(f"{planner.TEMPLATE_LABEL}={project.stack.project}")
    for one in templates[planner.TEMPLATES_KEPT :]:
        capture(docker(project, ("docker", "image", "rm", *one.tags)))
