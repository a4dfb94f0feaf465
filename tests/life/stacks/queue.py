"""An API with a queue, a worker that writes, a database and a migration job: nothing that was queued may be lost."""

import uuid
from pathlib import Path

from tests.life.stack import Stack, foreign
from tests.life.steps import (
    NOTHING,
    changed,
    commit,
    replaced,
    replicas,
    reverted,
    second_clone,
    set_value,
    together,
    written,
)
from tests.life.week import KILLED, RollBack, Step, back_to, killed

_APP = "web/app.py"
_KEPT = ("db", "queue")


def make(base: Path) -> Stack:
    """Make its repository."""
    return foreign(base, "queue", {"web": "web"})


def _code(version: str) -> Step:
    change = replaced(_APP, 'CODE = "', f'CODE = "{version}')
    return Step(
        f"code {version}",
        commit(change, "Code"),
        may_interrupt=True,
        kept=_KEPT,
        serves="new",
        check=changed(f'"code": "{version}'),
    )


COLUMN = Step(
    "a migration adds a column",
    commit(written("web/migrations/002_note.sql", "ALTER TABLE rows ADD COLUMN note text;"), "Note"),
    may_interrupt=True,
    kept=_KEPT,
)
WRONG = Step(
    "a migration fails",
    commit(written("web/migrations/003_wrong.sql", "ALTER TABLE nowhere ADD COLUMN wrong text;"), "Wrong"),
    code=(4,),
    may_interrupt=True,
    kept=_KEPT,
    serves="old",
)
WORKER = Step(
    "configuration of the worker",
    commit(replaced("compose.yaml", "[python3, worker.py]", "[python3, -u, worker.py]"), "Unbuffered"),
    kept=(*_KEPT, "api"),
    serves="old",
)

WEEK = (
    NOTHING,
    _code("2"),
    COLUMN,
    Step(
        "a migration and code",
        commit(
            together(
                written("web/migrations/0021_more.sql", "ALTER TABLE rows ADD COLUMN more int NOT NULL DEFAULT 0;"),
                replaced("web/store.py", '"COLUMNS_READ", "key"', '"COLUMNS_READ", "key, more"'),
            ),
            "More",
        ),
        may_interrupt=True,
        kept=_KEPT,
    ),
    WRONG,
    Step("the migration is taken back", reverted, may_interrupt=True, kept=_KEPT),
    NOTHING,
    WORKER,
    Step("a secret is rotated", set_value(SESSION_KEY=uuid.uuid4().hex), may_interrupt=True, kept=_KEPT, serves="new"),
    Step(
        "a worker more",
        commit(
            together(replaced("compose.yaml", "  worker:\n", "  worker:\n    scale: 2\n"), replicas(worker=2)), "Scale"
        ),
        kept=(*_KEPT, "api"),
        serves="old",
    ),
    Step("one again", together(reverted, replicas(worker=1)), kept=(*_KEPT, "api"), serves="old"),
    NOTHING,
    _code("3"),
    Step("roll back one", act=RollBack(1), may_interrupt=True, kept=_KEPT, check=back_to(1)),
    Step("forward again", may_interrupt=True, kept=_KEPT),
    Step("roll back two", act=RollBack(2), may_interrupt=True, kept=_KEPT, check=back_to(2)),
    Step("forward from there", may_interrupt=True, kept=_KEPT),
    Step(
        "killed",
        commit(replaced(_APP, 'CODE = "', 'CODE = "4'), "Code"),
        act=killed(1),
        code=KILLED,
        may_interrupt=True,
        kept=_KEPT,
    ),
    Step("deployed after that", may_interrupt=True, kept=_KEPT),
    NOTHING,
    Step("a second clone, the same commit", second_clone, code=(0, 3), kept=(*_KEPT, "api"), serves="old"),
)
SHORT = (COLUMN, NOTHING, WORKER, WRONG)
