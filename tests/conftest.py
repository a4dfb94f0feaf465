"""For all tests: one seed for everything that is drawn at random, long files first, and nothing is left by Ctrl-C."""

import contextlib
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from inspect import getsource, isclass, isfunction
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
ROOT = Path(__file__).parents[1]
_CALL = re.compile(r"\.(?:inv|json)\(|\bdeploys?\(|\bstarted\(")
_PATIENCE = 120.0  # seconds that the workers of an interrupted session have to remove what their tests have made
_GRACE = 20.0  # seconds between SIGTERM and SIGKILL for a task that is under way
_WORKERS: list[Any] = []  # of this session, as xdist knows them
_CRASHED: list[object] = []
_PER_CALL = 3.0  # seconds that a call of a task is estimated to take, for tests without a report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--seed``."""
    parser.addoption("--seed", type=int, help="draw what an earlier run has drawn: the number that it printed")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed; xdist hands it on to its workers with the other options, Hypothesis takes it as its own."""
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(config.option.seed)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print the seed, also with ``-q``; once, not in every worker."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(session.config, "workerinput"):
        signal.signal(signal.SIGINT, _interrupted)
    elif reporter:
        reporter.write_line(f"seed {session.config.option.seed}: --seed {session.config.option.seed} draws the same")


def _interrupted(*_: object) -> NoReturn:
    """Handle a SIGINT of a worker: its fixtures remove what they made, and a second one does not interrupt that."""
    signal.signal(signal.SIGINT, lambda *_: None)
    raise KeyboardInterrupt


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_newgateway(gateway: Any) -> None:
    """Note a worker."""
    _WORKERS.append(gateway)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(error: object) -> None:
    """Note that a worker has crashed."""
    if error:
        _CRASHED.append(error)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the workers of a session that is interrupted remove what their tests have made; xdist would kill them.

    What is left then, or by a worker that has crashed, is removed from here: its names have the worker's process id.
    """
    interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
    if not _WORKERS or not (interrupted or _CRASHED):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if interrupted:
        reporter.write_line("\nremoving what the tests have made")
        deadline = time.monotonic() + _PATIENCE
        for worker in _WORKERS:  # at a terminal they have got it already
            with contextlib.suppress(OSError):
                worker._io.popen.send_signal(signal.SIGINT)
        for worker in _WORKERS:
            with contextlib.suppress(worker.node.channel.TimeoutError, worker.node.channel.RemoteError, OSError):
                worker.node.channel.waitclose(max(0.0, deadline - time.monotonic()))
    from tests.e2e.support import remove_of

    _end_tasks(_WORKERS[0].node.workerinput["testrunuid"])
    for left in remove_of([worker._io.popen.pid for worker in _WORKERS]):
        reporter.write_line(f"removed {left}")


def _end_tasks(run: str) -> None:
    """End the tasks that tests of a run have started and that still run: they would make more.

    Tasks are in sessions of their own, so no Ctrl-C at a terminal reaches them.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline, asked = time.monotonic() + _GRACE, set[int]()
        while (left := _processes(run)) and time.monotonic() < deadline:
            for pid in left - asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            asked |= left
            time.sleep(0.1)


def _processes(run: str) -> set[int]:
    """Return the processes that the workers of a run have started, by what xdist has set in their environment."""
    mark, found = f"\0PYTEST_XDIST_TESTRUNUID={run}\0".encode(), set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if mark in b"\0" + path.read_bytes() + b"\0":
                found.add(int(path.parent.name))
    return found


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Seed ``random`` for each test by itself: in whatever order and worker it runs, it draws the same."""
    random.seed(f"{request.config.option.seed} {request.node.nodeid}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no worker is left alone with one; a file keeps its order.

    A module may say how many seconds its tests take (``TAKES``), where the tasks that they call do not tell, and how
    many it spends in compilers when nothing is cached (``COMPILES``): two of these at the same time would take the time
    that each has from the other.
    """
    took = _last_time()
    weights: Counter[Path] = Counter()
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        of_module = [item for item in items if isinstance(item, pytest.Function) and item.module is module]
        last = [took.get((item.path.stem, item.name), 0.0) for item in of_module]
        guessed = [seconds or _guessed(item) for seconds, item in zip(last, of_module, strict=True)]
        weights[Path(module.__file__)] = getattr(module, "COMPILES", 0) + (
            sum(guessed) if any(last) else max(sum(guessed), getattr(module, "TAKES", 0))
        )
    items.sort(key=lambda item: -weights[item.path])


def _guessed(item: pytest.Function) -> float:
    """Return an estimate of the seconds that a test takes, by the tasks that it calls."""
    return _calls(item.module, item.function) * _PER_CALL


@cache
def _calls(module: ModuleType, function: Callable[..., Any]) -> int:
    return len(_calling(module).findall(_source(function)))


def _source(function: Callable[..., Any]) -> str:
    """Return the source of a function, "" for one that was generated, as a data class has some."""
    try:
        return getsource(function)
    except OSError:
        return ""


@cache
def _calling(module: ModuleType) -> re.Pattern[str]:
    """Return the pattern of what calls a task: also functions and methods of the test's module that do."""
    owners = [module, *(one for one in vars(module).values() if isclass(one) and one.__module__ == module.__name__)]
    texts = {
        name: _source(one)
        for owner in owners
        for name, one in vars(owner).items()
        if isfunction(one) and one.__module__ == module.__name__ and not name.startswith(("test_", "__"))
    }
    pattern, known = _CALL, set()
    while found := {name for name, text in texts.items() if name not in known and pattern.search(text)}:
        known |= found
        pattern = re.compile("|".join([_CALL.pattern, *(rf"\b{re.escape(name)}\(" for name in sorted(known))]))
    return pattern


def _last_time() -> dict[tuple[str, str], float]:
    """Return the seconds that each test took when ``inv check`` ran it the last time, by module and name."""
    seconds = {}
    for path in sorted((ROOT / "reports" / "check").glob("*.xml")):
        try:
            cases = list(ElementTree.parse(path).iter("testcase"))
        except ElementTree.ParseError:  # of a run that was killed
            continue
        for case in cases:
            module = case.get("classname", "").rpartition(".")[2]
            seconds[module, case.get("name", "")] = float(case.get("time", 0))
    return seconds
