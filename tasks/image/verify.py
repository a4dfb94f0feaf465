"""What image.sign and image.verify do, and the signature status of images that a deploy asks for."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..host.output import emit_json, emit_table
from ..host.project import Project
from ..host.runner import available
from ..model.errors import CheckError, RefusedError
from ..model.reference import split_reference
from ..model.stack.stack import Service
from .plan import signing
from .plan.signing import Status
from .registry import remotes
from .sign import sign, trust
from .transfers import run_retried

_AT_ONCE = 4  # questions to registries


def sign_here(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Sign what this engine has of the selected services' images, under their digests in the registry.

    Raises RefusedError when an image was never pushed: the registry may have another image under its name.
    """
    if not project.profile.text("SIGN_KEY"):
        environment = project.profile.environment
        raise RefusedError(f"SIGN_KEY is not set (environment {environment})", "name the private key of cosign")
    images, signed, pinned = services_by_image(project, services), [], []
    for reference, users in images.items():
        image = project.engine.image(reference)
        names = signing.pinned_names(image, reference) if image else ()
        if not names:
            state = signing.NOT_PUSHED if image else signing.ABSENT
            status = Status(service_names(users), reference, state)
            raise RefusedError(*status.fault(project.profile.environment, users[0].build is not None))
        signed.append(Status(service_names(users), reference, signing.SIGNED, names[-1].partition("@")[2]))
        pinned.append(names[-1])
    sign(project, pinned)
    if not project.runner.dry:
        _report(project, "image.sign", signed, json)


def services_by_image(project: Project, services: tuple[str, ...]) -> dict[str, list[Service]]:
    """Return the selected services by the reference of their image."""
    result: dict[str, list[Service]] = {}
    for service in project.stack.select(services):
        result.setdefault(service.image, []).append(service)
    return result


def service_names(services: Sequence[Service]) -> tuple[str, ...]:
    """Return the names of services."""
    return tuple(service.name for service in services)


def verify(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Report the signatures of the selected services' images; raises CheckError unless all are signed.

    Checked is the image that this engine has under the name, or the registry's image when the engine has none.
    """
    images = services_by_image(project, services)
    local = {reference: project.engine.image(reference) for reference in images}
    registered = remotes(project, [name for name, image in local.items() if image is None])
    names = {
        name: signing.pinned_names(image, name)
        if image
        else tuple(f"{split_reference(name)[0]}@{registered[name].digest}" for _ in (1,) if registered[name].digest)
        for name, image in local.items()
    }
    results = statuses(project, {name: service_names(users) for name, users in images.items()}, names)
    _report(project, "image.verify", results, json)
    bad = [f"{status.reference}: {status.state}" for status in results if status.state != signing.SIGNED]
    if bad:
        sign = f"inv image.sign --env {project.profile.environment}"
        raise CheckError("; ".join(bad), f"sign them with the private key that belongs to VERIFY_KEY: {sign}")


def _report(project: Project, task: str, results: Sequence[Status], json: bool) -> None:
    if json:
        rows = [status.document() for status in results]
        emit_json({"schema": f"slipway/{task}/v1", "environment": project.profile.environment, "images": rows})
        return
    emit_table(
        ("SERVICE", "IMAGE", "DIGEST", "SIGNATURE"),
        [(", ".join(status.services), status.reference, status.digest or "-", status.state) for status in results],
    )


def statuses(
    project: Project, services: Mapping[str, tuple[str, ...]], known: Mapping[str, tuple[str, ...]]
) -> list[Status]:
    """Return the status of each image; ``known`` has the names by digest (``repository@digest``) of each reference."""
    signing.verify_key(project.profile)
    if not available(signing.PROGRAM):
        raise signing.cosign_missing()
    asked = [name for names in known.values() for name in names]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        states = dict(zip(asked, pool.map(lambda name: _state(project, name), asked), strict=True))
    result = []
    for reference, names in known.items():
        # An image may be known by two digests, such as a list's and its own: a signature of either will do.
        best = next((name for name in names if states[name] == signing.SIGNED), names[-1] if names else "")
        state = states[best] if best else signing.NOT_PUSHED
        result.append(Status(services[reference], reference, state, best.partition("@")[2]))
    return result


def _state(project: Project, pinned: str) -> str:
    command = signing.verify(project.profile, pinned, trust(pinned), project.cwd)
    answer = run_retried(
        project, command, lambda result: signing.passing_fault(pinned, result.exit_code, result.stderr)
    )
    key = signing.verify_key(project.profile)
    return signing.judge(pinned, answer.exit_code, answer.stdout, answer.stderr, key)
