"""Scans Dockerfiles with hadolint and trivy, and the Compose model with Slipway's own checks."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from ..build.plan.build import dockerfile_path
from ..host.project import Project
from ..host.reports import Run
from ..model.errors import CheckError, InputError, RefusedError
from ..model.finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan
from ..model.stack.load import ROLE as LOAD_ROLE
from ..model.stack.stack import Service
from . import tools
from .plan import compose_model, dockerfiles
from .scratch import scratch


def _services(project: Project) -> dict[str, Service]:
    """Return the services of all Compose profiles, except inactive services whose Dockerfile is not there."""
    stack, wide = project.stack, project.wide.stack
    return {name: service for name, service in wide.services.items() if name in stack.services or _buildable(service)}


def _buildable(service: Service) -> bool:
    path = dockerfile_path(service.build) if service.build else ""
    return not path or Path(path).is_file()


def _files(project: Project) -> dict[Path, str]:
    """Return the Dockerfiles of all services with their names in reports; raises InputError when a file is missing."""
    root, files = project.settings.root, {}
    for service in _services(project).values():
        place = dockerfile_path(service.build) if service.build else ""
        if place:
            path = Path(place)
            if not path.is_file():
                raise InputError(f"{place}: no such Dockerfile (service {service.name})", "correct build.dockerfile")
            files[path] = str(path.relative_to(root)) if path.is_relative_to(root) else _below(path, project)
    return files


def _below(path: Path, project: Project) -> str:
    directory = project.settings.project_dir
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)


def parts(project: Project) -> dict[str, str]:
    """Return what the scan's result depends on: the Dockerfiles, the model, the facts about images, the scanners."""
    digest = hashlib.sha256()
    for path in _files(project):
        digest.update(path.read_bytes())
    facts_by_service = {name: vars(facts) for name, facts in _facts(project).items()}
    text = f"{json.dumps(facts_by_service)} {project.wide.model_text}"
    return {
        "environment": project.profile.environment,
        "Dockerfiles": digest.hexdigest(),
        "Compose model": hashlib.sha256(text.encode()).hexdigest(),
        "scanners": tools.key(project, "hadolint", "trivy"),
    }


def check(project: Project, run: Run) -> list[Scan]:
    """Return a scan each by hadolint, by trivy and by Slipway's own checks."""
    files = _files(project)
    return [
        _guarded("hadolint", bool(files), lambda: _hadolint(project, files)),
        _guarded("trivy: misconfiguration", bool(files), lambda: _trivy(project, run, files)),
        _own(project, files),
    ]


def _guarded(name: str, has_files: bool, check: Callable[[], Scan]) -> Scan:
    if not has_files:
        return Scan(name, "", SKIPPED, reason="no service is built from a Dockerfile")
    try:
        return check()
    except RefusedError as error:
        return Scan(name, "", UNCHECKED, reason=error.message)
    except CheckError as error:
        return Scan(name, "", INVALID, reason=error.message)


def _result(name: str, version: str, findings: tuple[Finding, ...]) -> Scan:
    return Scan(name, version, FOUND if findings else CLEAN, findings=findings)


def _hadolint(project: Project, files: dict[Path, str]) -> Scan:
    program = tools.find(project, "hadolint")
    names = {str(path): shown for path, shown in files.items()}
    words = ("--format", "json", "--no-fail", *names)
    result = tools.run(project, program, *words, cwd=str(project.settings.root))
    findings = dockerfiles.hadolint(result.stdout, lambda name: names.get(name, name))
    return _result("hadolint", tools.version(project, program, "--version"), findings)


def _trivy(project: Project, run: Run, files: dict[Path, str]) -> Scan:
    """Scan copies that are named ``Dockerfile``: trivy recognises Dockerfiles by that name."""
    program = tools.find(project, "trivy")
    with scratch(project, run) as directory:
        names = {}
        for number, (path, shown) in enumerate(files.items()):
            target = directory / str(number) / "Dockerfile"
            target.parent.mkdir()
            shutil.copyfile(path, target)
            names[f"{number}/Dockerfile"] = shown
        words = ("config", *tools.TRIVY, "--skip-check-update", "--format", "json", ".")
        result = tools.run(project, program, *words, cwd=str(directory))
    findings = dockerfiles.misconfigurations(result.stdout, lambda name: names.get(name, name))
    # The Compose model says whether a service has a health check; most stages need none.
    findings = tuple(finding for finding in findings if finding.id != "DS-0026")
    return _result("trivy: misconfiguration", tools.version(project, program, "--version"), findings)


def _own(project: Project, files: dict[Path, str]) -> Scan:
    directory = str(project.settings.project_dir)
    findings = list(compose_model.checks(_services(project), project.wide.model, _facts(project), directory))
    for path, shown in files.items():
        text = path.read_text(encoding="utf-8", errors="replace")
        findings += [*compose_model.unpinned_bases(text, shown), *compose_model.environment_secrets(text, shown)]
    return _result("slipway: Compose model", "", tuple(findings))


def _facts(project: Project) -> dict[str, compose_model.ModelFacts]:
    return {
        name: compose_model.ModelFacts(
            _user(project, service),
            _health_check(project, service),
            project.wide.stack.one_off(service) or service.slipway.role == LOAD_ROLE,
        )
        for name, service in _services(project).items()
    }


def _user(project: Project, service: Service) -> str | None:
    """Return the user of a service's image, from its Dockerfile, else its local (base) image; None when unknown."""
    build = service.build
    if build is None:
        return _image_user(project, service.image)
    path = dockerfile_path(build)
    text = str(build.extra.get("dockerfile_inline") or "")
    if not text and path and Path(path).is_file():
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    user = compose_model.stage_user(text, build.target)
    return user if user is not None else _base_user(project, service, text)


def _base_user(project: Project, service: Service, text: str) -> str | None:
    """Return the user of a base image; "" (root), as most base images have, when it is not on this machine."""
    from ..build.plan.dockerfile import parse

    build = service.recipe()
    file = parse(text, build.arguments)
    stage = file.find(build.target)
    bases = [reached.base for reached in file.reach(build.target) if not reached.inherits] if stage else []
    first = next((base for base in reversed(bases)), "")
    mapped = build.contexts.get(first, first).removeprefix("docker-image://")
    base_user = _image_user(project, mapped)
    return "" if base_user is None else base_user


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
