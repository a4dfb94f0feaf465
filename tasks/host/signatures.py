"""Signs images in their registry."""

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..plan import signing as planner
from ..plan.build import split_reference
from ..plan.errors import CommandError
from ..plan.registry import Named, host
from ..plan.signing import Trust
from .output import note
from .project import Project
from .runner import available, capture
from .transfers import Job, carry_out

_CERTIFICATES = Path("/etc/docker/certs.d")  # where Docker looks: https://docs.docker.com/engine/security/certificates/


def trust(reference: str) -> Trust:
    """Return how cosign is to speak to the registry of an image: by the settings that Docker has for it."""
    name = host(reference)
    found = sorted((_CERTIFICATES / name).glob("*.crt")) if name else []
    return Trust(_loopback(name), str(found[0]) if found else "")


def _loopback(registry: str) -> bool:
    """Whether a registry (``host:port``) is on this machine."""
    name = registry.rpartition(":")[0] or registry
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unready(project: Project) -> None:
    """Raise an error, before anything is sent, when SIGN_KEY is set and nothing can be signed with it."""
    key = project.profile.text("SIGN_KEY")
    if not key or project.runner.dry:
        return
    if not available(planner.PROGRAM):
        raise planner.no_program()
    answer = capture(planner.check_key(project.profile, planner.PASSWORD in os.environ, project.cwd))
    if answer.exit_code != 0:
        words = answer.stderr.strip().splitlines()
        raise planner.key_fault(answer.stderr, "SIGN_KEY", key) or CommandError(
            f"cosign does not open SIGN_KEY: {words[-1] if words else 'no message'}", answer.exit_code
        )


def sign(project: Project, pinned: Iterable[str]) -> None:
    """Sign images in their registry (``repository@digest``) with SIGN_KEY; nothing without one.

    A signature that is there already stays the only one of its key.
    """
    names = tuple(dict.fromkeys(pinned))
    if not names or not project.profile.text("SIGN_KEY"):
        return
    refuse_unready(project)
    given = planner.PASSWORD in os.environ
    jobs = [Job(one, (planner.sign(project.profile, one, trust(one), given, project.cwd),)) for one in names]
    carry_out(project, jobs, lambda job, done: note(f"signed {job.name}"))


def sign_pushed(project: Project, images: Sequence[Named], digests: Mapping[str, str]) -> None:
    """Sign images under every repository that they were pushed to; ``digests`` are by reference."""
    if not project.profile.text("SIGN_KEY"):
        return
    if project.runner.dry:
        project.runner.show(f"then sign by digest with SIGN_KEY: {', '.join(one.repository for one in images)}")
        return
    repositories = {one.reference: {split_reference(name)[0] for name in one.references} for one in images}
    sign(
        project,
        [f"{name}@{digests[one.reference]}" for one in images for name in sorted(repositories[one.reference])],
    )
