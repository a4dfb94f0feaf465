"""The evidence of image scans for exactly the images that a deploy brings."""

from ...host.project import Project
from ...model.engine.facts import Image
from ...model.errors import RefusedError
from ...reconcile.plan.operation import PULL
from ...scan import accepted, scan
from ...scan import images as scan_images
from ...scan.plan import images as images_plan
from ...scan.plan.gate import PASSED
from ..plan.deploy import Deploy


def find(project: Project, plan: Deploy) -> tuple[str, str]:
    """Return what a release records of the scan of its images, "" for nothing, and then the reason.

    Findings are judged by today's gate: a finding that is no longer accepted closes it.
    """
    if plan.building:
        return "", "the deploy would build its images, and what is not built yet is not scanned"
    if services := [change.service for change in plan.changes if change.action == PULL]:
        return "", f"{', '.join(services)}: the deploy may pull another image than the one that was scanned"
    known = {**project.images(project.stack), **{name: Image(identity) for name, identity in plan.promoted.items()}}
    try:
        subjects = images_plan.subjects(project.stack, known, project.profile.environment)
    except RefusedError as error:
        return "", error.message
    scans, unscanned = scan_images.stored_scans(project, subjects)
    if unscanned:
        return "", f"not scanned with this database: {', '.join(subject.reference for subject in unscanned)}"
    report = scan.judge(project, scans, accepted.read(project))
    if report.outcome != PASSED:
        return "", f"the scan of the images did not pass: {'; '.join(report.reasons)}"
    return images_plan.evidence(scans, subjects), ""
