"""The week of releases on a cluster: no step may lose a request, and what fails or is stopped leaves what served."""

from collections.abc import Sequence

from tests.life.stacks import sample
from tests.life.steps import NOTHING, Change, changed, commit, gone, replaced, reverted, together, with_tag, written
from tests.life.week import KILLED, RollBack, Step, back_to

from .layout import Layout
from .outage import killed_at, without_api

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


def _failing(name: str, change: Change) -> Step:
    return Step(name, commit(change, name), code=(4,), kept=(*_KEPT, "app"), serves="old")


def _killed(at: str, change: Change = sample.code, after: float = 0.0, alone: bool = False) -> tuple[Step, ...]:
    """Return two steps: a deploy that is killed, and the next one, which finishes it or takes it back first."""
    name = f"killed {f'{after:.0f} s after' if after else 'at'} {at}{', its helm not' if alone else ''}"
    return (
        Step(name, commit(change, name), killed_at(at, after, alone), KILLED, kept=("database",)),
        Step(f"deployed after {at}", kept=("database",)),
    )


CODE = _code("code")
COLUMN = Step("a migration adds a column", commit(sample.column("003", "nickname"), "Nickname"), kept=_KEPT)
FAILING = _failing("a migration fails", sample.WRONG_MIGRATION)
CERTIFICATE = Step("a rotated secret: the certificate", sample.replace_certificate, kept=("database", "app"),
                   check=sample.presented)  # fmt: skip
BACK = Step("roll back one", act=RollBack(1), kept=_KEPT, check=back_to(1))
KILLS = (
    *_killed("build"),
    *_killed("push"),
    *_killed("backup database", sample.column("006", "killed")),
    *_killed("write secrets", sample.replace_certificate),
    *_killed("roll out"),
    *_killed("roll out", after=3.0),
    *_killed("roll out", after=3.0, alone=True),
    *_killed("smoke test"),
    *_killed("record"),
)


def week(layout: Layout) -> Sequence[Step]:
    """Return the steps of the whole week."""
    return (
        NOTHING,
        CODE,
        Step("a version tag", with_tag("v1.1.0"), kept=_KEPT, check=changed("1.1.0")),
        NOTHING,
        COLUMN,
        Step("a migration and code", commit(sample.COLUMN_AND_CODE, "Motto"), kept=_KEPT, serves="new"),
        FAILING,
        Step("the migration is taken back", reverted, kept=_KEPT),
        _failing("an image that does not start", sample.EXIT),
        Step("the image is taken back", reverted, kept=_KEPT),
        Step("configuration: the log level", commit(sample.log_level, "More log"), kept=_KEPT),
        Step("configuration of the proxy", commit(sample.comment_configuration, "Say something"),
             kept=("database", "app"), check=sample.same_configuration),
        NOTHING,
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
        NOTHING,
        _failing("a Pod that dies while it is watched", _DIES),
        Step("that is taken back", reverted, kept=_KEPT),
        _failing("a Pod that gets unready while it is watched", _UNREADY),
        Step("that is taken back, too", reverted, kept=_KEPT),
        NOTHING,
        Step(f"the API server away for {AWAY:.0f} s", commit(sample.code, "Code"),
             without_api(layout, "roll out", AWAY), kept=_KEPT, serves="new"),
        *KILLS,
        NOTHING,
    )  # fmt: skip


SHORT = (CODE, COLUMN, CERTIFICATE, FAILING, *_killed("roll out", after=3.0))
