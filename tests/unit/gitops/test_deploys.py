"""How the agent starts a deploy: where, with which profile, in whose name, and what it makes of its end."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_project import FakeProject
from fakes import World
from signed_repository import Author, run

from tasks.gitops import deploys
from tasks.gitops.clone import Clone
from tasks.gitops.plan.ended import DeployEnd, ended, last_error
from tasks.host.runner import Runner
from tasks.model.errors import SlipwayError

SAYS = """
import json, os, sys
keys = [key for key in os.environ if key.startswith("SLIPWAY_")] + ["COMPOSE_PROJECT_NAME"]
said = {"argv": sys.argv[1:], "cwd": os.getcwd(), **{key: os.environ[key] for key in keys}}
json.dump(said, open(sys.argv[0] + ".said", "w"))
sys.stdout.write(open(sys.argv[0] + ".out").read())
sys.stderr.write("waits\\nnot enough memory\\n  hint: buy some\\n")
sys.exit(int(open(sys.argv[0] + ".code").read()))
"""


class Place:
    """The agent's own checkout ``home`` of a repository whose project is below its top, and a stand-in for Slipway."""

    def __init__(self, directory: Path, root: str = "") -> None:
        self.author = Author(directory)
        self.author.commit(
            {"shop/compose.yaml": "services: {}\n", "envs/dev.env": "A=1\n", ".gitignore": "*.local.env\n"}
        )
        self.home = directory / "home"
        run("git", "clone", "--quiet", str(self.author.bare), str(self.home))
        self.clone: Clone = self.author.clone()
        self.clone.whole(self.clone.fetch)
        self.slipway = directory / "slipway"
        self.program = self.slipway / "tasks" / "cli" / "program.py"
        self.program.parent.mkdir(parents=True)
        self.program.write_text(SAYS)
        self.project = FakeProject(World(), self.home)
        self.project.settings = SimpleNamespace(
            root=Path(root) if root else self.home, project_dir=self.home / "shop", envs_dir=self.home / "envs",
            hooks_dir=self.home / "hooks", reports_dir=self.home / "reports", backups_dir=Path("/srv/backups"),
            home=self.slipway,
        )  # fmt: skip
        self.project.files({"web": {"image": "web:1"}})
        self.project.runner = Runner()  # type: ignore[assignment]

    def checkout(self) -> deploys.Checkout:
        self.clone.check_out(self.clone.tip())
        seen = deploys.checkout(self.project, self.clone)
        deploys.place_local_layers(self.project, self.clone, seen)
        return seen

    def ends(self, code: int, document: Any) -> None:
        self.program.with_name("program.py.code").write_text(str(code))
        self.program.with_name("program.py.out").write_text(
            document if isinstance(document, str) else json.dumps(document)
        )

    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.program.with_name("program.py.said").read_text())
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_deploy_works_in_the_checkout_of_the_commit_by_the_agents_own_slipway(place: Place) -> None:
    place.ends(0, {"outcome": "deployed"})
    assert deploys.deploy(place.project, place.checkout()) == DeployEnd(0, "deployed")

    said, checkout = place.said(), place.clone.checkout
    assert said["argv"] == ["--search-root", str(place.slipway), "deploy.dev", "--yes", "--json"]
    assert said["cwd"] == str(checkout)
    assert said["SLIPWAY_PROJECT_DIR"] == str(checkout / "shop")
    assert said["SLIPWAY_ENVS_DIR"] == str(checkout / "envs")
    assert said["SLIPWAY_HOOKS_DIR"] == str(checkout / "hooks")
    assert said["SLIPWAY_REPORTS_DIR"] == str(place.home / "reports"), "not into a checkout that is exchanged"
    assert said["SLIPWAY_BACKUPS_DIR"] == "/srv/backups"
    assert (said["SLIPWAY_AGENT"], said["SLIPWAY_LOCK"], said["COMPOSE_PROJECT_NAME"]) == ("gitops", "", "shop")


def test_settings_of_the_commit_count_where_it_has_some(place: Place) -> None:
    assert place.checkout().env["SLIPWAY_ROOT"] == ""
    place.author.commit({"slipway.yaml": "slipway: {project_dir: shop}\n"})
    place.clone.whole(place.clone.fetch)
    assert place.checkout().env["SLIPWAY_ROOT"] == str(place.clone.checkout)


def test_a_project_whose_settings_are_elsewhere_is_found_in_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    place = Place(tmp_path / "more", root="/nowhere")
    seen = place.checkout()
    assert seen.root == place.clone.checkout
    assert seen.env["SLIPWAY_PROJECT_DIR"] == str(place.clone.checkout / "shop")


def test_the_local_layers_of_the_machine_are_those_of_the_deploy(place: Place) -> None:
    layer = place.home / "envs" / "dev.local.env"
    layer.write_text("PASSWORD=x\n")
    place.checkout()
    link = place.clone.checkout / "envs" / "dev.local.env"
    assert link.readlink() == layer, "a link, not a copy of secrets"
    assert place.clone.run("status", "--porcelain").stdout == "", "the checkout is clean: REQUIRE_CLEAN"

    place.author.commit({"a": "1"})
    place.clone.whole(place.clone.fetch)
    place.checkout()
    assert link.read_text() == "PASSWORD=x\n"
    layer.unlink()
    place.checkout()
    assert not link.is_symlink()


def test_a_local_layer_that_a_commit_has_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.home / "envs" / "dev.local.env").write_text("A=mine\n")
    (place.author.work / "envs" / "dev.local.env").write_text("A=theirs\n")
    place.author.git("add", "--force", "envs/dev.local.env")
    place.author.commit()
    place.clone.whole(place.clone.fetch)
    place.checkout()
    assert (place.clone.checkout / "envs" / "dev.local.env").read_text() == "A=theirs\n"
    assert "dev.local.env of the commit is used" in capsys.readouterr().err


def test_a_deploy_that_fails_is_told_with_its_reason(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.ends(4, {"outcome": "rolled-back"})
    assert deploys.deploy(place.project, place.checkout()) == DeployEnd(4, "rolled-back", "not enough memory")
    assert "buy some" in capsys.readouterr().err


def test_a_plan_that_was_seen_is_carried_out(place: Place) -> None:
    place.ends(3, "")
    assert deploys.deploy(place.project, place.checkout(), Path("/x.plan")).outcome == "refused"
    assert place.said()["argv"][-2:] == ["--plan", "/x.plan"]


def changes(*actions: str) -> dict[str, Any]:
    return {
        "changes": [{"service": f"s{at}", "action": action, "causes": ["why"]} for at, action in enumerate(actions)]
    }


@pytest.mark.parametrize(
    ("actions", "written", "lines", "healable"),
    [
        (("unchanged",), True, (), False),
        (("unchanged", "recreate"), True, ("s1: recreate (why)",), True),
        (("wait",), True, ("s0: wait (why)",), False),
        (("recreate",), False, ("s0: recreate (why)",), False),
    ],
)
def test_what_differs_is_known_by_the_plan(
    place: Place, tmp_path: Path, actions: tuple[str, ...], written: bool, lines: tuple[str, ...], healable: bool
) -> None:
    plan = tmp_path / "heal.plan"
    place.ends(0, changes(*actions))
    if written:
        place.program.write_text(SAYS.replace("sys.exit(", f"open({str(plan)!r}, 'w').close()\nsys.exit("))
    assert deploys.drift(place.project, place.checkout(), plan) == (lines, healable)
    assert place.said()["argv"][2:] == ["deploy.plan", "--env", "dev", "--json", "--out", str(plan)]


def test_a_plan_that_cannot_be_made_is_no_drift(place: Place, tmp_path: Path) -> None:
    place.ends(2, "")
    with pytest.raises(SlipwayError, match="could not be compared with the commit: not enough memory"):
        deploys.drift(place.project, place.checkout(), tmp_path / "plan")


@pytest.mark.parametrize(
    ("code", "document", "outcome"),
    [
        (0, {"outcome": "unchanged"}, "unchanged"),
        (0, {}, "deployed"),
        (4, {"outcome": "failed"}, "failed"),
        (4, {"outcome": "paused"}, "paused"),
        (3, {}, "refused"),
        (3, {"outcome": "failed"}, "refused"),
        (2, {}, "failed"),
        (1, {"outcome": "deployed"}, "failed"),  # a hook after it, or the push of its release
    ],
)
def test_an_exit_code_and_a_document_make_an_outcome(code: int, document: dict[str, str], outcome: str) -> None:
    assert ended(code, "x\nit is so\n  hint: do\n", document).outcome == outcome


def test_the_error_is_the_line_before_the_hint() -> None:
    assert last_error("a\nb\n  hint: c\n") == "b"
    assert last_error("a\nb\n") == "b"
    assert last_error("") == ""
    assert ended(9, "", {}).reason == "exit code 9"


def test_the_program_is_that_of_the_interpreter_that_runs_now(place: Place) -> None:
    command = deploys.deploying(place.project, place.checkout())
    assert command.argv[0] == sys.executable
    assert command.grace == 900, "a deploy that is stopped gets the time to go back"
