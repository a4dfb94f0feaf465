"""What is exported of an environment, and which files it becomes: kustomize, Argo CD and Flux side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...kube.manifests.plan.yaml_text import document
from ...kube.plan.names import label
from ...model.errors import InputError
from ...model.record import Record

MARK = "Made by `inv gitops.export`: what is changed here is overwritten."
Object = Mapping[str, Any]


class Exported(Record):
    """Where the objects of an environment are to be read from, and where they belong.

    ``address`` is a repository and ``revision`` its branch, or (``oci://…``) that of a registry and a tag. ``signed``:
    its commits have to be signed, or what the tag stands for. ``login`` is the Secret to read a registry with, "" for
    none; ``plain``: it has no TLS.
    """

    environment: str
    project: str
    namespace: str
    address: str
    revision: str
    signed: bool = False
    login: str = ""
    plain: bool = False

    @property
    def name(self) -> str:
        """The name of the objects that lead there: ``shop-prod``, whether or not the project is called so itself."""
        suffix = f"-{self.environment}"
        return label(self.project if self.project.endswith(suffix) else f"{self.project}{suffix}")


def text(data: Any) -> str:
    """Return an object as a file of its own."""
    return f"# {MARK}\n{document(data)}"


def message(environment: str, project: str, version: str, source: str) -> str:
    """Return the message of a commit: what it deploys, and the commit of the sources, "" for none."""
    return f"Deploy {environment}: {project} {version}\n" + (f"\nSource: {source}\n" if source else "")


def of_environment(environment: str) -> tuple[str, ...]:
    """Return how the paths of the files begin that lead to an environment."""
    return (f"argocd/{environment}.yaml", f"flux/{environment}/", f"waves/{environment}/")


def foreign(files: Mapping[str, str], marks: Sequence[str]) -> tuple[str, ...]:
    """Return the files of a branch that have none of the marks: somebody else has put them there."""
    return tuple(sorted(name for name, content in files.items() if not any(mark in content for mark in marks)))


def refuse_mixed(oci: bool, branch: str, push: bool, out: str) -> None:
    """Raise InputError for options of an export into a branch beside those of one into a registry."""
    if oci and (branch or push):
        raise InputError(
            f"{'--branch' if branch else '--push'} and --oci: an export goes into a branch or into a registry",
            "leave one of them out; two exports make both",
        )
    if out and not oci:
        raise InputError(
            "--out: only for --oci", "git show BRANCH:flux/prod/source.yaml has what the branch tells Flux"
        )
