"""A namespace of a cluster, worked on through kubectl and helm, always with the context that the profile names."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from ...host import runner
from ...host.output import WARNING, note
from ...host.project import Project
from ...host.runner import Pending, Result
from ...model.command import Command
from ...model.compose import ANSWER_SECONDS
from ...model.errors import CommandError, InputError, SlipwayError
from ...model.secret import Secret
from ..clients import program
from ..plan import labels
from ..plan.live.faults import ClusterAwayError, ClusterPlace, exists_already, fault, is_missing, last_line
from ..plan.names import label

Asked = TypeVar("Asked")
_AWAY = 60.0  # seconds that the API server may be away in the middle of a deploy
_AGAIN = 2.0
MANAGER = "helm"  # the field manager under which helm applies: what it set is told from what others set


class Cluster:
    """The context and the namespace of a profile. No command goes without both of them."""

    def __init__(self, project: Project, otherwise: str = "") -> None:
        """Raises InputError where the profile does not name both; ``otherwise`` is what to do without a cluster."""
        profile = project.profile
        for key, example in (("KUBE_CONTEXT", "prod-eu"), ("KUBE_NAMESPACE", "shop")):
            if not profile.text(key):
                on_it = ", which has ORCHESTRATOR=kubernetes" if project.clustered else ""
                raise InputError(
                    f"{key} is not set in the profile {profile.environment}{on_it}",
                    f"set it, for example {key}={example}: the current context is never used{otherwise}",
                )
        self.project = project
        self.place = ClusterPlace(profile.text("KUBE_CONTEXT"), profile.text("KUBE_NAMESPACE"), profile.environment)
        self._kubeconfig = profile.text("KUBECONFIG")

    @property
    def namespace(self) -> str:
        """The namespace of the profile."""
        return self.place.namespace

    @property
    def name(self) -> str:
        """The name of the Compose project: the label of everything that it has on the cluster."""
        # What the profile says is known before Compose has answered.
        return self.project.profile.text("COMPOSE_PROJECT_NAME") or self.project.stack.project

    @property
    def release(self) -> str:
        """The name of the Helm release: that of the Compose project, as Kubernetes takes it."""
        return label(self.name)

    @property
    def _env(self) -> Mapping[str, str | Secret]:
        return {"KUBECONFIG": self._kubeconfig} if self._kubeconfig else {}

    def kubectl(
        self, *words: str, reason: str = "", stdin: str | None = None, seconds: float | None = ANSWER_SECONDS
    ) -> Command:
        """Return a kubectl command, with a time limit in seconds; None for no limit."""
        where = (f"--context={self.place.context}", f"--namespace={self.place.namespace}")
        return self._command((program("kubectl"), *where, *words), reason, stdin, seconds)

    def helm(
        self, *words: str, reason: str = "", stdin: str | None = None, seconds: float | None = ANSWER_SECONDS
    ) -> Command:
        """Return a helm command, with a time limit in seconds; None for no limit."""
        where = (f"--kube-context={self.place.context}", f"--namespace={self.place.namespace}")
        return self._command((program("helm"), *words, *where), reason, stdin, seconds)

    def _command(self, argv: tuple[str, ...], reason: str, stdin: str | None, seconds: float | None) -> Command:
        root = str(self.project.settings.root)
        return Command(argv, env=self._env, stdin=stdin, cwd=root, timeout=seconds, reason=reason)

    # What changes nothing

    def start(self, command: Command) -> Pending:
        """Start a command that only reads; ``answer`` takes what it says."""
        return runner.start(command)

    def answer(self, command: Command, pending: Pending, missing: str | None = None) -> str:
        """Return what a started command printed; ``missing`` stands for what does not exist, None: that is an error."""
        result = pending.result()
        if result.exit_code == 0:
            return result.stdout
        if missing is not None and is_missing(result.stderr):
            return missing
        raise self.fault(result, command)

    def read(self, *words: str, stdin: str | None = None, missing: str | None = None) -> Any:
        """Return what ``kubectl … -o json`` says as data; None where ``missing`` is ``null`` and nothing is there."""
        command = self.kubectl(*words, "--output", "json", stdin=stdin)
        return json.loads(self.answer(command, self.start(command), missing) or "null")

    def tried(self, command: Command) -> Result:
        """Return what a command that may fail said; it is run in a dry run as well."""
        return runner.capture(command)

    def fault(self, result: Result, command: Command) -> SlipwayError:
        """Return the error for a failed command in words for people."""
        return fault(result.stderr, result.exit_code, self.place, _title(command))

    # What changes something

    def require_namespace(self) -> None:
        """Create the namespace where there is none; raises RefusedError where that is not allowed."""
        marks = labels.of_project(self.name)
        about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": marks}}
        command = self.kubectl("create", "--filename", "-", stdin=json.dumps(about))
        result = self.tried(command)
        if result.exit_code and not exists_already(result.stderr):
            raise self.fault(result, command)

    def run(self, command: Command) -> None:
        """Run a command that changes something; what it says when it fails becomes the error."""

        def explain(code: int, said: str) -> CommandError | None:
            found = fault(said, code, self.place, _title(command))
            if isinstance(found, CommandError):
                return CommandError(found.message, code, found.hint, said) if last_line(said) else None
            raise found

        self.project.runner.run(command, explain)

    def silently(self, command: Command) -> None:
        """Run a command that changes something and is no step of its own; raises the error for what it says."""
        result = self.tried(command)
        if result.exit_code:
            raise self.fault(result, command)


def _title(command: Command) -> str:
    return f"{PurePath(command.argv[0]).name} {command.title.partition(' ')[2]}".strip()


def persistently(ask: Callable[[], Asked]) -> Asked:
    """Return what the API server answers; for a while it may be away, as when it is started again."""
    deadline = time.monotonic() + _AWAY
    while True:
        try:
            return ask()
        except ClusterAwayError as error:
            if time.monotonic() > deadline:
                raise
            note(f"{error.message}; asking again", WARNING)
            time.sleep(_AGAIN)
