"""Behind haproxy: the service is rolled out start-first by its DNS name, the proxy reloads its configuration."""

import uuid
from pathlib import Path

from tests.life.stack import Stack, foreign
from tests.life.steps import NOTHING, changed, commit, replaced, reverted, second_clone, set_value, together, written
from tests.life.week import KILLED, RollBack, Step, back_to, killed, task

_APP = "web/app.py"
_PROXY = "edge/conf/haproxy.cfg"
_KEPT = ("db", "edge")


def make(base: Path) -> Stack:
    """Make its repository; a checkout that does not know `reload` yet gets a Compose file without it."""
    stack = foreign(base, "proxied", {"web": "web"})
    plan = task(stack, "deploy.plan", "--env", "staging", "--json")
    if plan.code == 2 and "reload" in plan.last_line:
        text = (stack.project_dir / "compose.yaml").read_text()
        stack.repository.write(
            "compose.yaml", text[: text.index("    x-slipway:\n      reload")] + text[text.index("\nnetworks:\n") :]
        )
        stack.repository.commit("Without a reload")
    return stack


def _code(version: str) -> Step:
    change = replaced(_APP, 'CODE = "', f'CODE = "{version}')
    return Step(
        f"code {version}", commit(change, "Code"), kept=_KEPT, serves="new", check=changed(f'"code": "{version}')
    )


def _header(stack: Stack) -> str:
    script = "import urllib.request as r; print(r.urlopen('http://edge:8080/health').headers.get('X-Week', ''))"
    return "" if stack.exec("app", "python3", "-c", script) == "2" else "haproxy was not reloaded"


CODE = _code("2")
PROXY = Step(
    "proxy configuration",
    commit(
        replaced(_PROXY, "    default_backend app", "    http-response set-header X-Week 2\n    default_backend app"),
        "A header",
    ),
    kept=(*_KEPT, "app"),
    serves="old",
    check=_header,
)
CRASH = Step(
    "an image that does not start",
    commit(replaced(_APP, "def main()", 'sys.exit("no")\n\n\ndef main()'), "Exit"),
    code=(4,),
    kept=_KEPT,
    serves="old",
)

WEEK = (
    NOTHING,
    CODE,
    Step(
        "a migration adds a column",
        commit(written("web/migrations/002_note.sql", "ALTER TABLE rows ADD COLUMN note text;"), "Note"),
        kept=_KEPT,
    ),
    Step(
        "a migration fails",
        commit(written("web/migrations/003_wrong.sql", "ALTER TABLE nowhere ADD COLUMN wrong text;"), "Wrong"),
        code=(4,),
        kept=_KEPT,
        serves="old",
    ),
    Step("the migration is taken back", reverted, kept=_KEPT),
    NOTHING,
    CRASH,
    Step("the image is taken back", reverted, kept=_KEPT),
    PROXY,
    Step(
        "configuration: an environment variable",
        commit(replaced("envs/staging.env", "MODE=proxied", "MODE=other"), "Mode"),
        kept=_KEPT,
        serves="new",
        check=changed('"mode": "other"'),
    ),
    Step("a secret is rotated", set_value(SESSION_KEY=uuid.uuid4().hex), kept=_KEPT, serves="new"),
    Step(
        "a network more",
        commit(
            together(
                replaced("compose.yaml", "networks: [inner, outer]", "networks: [inner, outer, more]"),
                replaced("compose.yaml", "\n  outer:\n", "\n  outer:\n  more:\n    internal: true\n"),
            ),
            "Network",
        ),
        kept=_KEPT,
    ),
    Step(
        "a network is internal no more",
        commit(replaced("compose.yaml", "\n  inner:\n    internal: true\n", "\n  inner:\n"), "Open"),
        kept=_KEPT,
    ),
    NOTHING,
    _code("3"),
    Step("roll back one", act=RollBack(1), kept=_KEPT, check=back_to(1)),
    Step("forward again", kept=_KEPT),
    Step("roll back two", act=RollBack(2), kept=_KEPT, check=back_to(2)),
    Step("forward from there", kept=_KEPT),
    Step("killed", commit(replaced(_APP, 'CODE = "', 'CODE = "4'), "Code"), act=killed(1), code=KILLED, kept=_KEPT),
    Step("deployed after that", kept=_KEPT),
    NOTHING,
    Step("a second clone, the same commit", second_clone, code=(0, 3), kept=(*_KEPT, "app"), serves="old"),
)
SHORT = (CODE, NOTHING, PROXY, CRASH)
