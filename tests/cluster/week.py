"""The week of releases on a cluster: no step may lose a request, and what fails or is stopped leaves what served."""

from collections.abc import Sequence

from tests.life.stack import Stack
from tests.life.stacks import sample
from tests.life.steps import (
    NOTHING,
    Change,
    changed,
    commit,
    gone,
    replaced,
    replicas,
    reverted,
    together,
    with_tag,
    written,
)
from tests.life.week import DEPLOY, KILLED, RollBack, Step, back_to, roll_back

from .outage import drained, drained_at, killed_at, without_api

RATE = 200.0  # requests a second
AWAY = 30.0  # seconds
SETTINGS = {"HEALTH_TIMEOUT": "60s"}  # a Pod that does not get ready is waited for
_KEPT = ("database", "nginx")
_SICK = "docker_project/app/src/sick.go"
_WATCHED = """rollout: blue-green
      settle: 12s
    healthcheck: {interval: 1s, retries: 2}
"""


def _code(name: str, serves: str = "new") -> Step:
    return Step(name, commit(sample.code, name), kept=_KEPT, serves=serves)


def _gets_sick(words: str) -> Change:
    """Return a change: new Pods are watched for 12 s, and get sick after 5."""
    text = f'package main\n\nimport (\n\t"os"\n\t"time"\n)\n\nfunc init() {{\n{words}}}\n'
    return together(replaced(sample.COMPOSE, "rollout: blue-green\n", _WATCHED), written(_SICK, text))


_DIES = _gets_sick("\tif len(os.Args) == 1 {\n\t\ttime.AfterFunc(5*time.Second, func() { os.Exit(7) })\n\t}\n")
_UNREADY = _gets_sick(
    '\tstarted, err := os.Stat("/proc/1")\n'
    "\tif len(os.Args) == 2 && err == nil && time.Since(started.ModTime()) > 5*time.Second {\n\t\tos.Exit(1)\n\t}\n"
)


def _level(stack: Stack) -> None:
    """Make the service log less, or more again: other Pods, and nothing to build."""
    stack.settings(LOG_LEVEL="warn" if stack.local.get("LOG_LEVEL") != "warn" else "error")


def _failing(name: str, change: Change) -> Step:
    return Step(name, commit(change, name), code=(4,), kept=(*_KEPT, "app"), serves="old")


def _killed(
    at: str,
    change: Change | None = _level,
    after: float = 0.0,
    alone: bool = False,
    words: Sequence[str] = DEPLOY,
    then: Change | None = None,
    pending: bool = False,
) -> tuple[Step, ...]:
    """Return two steps: a task that is killed, and a deploy, which finishes it or takes it back first.

    ``then`` is what has to be changed for that deploy. ``pending``: it is killed once helm works on the release.
    """
    task = "roll back " if words is not DEPLOY else ""
    moment = "while helm works" if pending else f"{after:g} s after {at}" if after else f"at {at}"
    when = f"{task}killed {moment}{', its helm not' if alone else ''}"
    return (
        Step(when, change, killed_at(at, after, alone, words, pending), KILLED, kept=("database",)),
        Step(f"{when}: the next deploy", then, kept=("database",)),
    )


CODE = _code("code")
COLUMN = Step("a migration adds a column", commit(sample.column("003", "nickname"), "Nickname"), kept=_KEPT)
FAILING = _failing("a migration fails", sample.WRONG_MIGRATION)
_SICK_POD = _failing("a Pod that gets unready while it is watched", _UNREADY)
_BAD_IMAGE = _failing("an image that does not start", sample.EXIT)
CERTIFICATE = Step("a rotated secret: the certificate", sample.replace_certificate, kept=("database", "app"),
                   check=sample.presented)  # fmt: skip
BACK = Step("roll back one", act=RollBack(1), kept=_KEPT, check=back_to(1))
_TWO = "\n    deploy: {replicas: 2}"
SPREAD = together(
    *(replaced(sample.COMPOSE, f"\n  {name}:", f"\n  {name}:{_TWO}") for name in ("app", "nginx")),
    replicas(app=2, nginx=2),
)
SINGLE = together(
    *(replaced(sample.COMPOSE, f"\n  {name}:{_TWO}", f"\n  {name}:") for name in ("app", "nginx")),
    replicas(app=1, nginx=1),
)
DRAINS = (
    Step("two Pods of each", commit(SPREAD, "Two"), kept=("database",)),
    Step("a node is drained", act=drained, kept=("database",), serves="old"),
    Step("drained while new Pods start", _level, drained_at("roll out", 2.0), kept=("database",), outcome="deployed"),
    Step("drained while they are watched", _level, drained_at("watch", 1.0), kept=("database",), outcome="deployed"),
    Step("one Pod of each", commit(SINGLE, "One"), kept=("database",)),
)  # fmt: skip
_LATER = _killed("roll out", pending=True)
KILLS = (
    # Before anything runs on the cluster that would have to be taken back; each deploy is killed a step later.
    _killed("build", commit(sample.code, "Code"))[0],
    _killed("push", commit(sample.code, "Code"))[0],
    _killed("backup database", commit(sample.column("006", "killed"), "Column"))[0],
    _killed("write secrets", sample.replace_certificate)[0],
    *_killed("roll out"),
    # The deploy after a kill goes back first, and is killed at that, too.
    _LATER[0],
    _killed("take back", None)[0],
    *_killed("take back", None, after=0.7),
    *_killed("roll out", alone=True, pending=True),
    *_killed("switch"),
    *_killed("watch"),
    *_killed("smoke test"),
    *_killed("remove what served before"),
    *_killed("remove what served before", after=0.5),
    *_killed("record"),
    # The way back of a deploy that failed.
    *_killed("roll back", commit(_DIES, "Sick"), after=0.7, then=reverted),
    *_killed("switch", None, words=roll_back()),
    *_killed("remove what served before", None, words=roll_back()),
)


WEEK = (
    NOTHING,
    CODE,
    Step("a version tag", with_tag("v1.1.0"), kept=_KEPT, check=changed("1.1.0")),
    COLUMN,
    Step("a migration and code", commit(sample.COLUMN_AND_CODE, "Motto"), kept=_KEPT, serves="new"),
    FAILING,
    Step("the migration is taken back", reverted, kept=_KEPT),
    _BAD_IMAGE,
    Step("the image is taken back", reverted, kept=_KEPT),
    Step("configuration: the log level", commit(sample.log_level, "More log"), kept=_KEPT),
    Step("configuration of the proxy", commit(sample.comment_configuration, "Say something"),
         kept=("database",), check=sample.same_configuration),
    CERTIFICATE,
    Step("one service more", commit(sample.add_service, "Extra"), kept=_KEPT),
    Step("it is renamed", commit(replaced(sample.COMPOSE, "\n  extra:", "\n  extras:"), "Rename"), kept=_KEPT,
         check=gone("extra", "extras")),
    Step("it is removed", commit(sample.remove_service, "Remove"), kept=_KEPT, check=gone("extras")),
    NOTHING,
    _code("code again"),
    BACK,
    Step("forward again", kept=_KEPT),
    Step("roll back two", act=RollBack(2), kept=_KEPT, check=back_to(2)),
    Step("forward from there", kept=_KEPT),
    _failing("a Pod that dies while it is watched", _DIES),
    Step("that is taken back", reverted, kept=_KEPT),
    _SICK_POD,
    Step("that is taken back, too", reverted, kept=_KEPT),
    Step(f"the API server away for {AWAY:.0f} s", _level, without_api("roll out", AWAY), kept=_KEPT,
         outcome="deployed"),
    *DRAINS,
    NOTHING,
    *KILLS,
    NOTHING,
)  # fmt: skip


SHORT = (CODE, _SICK_POD, BACK, *_killed("roll out", together(reverted, commit(sample.code, "Code")), pending=True))
