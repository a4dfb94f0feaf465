"""What has to pass before a change is merged."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...model.command import Command
from ...model.errors import InputError
from ...model.units import show_duration
from ...test.plan.junit import Case, JUnitReport

# What tests of something need, and leave out where it is not installed: programs, and the package of each.
PROGRAMS: Mapping[str, Mapping[str, str]] = {
    "completion": {"zsh": "zsh", "fish": "fish"},
    "rules": {"promtool": "promtool"},
    # A Kubernetes node beside the engine, whose containerd and runc it uses (tests/cluster).
    "cluster": {
        "go": "golang-go golang-src",
        "etcd": "etcd-server",
        "containerd": "containerd",
        "ctr": "containerd",
        "runc": "runc",
        "/usr/lib/cni/bridge": "containernetworking-plugins",
        "conntrack": "conntrack",
        "ethtool": "ethtool",
        "ip": "iproute2",
        "ipset": "ipset",
        "iptables": "iptables",
        "busybox": "busybox-static",
        "openssl": "openssl",
    },
}
CLUSTER_TESTS = "cluster"
SLOWEST = 20  # number of tests that are listed at the end
_TOLD = 8  # lines of a failure that are repeated at the end
# A file's tests share a stack, so a file stays with one process. In the order of tests/conftest.py: longest first.
# Three for two cores: with two a fifth of the CPU was idle, since tests wait for containers, on a cluster for Pods.
_SPREAD = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")
# The weeks of all four stacks in parallel: with two at a time half of the CPU of two cores was idle.
_BY_STACK = ("--numprocesses=4", "--maxschedchunk=1")
# Files that share nothing; what the tests of a file share, such as a .venv, is made once.
_BY_FILE = ("--numprocesses=2", "--dist=loadfile")
# Tests that share nothing.
_PAIR = ("--numprocesses=2", "--dist=worksteal")


@dataclass(frozen=True)
class CheckStep:
    """A step of ``inv check``; a ``fast`` step needs no engine. ``report`` is the JUnit file that it writes, if any.

    ``needs`` names the programs without which the step is left out, a key of PROGRAMS; it needs root as well. A step
    ``on_request`` runs only when it is asked for by its name.
    """

    name: str
    command: Command
    fast: bool = True
    report: str = ""
    needs: str = ""
    on_request: bool = False


def steps(root: str, dockerfiles: Sequence[str], reports: str) -> tuple[CheckStep, ...]:
    """Return the steps in the order in which they run, cheap ones first; ``reports`` is the directory for reports."""
    python = sys.executable

    def module(*words: str) -> Command:
        return Command((python, "-m", *words), cwd=root)

    def tests(name: str, *words: str, fast: bool = True, needs: str = "", on_request: bool = False) -> CheckStep:
        report = f"{reports}/{name}.xml"
        command = module("pytest", f"tests/{name}", "-q", f"--junit-xml={report}", *words)
        return CheckStep(name, command, fast, report, needs, on_request)

    return (
        CheckStep("format", module("ruff", "format", "--check", "tasks", "tests")),
        CheckStep("ruff", module("ruff", "check", "tasks", "tests")),
        CheckStep("mypy", module("mypy", "--strict", "tasks")),
        CheckStep("hadolint", Command(("hadolint", *dockerfiles), cwd=root)),
        tests("unit", *_PAIR),
        tests("model", *_PAIR),
        # What it needs is built since setup began, and is waited for: the tests below have the machine for themselves.
        tests("cluster", *_SPREAD, fast=False, needs=CLUSTER_TESTS),
        tests("contract", *_BY_FILE, fast=False),
        tests("e2e", *_SPREAD, fast=False),
        tests("life", *_BY_STACK, fast=False),
        # What runs beside a cluster takes 20 CPU-minutes to build.
        tests("platforms", fast=False, needs=CLUSTER_TESTS, on_request=True),
    )


def components(root: str) -> Command:
    """Return the command that builds what the cluster of the tests consists of; another that does it is waited for."""
    return Command((sys.executable, "-m", "tests.cluster.components"), cwd=root, reason="the cluster for tests")


def why_not(subject: str, root: bool, missing: Sequence[str]) -> str:
    """Return why tests of a subject are left out, "" when they can run; ``missing`` are the programs not installed."""
    packages = " ".join(PROGRAMS[subject][program] for program in missing).split()
    lacking = [*([] if root else ["root"]), *dict.fromkeys(packages)]
    return f"the tests of {subject} need {', '.join(lacking)}" if lacking else ""


def modules(steps: Sequence[CheckStep]) -> tuple[str, ...]:
    """Return the Python modules that steps run with ``python -m``, each once."""
    return tuple(dict.fromkeys(step.command.argv[2] for step in steps if step.command.argv[1:2] == ("-m",)))


def select(steps: Sequence[CheckStep], fast: bool, only: Sequence[str]) -> tuple[CheckStep, ...]:
    """Return the steps to run; raises InputError for a name that is no step's."""
    names = [step.name for step in steps]
    for name in only:
        if name not in names:
            raise InputError(f"no check {name!r}", f"there are: {', '.join(names)}")
    if only:
        return tuple(step for step in steps if step.name in only)
    return tuple(step for step in steps if not step.on_request and (step.fast or not fast))


def slowest(reports: Mapping[str, JUnitReport]) -> tuple[tuple[str, str, str], ...]:
    """Return step, name and time of the slowest tests, the slowest first; a fixture counts for its first user."""
    pairs = [(case, step) for step, report in reports.items() for case in report.cases]
    pairs.sort(key=lambda pair: -pair[0].seconds)
    return tuple((step, _test(case), show_duration(case.seconds)) for case, step in pairs[:SLOWEST])


def failures(reports: Mapping[str, JUnitReport]) -> tuple[str, ...]:
    """Return lines that say which tests failed and why in short: of a long log only the end may be at hand."""
    lines: list[str] = []
    for step, report in reports.items():
        for case in report.failed():
            said = case.output.splitlines()
            why = [line for line in said if line.startswith("E  ")] or said[-_TOLD:]  # pytest marks what was wrong
            lines += [f"{step} {_test(case)}", *(f"  {line}" for line in why[:_TOLD])]
    return tuple(lines)


def _test(case: Case) -> str:
    return f"{case.classname.rpartition('.')[2]}::{case.name}"
