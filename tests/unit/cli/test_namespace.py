"""What the command line answers before any engine is asked: tasks, options, help, environments."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import ROOT

PROGRAM = ROOT / "tasks" / "cli" / "program.py"
# A checkout of the tasks that serves another project: its environments are ours to choose.
ENVIRONMENTS = ("dev", "prod", "qa", "staging")
COMPOSE = "services:\n  web:\n    image: shop/web:${TAG:-dev}\n"

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a Compose project and its profiles."""
    root = tmp_path_factory.mktemp("shop")
    (root / "docker-compose.yml").write_text(COMPOSE, encoding="utf-8")
    (root / "envs").mkdir()
    for name in ENVIRONMENTS:
        (root / "envs" / f"{name}.env").write_text(f"COMPOSE_PROJECT_NAME=shop-{name}\nTAG={name}\n", encoding="utf-8")
    (root / "envs" / "base.env").write_text("# shared\n", encoding="utf-8")
    (root / "envs" / "dev.local.env").write_text("TAG=mine\n", encoding="utf-8")
    return root


def environment(shop: Path) -> dict[str, str]:
    """Return an environment whose only settings of ours say where the project is."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    where = {"SLIPWAY_PROJECT_DIR": str(shop), "SLIPWAY_ENVS_DIR": str(shop / "envs")}
    return {**kept, **where, "DOCKER_HOST": "unix:///nowhere.sock", "XDG_CACHE_HOME": str(shop / "cache")}


def inv(shop: Path, *words: str, cwd: str = str(ROOT), **more: str) -> Done:
    """Run the tasks as ``./inv`` does."""
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words], cwd=cwd, env={**environment(shop), **more}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


def plain_inv(shop: Path, *words: str) -> Done:
    """Run the tasks with Invoke's own program."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=ROOT, env=environment(shop), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


# Each costs a new interpreter: they run in parallel.
UNFIT = [
    (("deploy.stagging",), "No idea what 'deploy.stagging' is!", "did you mean deploy.staging"),
    (("biuld",), "No idea what 'biuld' is!", "did you mean build"),
    (("deploy.status", "--enf", "dev"), "No idea what '--enf' is!", "`inv --help deploy.status` shows its options"),
    (("env.show",), "'env.show' did not receive required positional arguments", "`inv --help env.show`"),
    (("env.diff", "dev"), "'env.diff' did not receive required positional arguments", "`inv --help env.diff`"),
    (("deploy.status", "--env"), "needed value and was not given one", "`inv --help deploy.status`"),
    (("build", "--no-cache=yes-please"), "No idea", "`inv"),
    (("xyzzy",), "No idea what 'xyzzy' is!", "`inv --list` shows all"),
    (("--no-such-option",), "No idea what '--no-such-option' is!", "`inv --help` shows the options"),
    (("deploy.dev", "extra"), "No idea what 'extra' is!", "`inv"),
    (("deploy.dev", "--env", "prod"), "No idea what '--env' is!", "`inv --help deploy.dev` shows its options"),
    (("deploy.paris",), "No idea what 'deploy.paris' is!", "`inv env.new paris` makes paris"),
    (("build.paris",), "No idea what 'build.paris' is!", "environments: dev, prod, qa, staging "),
    (("deploy.base",), "No idea what 'deploy.base' is!", "`inv --list` shows all"),
]


@pytest.fixture(scope="module")
def answers(shop: Path) -> dict[tuple[str, ...], Done]:
    """Return the result of each command line that does not parse."""
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda words: inv(shop, *words), [words for words, _, _ in UNFIT])
        return dict(zip([words for words, _, _ in UNFIT], done, strict=True))


@pytest.mark.parametrize(("words", "message", "hint"), UNFIT)
def test_a_command_line_that_does_not_fit_gets_two_lines_and_exit_code_2(
    answers: dict[tuple[str, ...], Done], words: tuple[str, ...], message: str, hint: str
) -> None:
    done = answers[words]

    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert message in first
    assert second.startswith("  hint: ")
    assert hint in second


def test_the_tasks_are_those_of_the_checkout_that_the_program_lies_in(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("raise SystemExit(9)\n", encoding="utf-8")
    done = inv(shop, "env.list", "--json", cwd=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    assert [environment["name"] for environment in json.loads(done.stdout)["environments"]] == list(ENVIRONMENTS)


TASKS = [
    ("deploy.dev",),
    ("deploy.down", "--volumes", "--yes"),
    ("deploy.rollback",),
    ("clean", "--volumes", "--images", "--yes"),
    ("build",),
    ("db.seed",),
    ("--dry", "clean"),
]


def test_no_task_works_on_a_project_that_two_environments_share(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(f"name: shop\n{COMPOSE}", encoding="utf-8")
    (tmp_path / "envs").mkdir()
    for name in ("dev", "prod"):
        (tmp_path / "envs" / f"{name}.env").write_text("TAG=1\n", encoding="utf-8")
    with ThreadPoolExecutor(4) as pool:
        for words, done in zip(TASKS, pool.map(lambda words: inv(tmp_path, *words), TASKS), strict=True):
            assert (done.returncode, done.stdout) == (2, ""), words
            assert "dev and prod (" in done.stderr.splitlines()[0]
    shown = inv(tmp_path, "env.show", "dev")
    assert (shown.returncode, shown.stderr) == (0, "")


def test_help_for_a_task_that_does_not_exist_suggests_the_nearest(shop: Path) -> None:
    done = inv(shop, "--help", "deploy.stagging")

    assert done.returncode == 2
    assert "did you mean deploy.staging" in done.stderr


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("--help", "deploy.staging"), ["--build", "--json", "--yes"]),
        (
            ("--help", "build"),
            ["--env=STRING", "--service", "--target=STRING", "--no-cache", "--pull", "--push", "--json"],
        ),
        (("--help", "deploy.plan"), ["--env=STRING", "--exit-code", "--json", "--out=STRING"]),
        (("deploy.status", "--help"), ["--env=STRING", "--json"]),
        (("--help", "clean"), ["--volumes", "--images", "--yes"]),
        (("--help", "env.new"), ["--from=STRING", "--name=STRING"]),
    ],
)
def test_help_shows_what_the_contract_names(shop: Path, words: tuple[str, ...], options: list[str]) -> None:
    done = inv(shop, *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert [option for option in options if option not in done.stdout] == []


def names(shop: Path) -> set[str]:
    """Return the names and aliases of all tasks that ``--list`` shows."""
    document = json.loads(inv(shop, "--list", "--list-format=json").stdout)
    task_names = {word for task in document["tasks"] for word in (task["name"], *task["aliases"])}
    for collection in document["collections"]:
        task_names |= {f"{collection['name']}.{task['name']}" for task in collection["tasks"]}
        if collection["default"]:
            task_names.add(collection["name"])
    return task_names


def test_every_environment_has_a_task_of_its_own(shop: Path) -> None:
    task_names = names(shop)

    assert {f"{kind}.{name}" for kind in ("build", "deploy") for name in ENVIRONMENTS} <= task_names
    assert not {name for name in task_names if name.endswith((".base", ".local", "dev.local"))}


def test_the_tasks_of_the_contract_are_there(shop: Path) -> None:
    assert {
        *("build", "build.all", "build.size", "image.list", "image.tags", "image.bases"),
        *("deploy.plan", "deploy.status", "deploy.down", "deploy.unlock", "db.migrate", "db.seed", "db.shell"),
        *("env.list", "env.show", "env.diff", "env.check", "env.new"),
        *("logs", "shell", "ps", "clean", "doctor", "check", "setup", "completion"),
    } <= names(shop)


def test_a_team_that_adds_a_profile_has_its_task_at_once(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.env").write_text("TAG=demo\n", encoding="utf-8")

    done = inv(shop, "--help", "deploy.demo", SLIPWAY_ENVS_DIR=str(tmp_path))

    assert done.returncode == 0
    assert "bring demo up" in done.stdout


@pytest.mark.parametrize("directory", ["gone", "docker-compose.yml"])
def test_without_a_directory_of_profiles_the_list_still_works(shop: Path, directory: str) -> None:
    done = inv(shop, "--list", SLIPWAY_ENVS_DIR=str(shop / directory))

    assert (done.returncode, done.stderr) == (0, "")
    assert "deploy.status" in done.stdout


def piped(shop: Path, reader: str, *words: str) -> Done:
    """Run the tasks in a pipeline; the exit code is theirs."""
    line = f'{{ "$@"; echo "code $?" >&2; }} | {reader}'
    return subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, str(PROGRAM), *words], cwd=ROOT, env=environment(shop),
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


LONG = [("--list",), ("--help", "build"), ("env.list",), ("completion", "bash")]


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_has_enough_is_no_error(shop: Path, reader: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = dict(zip(LONG, pool.map(lambda words: piped(shop, reader, *words), LONG), strict=True))

    # 141 = 128 + SIGPIPE when the reader was gone before we were done, 0 when it was not.
    assert {
        words: result.stderr for words, result in done.items() if result.stderr not in ("code 141\n", "code 0\n")
    } == {}


def test_the_shell_of_a_completion_script_is_named_as_the_contract_says(shop: Path) -> None:
    done = inv(shop, "completion", "fish")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# inv completion fish | source\n")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("env.show", "st"), "staging"),
        (("build", "--env", "st"), "staging"),
        (("build", "--env", "=", "st"), "staging"),
        (("completion", "f"), "fish"),
        (("check", "--only", "ruf"), "ruff"),
        (("deploy.stat",), "deploy.status"),
    ],
)
def test_bash_completes_tasks_options_and_values(shop: Path, words: tuple[str, ...], offered: str) -> None:
    assert completed(shop, completing(shop), words) == [offered]


def completing(shop: Path) -> str:
    """Return the completion script of bash for a program of its own, ``inv`` next to the project."""
    own = shop / "inv"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} --search-root {ROOT} "$@"\n')
    own.chmod(0o755)
    return inv(shop, "completion", "bash").stdout.replace(f"{ROOT}/inv\n", f"{own}\n")


def completed(shop: Path, script: str, words: tuple[str, ...], program: str = "", **more: str) -> list[str]:
    """Return what bash offers after words on the command line."""
    line = f"{script}\nCOMP_WORDS=({program or shop / 'inv'} {' '.join(words)})\nCOMP_CWORD={len(words)}\n"
    asked = line + '_slipway_complete\necho "${COMPREPLY[@]}"'
    env = {**environment(shop), **more}
    done = subprocess.run(["bash", "-c", asked], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


ANSWERED = [
    ("deploy.stat",),
    ("deploy.status", "--"),
    ("deploy.sta", "--"),
    ("deploy.rollback", "--to", ""),
    ("--search-r",),
    ("env.list", "deploy.plan", "--"),
]


def test_after_the_first_tab_bash_answers_as_invoke_does_without_python(shop: Path, tmp_path: Path) -> None:
    script, cache = completing(shop), {"XDG_CACHE_HOME": str(tmp_path)}
    script = script.replace(f"{shop / 'cache'}/", f"{tmp_path}/")
    asked = {words: inv(shop, "--complete", "--", "inv", *words).stdout.split() for words in ANSWERED}
    completed(shop, script, ("deploy.",), **cache)
    (shop / "inv").write_text("#!/bin/sh\necho started >&2\nexit 1\n")

    offered = {words: completed(shop, script, words, **cache) for words in ANSWERED}

    wanted = {words: [word for word in said if word.startswith(words[-1])] for words, said in asked.items()}
    assert {words: sorted(said) for words, said in offered.items()} == {w: sorted(said) for w, said in wanted.items()}


def test_a_new_environment_is_completed_at_once(shop: Path, tmp_path: Path) -> None:
    envs = shutil.copytree(shop / "envs", tmp_path / "envs")
    own = {"SLIPWAY_ENVS_DIR": str(envs), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    script = inv(shop, "completion", "bash", **own).stdout
    completing(shop)
    script = script.replace(f"{ROOT}/inv\n", f"{shop}/inv\n")
    assert completed(shop, script, ("deploy.dem",), **own) == []
    time.sleep(0.02)
    (envs / "demo.env").write_text("TAG=demo\n", encoding="utf-8")

    assert completed(shop, script, ("deploy.dem",), **own) == ["deploy.demo"]


def test_the_program_of_another_checkout_is_asked_itself(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "inv"
    other.write_text("#!/bin/sh\necho theirs\n")
    other.chmod(0o755)

    assert completed(shop, completing(shop), ("the",), program=str(other)) == ["theirs"]


@pytest.mark.parametrize(
    "words", [("deploy.status", "--env", "stagging"), ("env.show", "stagging"), ("build", "--env", "stagging")]
)
def test_an_environment_that_does_not_exist_is_answered_with_those_that_do(shop: Path, words: tuple[str, ...]) -> None:
    done = inv(shop, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"no environment 'stagging' in {shop}/envs; there are: dev, prod, qa, staging",
        "  hint: did you mean staging? inv env.new stagging makes another",
    ]


def test_the_default_environment_is_the_one_that_the_settings_name(shop: Path) -> None:
    done = inv(shop, "deploy.status", SLIPWAY_ENV="nowhere")

    assert done.returncode == 2
    assert done.stderr.startswith("no environment 'nowhere'")


def test_without_an_engine_a_task_is_refused_and_says_which(shop: Path) -> None:
    done = inv(shop, "deploy.status", "--env", "dev")

    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 2
    assert "no Docker engine answers at unix:///nowhere.sock" in done.stderr


def test_json_is_the_only_thing_on_stdout(shop: Path) -> None:
    done = inv(shop, "env.list", "--json")

    assert done.stderr == ""
    assert json.loads(done.stdout)["environments"] == [
        {"name": name, "file": f"{shop}/envs/{name}.env", "valid": True} for name in ENVIRONMENTS
    ]


def test_several_tasks_stop_at_the_first_failure_with_its_exit_code(shop: Path) -> None:
    done = inv(shop, "env.list", "--json", "env.show", "stagging", "env.diff", "dev", "prod", "--json")

    assert done.returncode == 2
    assert [json.loads(done.stdout)["schema"]] == ["slipway/env.list/v1"]
    assert done.stderr.startswith("no environment 'stagging'")


def test_a_task_that_is_named_twice_runs_twice(shop: Path) -> None:
    done = inv(shop, "env.list", "env.show", "dev", "env.list")

    assert (done.returncode, done.stdout.count("VALID")) == (0, 2)


def test_the_plain_program_of_invoke_runs_the_same_tasks(shop: Path) -> None:
    assert plain_inv(shop, "env.list").stdout == inv(shop, "env.list").stdout


def test_the_plain_program_of_invoke_gives_slipways_exit_codes(shop: Path) -> None:
    assert plain_inv(shop, "env.show", "stagging").returncode == 2


ODD = [("-f", "/nowhere.yaml", "ps"), ("deploy.", ""), ("--list", "nowhere"), ("é",), ("--env=x",), ("ps", "-r")]


def test_no_traceback_whatever_the_command_line_is(shop: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = dict(zip(ODD, pool.map(lambda words: inv(shop, *words), ODD), strict=True))

    assert [words for words, result in done.items() if result.returncode == 0 or "Traceback" in result.stderr] == []


def test_the_debug_switch_shows_where_an_error_comes_from(shop: Path) -> None:
    assert "Traceback" in inv(shop, "env.show", "stagging", SLIPWAY_DEBUG="1").stderr
