"""Looks at the signatures of images, and holds deploys to signed ones."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..plan import signing as planner
from ..plan.build import split_reference
from ..plan.deploy import Deploy
from ..plan.errors import CheckError, RefusedError
from ..plan.facts import Image
from ..plan.signing import Status
from ..plan.stack import Service
from .output import emit_json, emit_table
from .project import Project
from .registry import remotes
from .runner import available
from .signatures import sign, trust
from .transfers import answered

Check = Callable[[], None]  # what is asked before each step of a deploy
_AT_ONCE = 4  # questions to registries


def sign_here(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Sign what this engine has of the selected services' images, under their digests in the registry.

    Raises RefusedError when an image was never pushed: what the registry has under a name nobody here has seen.
    """
    if not project.profile.text("SIGN_KEY"):
        environment = project.profile.environment
        raise RefusedError(f"SIGN_KEY is not set (environment {environment})", "name the private key of cosign")
    images, found, pinned = _by_reference(project, services), [], []
    for reference, users in images.items():
        image = project.engine.image(reference)
        names = planner.pinned_names(image, reference) if image else ()
        if not names:
            state = planner.NOT_PUSHED if image else planner.ABSENT
            one = Status(_names(users), reference, state)
            raise RefusedError(*one.fault(project.profile.environment, users[0].build is not None))
        found.append(Status(_names(users), reference, planner.SIGNED, names[-1].partition("@")[2]))
        pinned.append(names[-1])
    sign(project, pinned)
    if not project.runner.dry:
        _report(project, "image.sign", found, json)


def _by_reference(project: Project, services: tuple[str, ...]) -> dict[str, list[Service]]:
    found: dict[str, list[Service]] = {}
    for service in project.stack.select(services):
        found.setdefault(service.image, []).append(service)
    return found


def _names(services: Sequence[Service]) -> tuple[str, ...]:
    return tuple(one.name for one in services)


def verify(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Report the signatures of the selected services' images; raises CheckError when one does not count.

    Looked at is what this engine has under the name, and what the registry has where it has nothing.
    """
    images = _by_reference(project, services)
    here = {reference: project.engine.image(reference) for reference in images}
    there = remotes(project, [name for name, image in here.items() if image is None])
    known = {
        name: planner.pinned_names(image, name)
        if image
        else tuple(f"{split_reference(name)[0]}@{there[name].digest}" for _ in (1,) if there[name].digest)
        for name, image in here.items()
    }
    found = _statuses(project, {name: _names(users) for name, users in images.items()}, known)
    _report(project, "image.verify", found, json)
    bad = [f"{one.reference}: {one.state}" for one in found if one.state != planner.SIGNED]
    if bad:
        raise CheckError("; ".join(bad), "with the key that VERIFY_KEY belongs to: inv image.sign")


def _report(project: Project, task: str, found: Sequence[Status], json: bool) -> None:
    if json:
        rows = [one.document() for one in found]
        emit_json({"schema": f"slipway/{task}/v1", "environment": project.profile.environment, "images": rows})
        return
    emit_table(
        ("SERVICE", "IMAGE", "DIGEST", "SIGNATURE"),
        [(", ".join(one.services), one.reference, one.digest or "-", one.state) for one in found],
    )


def _statuses(
    project: Project, services: Mapping[str, tuple[str, ...]], known: Mapping[str, tuple[str, ...]]
) -> list[Status]:
    """Return the status of each image, by what it is called by digest; several are asked about at once."""
    planner.verify_key(project.profile)
    if not available(planner.PROGRAM):
        raise planner.no_program()
    asked = [name for names in known.values() for name in names]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        states = dict(zip(asked, pool.map(lambda name: _state(project, name), asked), strict=True))
    found = []
    for reference, names in known.items():
        # One image may be known by two digests, such as a list's and its own: one signature will do.
        best = next((name for name in names if states[name] == planner.SIGNED), names[-1] if names else "")
        state = states[best] if best else planner.NOT_PUSHED
        found.append(Status(services[reference], reference, state, best.partition("@")[2]))
    return found


def _state(project: Project, pinned: str) -> str:
    command = planner.verify(project.profile, pinned, trust(pinned), project.cwd)
    answer = answered(project, command, lambda one: planner.passing_fault(pinned, one.exit_code, one.stderr))
    key = planner.verify_key(project.profile)
    return planner.judge(pinned, answer.exit_code, answer.stdout, answer.stderr, key)


def unmet(project: Project, plan: Deploy) -> tuple[tuple[str, str], ...]:
    """Return why a deploy may not be with VERIFY_SIGNATURES=true, each with its mend; every image counts."""
    if not project.profile.flag("VERIFY_SIGNATURES"):
        return ()
    images = _images(project, plan)
    services = {name: _names(users) for name, users in _by_reference(project, ()).items()}
    here = {name: planner.pinned_names(image, name) for name, image in images.items() if image}
    absent = [Status(services[name], name, planner.ABSENT) for name, image in images.items() if image is None]
    found = [*_statuses(project, services, here), *absent]
    return planner.unmet(project.profile, project.stack.services, found, plan.building)


def _images(project: Project, plan: Deploy) -> dict[str, Image | None]:
    """Return what the names of the services stand for when the deploy starts them."""
    promoted = plan.promotion.images if plan.promotion else {}
    return {
        name: promoted.get(name) or project.engine.image(name)
        for name in dict.fromkeys(one.image for one in project.stack.services.values())
    }


def held(project: Project, plan: Deploy, verify_lock: Check) -> Check:
    """Verify the signatures under the lock, and return the check before each step of the deploy.

    Beside the lock it looks whether the names still stand for what was verified. Raises RefusedError at once when an
    image does not count.
    """
    if not project.profile.flag("VERIFY_SIGNATURES") or project.runner.dry:
        return verify_lock
    if found := unmet(project, plan):
        raise RefusedError(
            "; ".join(reason for reason, _ in found), "; ".join(dict.fromkeys(mend for _, mend in found))
        )
    verified = {name: image.id for name, image in _images(project, plan).items() if image}

    def check() -> None:
        verify_lock()
        for name, identity in verified.items():
            now = project.engine.image(name)
            if now is None or now.id != identity:
                raise planner.moved(name, identity, now.id if now else "")

    return check
