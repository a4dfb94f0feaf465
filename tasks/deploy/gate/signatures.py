"""Refuses a deploy of images that are not signed as the profile requires."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...host.project import Project
from ...image.plan import signing
from ...image.plan.signing import Status
from ...image.verify import service_names, services_by_image, statuses
from ...model.engine.facts import Image
from ...model.errors import RefusedError
from ...model.reference import split_reference
from ..plan.deploy import Deploy

Check = Callable[[], None]  # called before each step of a deploy


def unmet(project: Project, plan: Deploy) -> tuple[tuple[str, str], ...]:
    """Return the images' faults with VERIFY_SIGNATURES=true, each with a hint; () when all signatures are good."""
    if not project.profile.flag("VERIFY_SIGNATURES"):
        return ()
    images = _images(project, plan)
    services = {name: service_names(users) for name, users in services_by_image(project, ()).items()}
    here = {name: signing.pinned_names(image, name) for name, image in images.items() if image}
    absent = [Status(services[name], name, signing.ABSENT) for name, image in images.items() if image is None]
    signatures = [*statuses(project, services, here), *absent]
    return signing.signature_faults(project.profile, project.stack.services, signatures, plan.building)


def unmet_of(project: Project, plan: Deploy, images: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the faults of the images of Pods, by service, each with a hint; () when all signatures are good.

    Pods name what they run by digest, so what was verified is what the nodes pull, whenever they do.
    """
    users: dict[str, tuple[str, ...]] = {}
    for name, image in images.items():
        users[image] = (*users.get(image, ()), name)
    pinned = {image: (f"{split_reference(image)[0]}@{image.rpartition('@')[2]}",) for image in users if "@" in image}
    built = {service.name for service in project.stack.built()}
    loose = [
        Status(names, image, signing.NOT_PUSHED if set(names) & built else signing.ABSENT)
        for image, names in users.items()
        if image not in pinned
    ]
    # A pull by digest brings nothing that was not verified, whatever the pull policy says.
    services = {name: replace(service, pull_policy="") for name, service in project.stack.services.items()}
    return signing.signature_faults(
        project.profile, services, [*statuses(project, users, pinned), *loose], plan.building
    )


def _images(project: Project, plan: Deploy) -> dict[str, Image | None]:
    """Return the images that the deploy starts, by the name in the Compose file; None for a missing one."""
    promoted = plan.promotion.images if plan.promotion else {}
    return {
        name: promoted.get(name) or project.engine.image(name)
        for name in dict.fromkeys(service.image for service in project.stack.services.values())
    }


def signature_guard(project: Project, plan: Deploy, verify_lock: Check) -> Check:
    """Verify the signatures under the lock, and return the check to call before each step of the deploy.

    The check verifies the lock, and that each name still refers to the image that was verified. Raises RefusedError at
    once when an image is not signed as required.
    """
    if not project.profile.flag("VERIFY_SIGNATURES") or project.runner.dry:
        return verify_lock
    if faults := unmet(project, plan):
        raise RefusedError(
            "; ".join(reason for reason, _ in faults), "; ".join(dict.fromkeys(hint for _, hint in faults))
        )
    verified = {name: image.id for name, image in _images(project, plan).items() if image}
    # A promoted image gets its name by an operation of the deploy: until then the name refers to the earlier image.
    unnamed = {name: _identity(project, name) for name in (plan.promotion.images if plan.promotion else ())}

    def check() -> None:
        verify_lock()
        for name, identity in verified.items():
            now = _identity(project, name)
            if now == identity:
                unnamed.pop(name, None)
            elif unnamed.get(name) != now:
                raise signing.image_replaced(name, identity, now)

    return check


def _identity(project: Project, name: str) -> str:
    """Return the id of the local image that a name refers to, "" for none."""
    image = project.engine.image(name)
    return image.id if image else ""
