"""Steps that every stack takes, and what makes up the others."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.support import docker
from tests.life.stack import Stack
from tests.life.week import Step

Change = Callable[[Stack], None]

NOTHING = Step("nothing changed", outcome="unchanged", serves="old")


def commit(change: Change, subject: str) -> Change:
    """Return a change that is committed."""

    def committed(stack: Stack) -> None:
        change(stack)
        stack.repository.commit(subject)

    return committed


def with_tag(name: str) -> Change:
    """Return a change that only gives the commit a version."""
    return lambda stack: stack.repository.tag(name)


def taken_back(stack: Stack) -> None:
    """Take the last commit back by another one."""
    stack.repository.revert()


def second_clone(stack: Stack) -> None:
    """Go on in another clone of the repository, in another directory."""
    stack.use(stack.repository.clone(Path(f"{stack.repository.directory}-2")))


def set_value(**values: str) -> Change:
    """Return a change of this machine's layer of the profile, such as a rotated secret."""
    return lambda stack: stack.settings(**values)


def changed(part: str) -> Callable[[Stack], str]:
    """Return a check: what the service says of its version has this in it."""

    def check(stack: Stack) -> str:
        said = stack.says()
        return "" if part in said else f"serves {said.strip()[:80]} without {part}"

    return check


def replaced(path: str, old: str, new: str) -> Change:
    """Return a change of a file."""
    return lambda stack: stack.repository.replace(path, old, new)


def gone(service: str, there: str = "") -> Callable[[Stack], str]:
    """Return a check: one service runs no more, and another does."""

    def check(stack: Stack) -> str:
        running = stack.running()
        if service in running:
            return f"{service} still runs"
        return f"{there} does not run" if there and there not in running else ""

    return check


def written(path: str, text: str) -> Change:
    """Return a change that is a file more."""
    return lambda stack: stack.repository.write(path, text)


def together(*changes: Change) -> Change:
    """Return a change that consists of others."""

    def change(stack: Stack) -> None:
        for one in changes:
            one(stack)

    return change


def replicas(**counts: int) -> Change:
    """Return a change of what is expected: so many containers of services."""
    return lambda stack: stack.replicas.update(counts)


def network(name: str, shown: str, wanted: str) -> Callable[[Stack], str]:
    """Return a check: a network of the project is as its Compose file says; ``shown`` is a template of the engine."""

    def check(stack: Stack) -> str:
        found = docker("network", "inspect", f"{stack.project}_{name}", "--format", f"{{{{{shown}}}}}", check=False)
        return "" if found == wanted else f"network {name}: {shown} is {found or 'nothing'}, not {wanted}"

    return check
