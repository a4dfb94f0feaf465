"""Steps that every stack takes, and the changes and checks of other steps."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.support import docker
from tests.life.stack import Stack
from tests.life.week import Step

Change = Callable[[Stack], None]

NOTHING = Step("nothing changed", outcome="unchanged", serves="old")


def commit(change: Change, subject: str) -> Change:
    """Return a change followed by a commit."""

    def committed(stack: Stack) -> None:
        change(stack)
        stack.repository.commit(subject)

    return committed


def with_tag(name: str) -> Change:
    """Return a change that only tags the commit with a version."""
    return lambda stack: stack.repository.tag(name)


def reverted(stack: Stack) -> None:
    """Revert the last commit."""
    stack.repository.revert()


def second_clone(stack: Stack) -> None:
    """Continue in another clone of the repository, in another directory."""
    stack.use(stack.repository.clone(Path(f"{stack.repository.directory}-2")))


def set_value(**values: str) -> Change:
    """Return a change of this machine's layer of the profile, such as a rotated secret."""
    return lambda stack: stack.settings(**values)


def changed(part: str) -> Callable[[Stack], str]:
    """Return a check: the reported version contains a text."""

    def check(stack: Stack) -> str:
        version = stack.reported()
        return "" if part in version else f"serves {version.strip()[:80]} without {part}"

    return check


def replaced(path: str, old: str, new: str) -> Change:
    """Return a change of a file."""
    return lambda stack: stack.repository.replace(path, old, new)


def gone(service: str, there: str = "") -> Callable[[Stack], str]:
    """Return a check: a service does not run any more, and ``there`` does."""

    def check(stack: Stack) -> str:
        running = stack.running()
        if service in running:
            return f"{service} still runs"
        return f"{there} does not run" if there and there not in running else ""

    return check


def written(path: str, text: str) -> Change:
    """Return a change that adds a file."""
    return lambda stack: stack.repository.write(path, text)


def together(*changes: Change) -> Change:
    """Return a change that makes several changes."""

    def change(stack: Stack) -> None:
        for part in changes:
            part(stack)

    return change


def replicas(**counts: int) -> Change:
    """Return a change of how many containers are expected of services."""
    return lambda stack: stack.replicas.update(counts)


def network(name: str, shown: str, wanted: str) -> Callable[[Stack], str]:
    """Return a check: a network of the project is as its Compose file says; ``shown`` is a template of the engine."""

    def check(stack: Stack) -> str:
        actual = docker("network", "inspect", f"{stack.project}_{name}", "--format", f"{{{{{shown}}}}}", check=False)
        return "" if actual == wanted else f"network {name}: {shown} is {actual or 'nothing'}, not {wanted}"

    return check
