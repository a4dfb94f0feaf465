"""What kube.render does: writes a directory for ``kubectl apply -k``."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ..host.output import note
from ..host.profile.settings import read_yaml
from ..host.project import Project
from ..model.errors import InputError, RefusedError
from .manifests.plan import kustomize
from .plan.secrets import by_hand, secret_name, wanted
from .translated import Translated, rendered
from .written import MadeDirectory

_TASK = "inv kube.render"


def run(project: Project, out: str) -> None:
    """Write the objects of an environment; what other environments have in the directory stays what it is.

    Raises InputError for keys that can not be translated, RefusedError for a directory with files of others.
    """
    if not out:
        raise InputError("--out: no directory to write to", "for example --out kubernetes")
    directory, environment = MadeDirectory(Path(out), kustomize.MARK, _TASK), project.profile.environment
    earlier = directory.files()
    made = rendered(project)
    try:
        others = kustomize.environments_in(earlier, lambda text: read_yaml(text, out))
    except (ValueError, KeyError, TypeError, IndexError):
        raise RefusedError(
            f"{out}: its files are not as {_TASK} writes them", "remove the directory, and render each environment anew"
        ) from None
    change = directory.write(project, kustomize.files({**others, environment: made.objects}))
    if not project.runner.dry:
        note(
            f"{len(made.objects)} objects of {environment}: {change.written} files written, {change.removed} removed, "
            f"{change.kept} as they were"
        )
        for line in _next(project, made, Path(out, "overlays", environment)):
            note(line)


def _next(project: Project, made: Translated, overlay: Path) -> Iterator[str]:
    """Yield how the objects get to the cluster, and before them the Secret whose values none of them has."""
    yield from secret_to_make(project, made)
    yield f"apply them: {_kubectl(project)} apply --server-side -k {shlex.quote(str(overlay))}"


def secret_to_make(project: Project, made: Translated) -> Iterator[str]:
    """Yield how to make the Secret that objects read; nothing where they read none."""
    if held := wanted(made.source):
        name = made.source.stack.project
        yield f"they read the Secret {secret_name(name)}; made and renewed, in bash:"
        yield f"  {by_hand(_kubectl(project), name, held)}"


def _kubectl(project: Project) -> str:
    where = {"context": project.profile.text("KUBE_CONTEXT"), "namespace": project.profile.text("KUBE_NAMESPACE")}
    return shlex.join(("kubectl", *(f"--{option}={value}" for option, value in where.items() if value)))
