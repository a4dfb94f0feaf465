"""Shows the logs of one or several environments in order of time."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ..host.output import emit, flush, has_colour, note, printable, to_terminal
from ..host.project import Project
from ..model.compose import compose
from . import follow_logs
from .log_source import ContainerLog, LogSource, in_order, look
from .plan.log_order import LogEntry
from .plan.log_output import Prefix, batch, document, parts, remarks
from .plan.log_selection import selection

_BATCH = 500  # lines in a document at most


def logs(
    projects: Sequence[Project],
    services: tuple[str, ...],
    follow: bool,
    raw: bool,
    json: bool,
    options: Mapping[str, str],
) -> None:
    """Write the lines of the services that the options select to stdout, and say on stderr when there are none.

    Secrets of the profiles are masked unless ``raw``.
    """
    wanted = selection(options, time.time_ns())
    if projects[0].runner.dry:
        _show_commands(projects, services, follow, options)
        return
    sources = [LogSource(project, services, wanted, raw) for project in projects]
    environments = [source.environment for source in sources]
    if follow:
        with contextlib.ExitStack() as stack:
            for project in projects:
                if project.clustered:  # kubectl follows each log, in threads
                    stack.enter_context(project.runner.together())
            follow_logs.follow(sources, wanted, partial(_documents if json else _lines, environments))
        return
    found = look(sources)
    entries = in_order(((log, 0) for log in found), wanted)
    if json:
        for text in document(environments, entries):
            emit(text)
    else:
        _lines(environments, found)(entries)
    flush()
    for source in sources:
        for remark in remarks(wanted, source.outcome()):
            note(remark)


def _show_commands(
    projects: Sequence[Project], services: tuple[str, ...], follow: bool, options: Mapping[str, str]
) -> None:
    for project in projects:
        if project.clustered:
            project.runner.show(f"logs of the Pods of {project.stack.project}, by kubectl logs")
            continue
        names = [service.name for service in project.stack.select(services)] if services else []
        project.runner.stream(compose(project.profile, "logs", *_words(follow, options), *names, cwd=project.cwd))


def _lines(environments: Sequence[str], found: Sequence[ContainerLog]) -> Callable[[Iterable[LogEntry]], None]:
    """Return what writes lines for people."""
    coloured = to_terminal() and has_colour()
    prefix = Prefix([log.origin for log in found], coloured, len(environments) > 1)

    def show(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            text = "".join(
                part if is_colour else printable(part) for part, is_colour in parts(entry.line.text, coloured)
            )
            emit(prefix.line(entry.origin, text))

    return show


def _documents(environments: Sequence[str], _found: Sequence[ContainerLog]) -> Callable[[Iterable[LogEntry]], None]:
    """Return what writes JSON documents, each on a line and with at least one line of a log."""

    def show(entries: Iterable[LogEntry]) -> None:
        coming = iter(entries)
        while some := tuple(itertools.islice(coming, _BATCH)):
            emit(batch(environments, some))

    return show


def _words(follow: bool, options: Mapping[str, str]) -> list[str]:
    """Return the options of the command of Compose that comes closest: it does not look at what lines say."""
    times = [word for name in ("since", "until") if options[name] for word in (f"--{name}", options[name])]
    return ["--no-color", *(["--follow"] if follow else []), *times, "--tail", options["tail"] or "all"]
