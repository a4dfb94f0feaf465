"""What helm.package does: writes the chart of a stack."""

from pathlib import Path

from ..host.output import WARNING, note
from ..host.profile.load_profile import load_profile
from ..host.profile.settings import environments
from ..host.project import Project
from ..kube.plan.secrets import secret_name
from ..kube.plan.workloads.charts import ChartObjects, of_chart
from ..kube.translated import rendered
from ..kube.written import MadeDirectory
from ..model.errors import InputError, SlipwayError
from .plan.chart import MARK, ChartIdentity, ChartSource, chart, chart_name

TASK = "inv helm.package"


def run(project: Project, out: str) -> None:
    """Write the chart into a directory of its name; raises as ``kube.render`` does."""
    if not out:
        raise InputError("--out: no directory to write to", "for example --out charts")
    made, name = files(project), identity(project).name
    target = Path(out, name)
    change = MadeDirectory(target, MARK, TASK).write(project, made)
    if not project.runner.dry:
        environment = project.profile.environment
        note(
            f"chart {name} {identity(project).version}: {change.written} files written, {change.removed} removed, "
            f"{change.kept} as they were; install it: helm install {project.stack.project} {target} "
            f"--values {target / f'values-{environment}.yaml'}"
        )


def identity(project: Project) -> ChartIdentity:
    """Return the name of the chart of a project and its version, which is that of the checkout."""
    version = project.version.text
    return ChartIdentity(chart_name(project.stack.project, project.profile.environment), version, version)


def files(project: Project) -> dict[str, str]:
    """Return the files of the chart by path: for this environment, and for those that run on Kubernetes.

    Of these, one that can not be translated is left out, with a note. Raises InputError when this one can not.
    """
    sources = {project.profile.environment: source(project)}
    for name in environments():
        if name in sources:
            continue
        try:
            if load_profile(name).text("ORCHESTRATOR") == "kubernetes":
                sources[name] = source(project.elsewhere(name))
        except SlipwayError as error:
            note(f"{name} is left out of the chart: {error.message.splitlines()[0]}", WARNING)
    return chart(identity(project), sources, project.profile.environment)


def source(project: Project) -> ChartSource:
    """Return what the chart has of an environment; raises InputError when it can not be translated."""
    made = rendered(project)
    test_image = project.profile.text("HELM_TEST_IMAGE")
    return packaged(of_chart(made.objects), made.source.stack.project, test_image)


def packaged(made: ChartObjects, project: str, test_image: str) -> ChartSource:
    """Return what a chart has of the objects of an environment."""
    return ChartSource(made.always, project, secret_name(project), test_image, made.at_install, made.at_upgrade)
