"""Signs images in their registry."""

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..host.project import Project
from ..host.runner import available, capture
from ..model.errors import CommandError
from ..model.reference import split_reference
from .plan import signing
from .plan.registry import Named, host
from .plan.signing import Trust
from .transfers import Job, carry_out

_CERTIFICATES = Path("/etc/docker/certs.d")  # where Docker looks: https://docs.docker.com/engine/security/certificates/


def trust(reference: str) -> Trust:
    """Return how cosign connects to an image's registry: with the certificate that Docker has for it."""
    name = host(reference)
    certificates = sorted((_CERTIFICATES / name).glob("*.crt")) if name else []
    return Trust(_loopback(name), str(certificates[0]) if certificates else "")


def _loopback(registry: str) -> bool:
    """Whether a registry (``host:port``) is on this machine."""
    name = registry.rpartition(":")[0] or registry
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unready(project: Project) -> None:
    """Raise an error, before anything is sent, when SIGN_KEY is set and cannot be used to sign."""
    key = project.profile.text("SIGN_KEY")
    if not key or project.runner.dry:
        return
    if not available(signing.PROGRAM):
        raise signing.cosign_missing()
    answer = capture(signing.check_key(project.profile, signing.PASSWORD in os.environ, project.cwd))
    if answer.exit_code != 0:
        words = answer.stderr.strip().splitlines()
        raise signing.key_fault(answer.stderr, "SIGN_KEY", key) or CommandError(
            f"cosign does not open SIGN_KEY: {words[-1] if words else 'no message'}", answer.exit_code
        )


def sign(project: Project, pinned: Iterable[str]) -> None:
    """Sign images in their registry (``repository@digest``) with SIGN_KEY; does nothing when it is not set.

    Signing again adds no second signature by the same key.
    """
    names = tuple(dict.fromkeys(pinned))
    if not names or not project.profile.text("SIGN_KEY"):
        return
    refuse_unready(project)
    given = signing.PASSWORD in os.environ
    jobs = [Job(name, (signing.sign(project.profile, name, trust(name), given, project.cwd),)) for name in names]
    carry_out(project, jobs, "sign")


def sign_pushed(project: Project, images: Sequence[Named], digests: Mapping[str, str]) -> None:
    """Sign images in every repository that they were pushed to; ``digests`` are by reference."""
    if not project.profile.text("SIGN_KEY"):
        return
    if project.runner.dry:
        project.runner.show(f"then sign by digest with SIGN_KEY: {', '.join(image.repository for image in images)}")
        return
    repositories = {image.reference: {split_reference(name)[0] for name in image.references} for image in images}
    sign(
        project,
        [f"{name}@{digests[image.reference]}" for image in images for name in sorted(repositories[image.reference])],
    )
