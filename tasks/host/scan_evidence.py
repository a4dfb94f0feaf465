"""What the scans of images say of exactly those images that a deploy brings."""

from ..plan import trivy as planner
from ..plan.deploy import Deploy
from ..plan.errors import RefusedError
from ..plan.facts import Image
from ..plan.operation import PULL
from ..plan.scan import PASSED
from . import accepted_files, image_scans, scans
from .project import Project


def find(project: Project, plan: Deploy) -> tuple[str, str]:
    """Return what a release records of the scan of its images, and in words why there is nothing to record.

    What was found is judged by the gate of today: a finding that nobody answers for any more closes it.
    """
    if plan.building:
        return "", "the deploy would build its images, and what is not built yet is not scanned"
    if pulled := [one.service for one in plan.changes if one.action == PULL]:
        return "", f"{', '.join(pulled)}: the deploy may pull another image than the one that was scanned"
    known = {**project.images(project.stack), **{name: Image(one) for name, one in plan.promoted.items()}}
    try:
        subjects = planner.subjects(project.stack, known, project.profile.environment)
    except RefusedError as error:
        return "", error.message
    found, unscanned = image_scans.kept(project, subjects)
    if unscanned:
        return "", f"not scanned with this database: {', '.join(one.reference for one in unscanned)}"
    report = scans.judge(project, found, accepted_files.read(project))
    if report.outcome != PASSED:
        return "", f"the scan of the images did not pass: {'; '.join(report.reasons)}"
    return planner.evidence(found, subjects), ""
