"""A stack without any health check, proxy or job: a release interrupts it, and the plan has to say so."""

import uuid
from pathlib import Path

from tests.e2e.support import free_port
from tests.life.stack import Stack, foreign
from tests.life.steps import (
    NOTHING,
    changed,
    commit,
    gone,
    network,
    replaced,
    reverted,
    second_clone,
    set_value,
    together,
    with_tag,
    written,
)
from tests.life.week import KILLED, RollBack, Step, back_to, killed

APP = "web/app.py"
_KEPT = ("db", "stats")


def make(base: Path) -> Stack:
    """Make its repository."""
    return foreign(base, "plain", {"web": "web"}, {"SIDE_PORT": str(free_port())})


def _code(version: str) -> Step:
    change = replaced(APP, 'CODE = "', f'CODE = "{version}')
    return Step(
        f"code {version}",
        commit(change, "Code"),
        may_interrupt=True,
        kept=("db",),
        serves="new",
        check=changed(f'"code": "{version}'),
    )


CODE = _code("2")
MODE = Step(
    "configuration: an environment variable",
    commit(replaced("envs/staging.env", "MODE=plain", "MODE=other"), "Mode"),
    may_interrupt=True,
    kept=_KEPT,
    serves="new",
    check=changed('"mode": "other"'),
)
CRASH = Step(
    "an image that does not start",
    commit(replaced(APP, "import hashlib", 'raise SystemExit("no")\nimport hashlib'), "Exit"),
    code=(4,),
    may_interrupt=True,
    kept=("db",),
    serves="old",
)
BACK = Step("roll back one", act=RollBack(1), may_interrupt=True, kept=_KEPT, check=back_to(1))

WEEK = (
    NOTHING,
    CODE,
    Step("a version tag", with_tag("v1.1.0"), may_interrupt=True, kept=("db",)),
    NOTHING,
    Step(
        "a migration adds a column",
        commit(written("web/migrations/002_note.sql", "ALTER TABLE rows ADD COLUMN note text;"), "Note"),
        may_interrupt=True,
        kept=("db",),
    ),
    Step(
        "a migration fails",
        commit(written("web/migrations/003_wrong.sql", "ALTER TABLE nowhere ADD COLUMN wrong text;"), "Wrong"),
        code=(4,),
        may_interrupt=True,
        kept=("db",),
        serves="old",
    ),
    Step("the migration is taken back", reverted, may_interrupt=True, kept=("db",)),
    CRASH,
    Step("the image is taken back", reverted, may_interrupt=True, kept=("db",)),
    NOTHING,
    MODE,
    Step("a secret is rotated", set_value(SESSION_KEY=uuid.uuid4().hex), may_interrupt=True, kept=_KEPT, serves="new"),
    Step(
        "a service is renamed",
        commit(replaced("compose.yaml", "\n  stats:", "\n  figures:"), "Rename"),
        kept=("db", "web"),
        check=gone("stats", "figures"),
    ),
    Step(
        "a network with an option",
        commit(
            replaced(
                "compose.yaml",
                "\nvolumes:\n  data:\n",
                '\nnetworks:\n  default:\n    driver_opts: {com.docker.network.bridge.enable_icc: "true"}\n'
                "\nvolumes:\n  data:\n",
            ),
            "Network",
        ),
        may_interrupt=True,
        check=network("default", 'index .Options "com.docker.network.bridge.enable_icc"', "true"),
    ),
    NOTHING,
    _code("3"),
    BACK,
    Step("forward again", may_interrupt=True, kept=("db",)),
    Step("roll back two", act=RollBack(2), may_interrupt=True, kept=("db",), check=back_to(2)),
    Step("forward from there", may_interrupt=True, kept=("db",)),
    Step(
        "killed",
        commit(replaced(APP, 'CODE = "', 'CODE = "4'), "Code"),
        act=killed(),
        code=KILLED,
        may_interrupt=True,
        kept=("db",),
    ),
    Step("deployed after that", may_interrupt=True, kept=("db",)),
    NOTHING,
    Step(
        "an interruption that is not allowed",
        together(commit(replaced(APP, 'CODE = "', 'CODE = "5'), "Code"), set_value(ALLOW_INTERRUPTION="false")),
        code=(3,),
        kept=("db", "web", "stats"),
        serves="old",
    ),
    Step(
        "it is allowed",
        set_value(ALLOW_INTERRUPTION=""),
        may_interrupt=True,
        kept=("db",),
        serves="new",
        check=changed('"code": "5'),
    ),
    NOTHING,
    Step("a second clone, the same commit", second_clone, code=(0, 3), kept=("db", "web"), serves="old"),
)
SHORT = (CODE, NOTHING, MODE, BACK, CRASH)
