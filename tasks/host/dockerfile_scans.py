"""Scans Dockerfiles with hadolint and trivy, and the Compose model with checks of our own."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from ..plan import compose_scan, dockerfile_scan
from ..plan.build import dockerfile_path
from ..plan.errors import CheckError, InputError, RefusedError
from ..plan.finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan
from ..plan.load import ROLE as LOAD_ROLE
from ..plan.stack import Service
from . import scan_tools
from .project import Project
from .reports import Run
from .scan_files import scratch


def _services(project: Project) -> dict[str, Service]:
    """Return the services of all Compose profiles; one that no environment file gives a Dockerfile is none."""
    stack, wide = project.stack, project.wide.stack
    return {name: one for name, one in wide.services.items() if name in stack.services or _buildable(one)}


def _buildable(service: Service) -> bool:
    path = dockerfile_path(service.build) if service.build else ""
    return not path or Path(path).is_file()


def _files(project: Project) -> dict[Path, str]:
    """Return the Dockerfiles of all services, by what they are called in reports."""
    root, found = project.settings.root, {}
    for service in _services(project).values():
        place = dockerfile_path(service.build) if service.build else ""
        if place:
            path = Path(place)
            if not path.is_file():
                raise InputError(f"{place}: no such Dockerfile (service {service.name})", "correct build.dockerfile")
            found[path] = str(path.relative_to(root)) if path.is_relative_to(root) else _below(path, project)
    return found


def _below(path: Path, project: Project) -> str:
    directory = project.settings.project_dir
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on: the Dockerfiles, the model, what is known of images, the scanners."""
    digest = hashlib.sha256()
    for path in _files(project):
        digest.update(path.read_bytes())
    facts = {name: vars(one) for name, one in _facts(project).items()}
    told = f"{json.dumps(facts)} {project.wide.model_text}"
    return {
        "environment": project.profile.environment,
        "Dockerfiles": digest.hexdigest(),
        "Compose model": hashlib.sha256(told.encode()).hexdigest(),
        "scanners": scan_tools.key(project, "hadolint", "trivy"),
    }


def check(project: Project, run: Run) -> list[Scan]:
    """Return what hadolint, trivy and our own checks came to."""
    files = _files(project)
    return [
        _guarded("hadolint", bool(files), lambda: _hadolint(project, files)),
        _guarded("trivy: misconfiguration", bool(files), lambda: _trivy(project, run, files)),
        _own(project, files),
    ]


def _guarded(name: str, any_: bool, look: Callable[[], Scan]) -> Scan:
    if not any_:
        return Scan(name, "", SKIPPED, reason="no service is built from a Dockerfile")
    try:
        return look()
    except RefusedError as error:
        return Scan(name, "", UNCHECKED, reason=error.message)
    except CheckError as error:
        return Scan(name, "", INVALID, reason=error.message)


def _result(name: str, version: str, findings: tuple[Finding, ...]) -> Scan:
    return Scan(name, version, FOUND if findings else CLEAN, findings=findings)


def _hadolint(project: Project, files: dict[Path, str]) -> Scan:
    program = scan_tools.find(project, "hadolint")
    names = {str(path): shown for path, shown in files.items()}
    words = ("--format", "json", "--no-fail", *names)
    result = scan_tools.run(project, program, *words, cwd=str(project.settings.root))
    found = dockerfile_scan.hadolint(result.stdout, lambda name: names.get(name, name))
    return _result("hadolint", scan_tools.version(project, program, "--version"), found)


def _trivy(project: Project, run: Run, files: dict[Path, str]) -> Scan:
    """Give trivy copies that are called Dockerfile: it knows them by their name."""
    program = scan_tools.find(project, "trivy")
    with scratch(project, run) as directory:
        names = {}
        for number, (path, shown) in enumerate(files.items()):
            target = directory / str(number) / "Dockerfile"
            target.parent.mkdir()
            shutil.copyfile(path, target)
            names[f"{number}/Dockerfile"] = shown
        words = ("config", *scan_tools.TRIVY, "--skip-check-update", "--format", "json", ".")
        result = scan_tools.run(project, program, *words, cwd=str(directory))
    found = dockerfile_scan.misconfigurations(result.stdout, lambda name: names.get(name, name))
    # The Compose model says whether a service has a health check; most stages need none.
    found = tuple(one for one in found if one.id != "DS-0026")
    return _result("trivy: misconfiguration", scan_tools.version(project, program, "--version"), found)


def _own(project: Project, files: dict[Path, str]) -> Scan:
    directory = str(project.settings.project_dir)
    found = list(compose_scan.checks(_services(project), project.wide.model, _facts(project), directory))
    for path, shown in files.items():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [*compose_scan.bases(text, shown), *compose_scan.environment(text, shown)]
    return _result("slipway: Compose model", "", tuple(found))


def _facts(project: Project) -> dict[str, compose_scan.Facts]:
    return {
        name: compose_scan.Facts(
            _user(project, one),
            _health_check(project, one),
            project.wide.stack.one_off(one) or one.slipway.role == LOAD_ROLE,
        )
        for name, one in _services(project).items()
    }


def _user(project: Project, service: Service) -> str | None:
    """Return the user of a service's image: what its Dockerfile says, else the local image or base, else None."""
    build = service.build
    if build is None:
        return _image_user(project, service.image)
    path = dockerfile_path(build)
    text = str(build.extra.get("dockerfile_inline") or "")
    if not text and path and Path(path).is_file():
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    said = compose_scan.user(text, build.target)
    return said if said is not None else _base_user(project, service, text)


def _base_user(project: Project, service: Service, text: str) -> str | None:
    """Return the user of a base image; one that is not on this machine most likely runs as root, as most do."""
    from ..plan.dockerfile import parse

    build = service.recipe()
    file = parse(text, build.arguments)
    stage = file.find(build.target)
    bases = [one.base for one in file.reach(build.target) if not one.inherits] if stage else []
    first = next((base for base in reversed(bases)), "")
    mapped = build.contexts.get(first, first).removeprefix("docker-image://")
    found = _image_user(project, mapped)
    return "" if found is None else found


def _image_user(project: Project, reference: str) -> str | None:
    try:
        return project.engine.image_user(reference) if project.engine.image(reference) else None
    except RefusedError:  # no engine
        return None


def _health_check(project: Project, service: Service) -> bool | None:
    if service.health_check:
        return True
    if service.build is None:
        try:
            image = project.engine.image(service.image)
        except RefusedError:
            return None
        return image.health_check if image else None
    path = dockerfile_path(service.build)
    text = Path(path).read_text(encoding="utf-8", errors="replace") if path and Path(path).is_file() else ""
    return "HEALTHCHECK" in text.upper()
