"""The rules of the code, checked on the source: imports, purity, doors, sizes, help, types, and no state in modules."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from source import TASKS, imports, shown, tree
from support import ROOT, stack

from tests.loads import (
    LISTING,
    LISTING_PACKAGES,
    NOT_FOR_A_LISTING,
    NOTHING_TO_DO,
    STATUS,
    loaded_by,
    ours,
    packages,
)

PROGRAM = TASKS / "cli" / "program.py"
ALL = sorted(TASKS.rglob("*.py"))
PLAN = [path for path in ALL if path.is_relative_to(TASKS / "model") or "plan" in path.relative_to(TASKS).parent.parts]
# The tasks of each capability: arguments, help, bodies of three lines.
THIN = [path for path in TASKS.glob("*/__init__.py") if "from invoke import" in path.read_text(encoding="utf-8")]
ACTING = [path for path in ALL if path not in (*PLAN, *THIN, TASKS / "__init__.py")]

# What a planner may import: none of these reads a file, a clock, the environment, a process or the network.
PURE = {
    "base64",
    "collections",
    "collections.abc",
    "contextlib",
    "dataclasses",
    "difflib",
    "enum",
    "fnmatch",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "posixpath",
    "re",
    "shlex",
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "xml.parsers",
}
# Of these modules only some names: paths as text, the path of the interpreter, arithmetic on given times.
PARTLY = {
    "pathlib": {"PurePosixPath", "PurePath"},
    "sys": {"executable"},
    "datetime": {"UTC", "datetime", "timedelta"},
    "gzip": {"compress", "decompress"},
}
IMPURE_CALLS = {"open", "input", "print", "eval", "exec", "compile", "__import__", "breakpoint"}
IMPURE_ATTRIBUTES = {
    "now",
    "utcnow",
    "today",
    "environ",
    "getenv",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
}


def faults(paths: list[Path], rule: Callable[[Path], Iterable[object]]) -> dict[str, list[object]]:
    """Return what breaks a rule in each module; empty when no module breaks it."""
    return {shown(path): breaches for path in paths if (breaches := list(rule(path)))}


def modules(path: Path) -> set[str]:
    """Return the full names of what a module imports, anywhere in it: ``from .host import x`` is ``tasks.host.x``."""
    names = set()
    for module, name in imports(tree(path), path):
        package = TASKS.parent.joinpath(*module.split("."))
        names.add(f"{module}.{name}" if name and package.is_dir() and module.startswith("tasks") else module)
    return names


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Yield every function of a module, methods and inner ones included."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef))


def code_lines(node: ast.FunctionDef, path: Path) -> int:
    """Return the lines of a function that are code: no blank ones, no comments, not the docstring."""
    lines = path.read_text(encoding="utf-8").splitlines()
    skipped: set[int] = set()
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        skipped.update(range(first.lineno, (first.end_lineno or 0) + 1))
    numbers = range(node.lineno, (node.end_lineno or 0) + 1)
    texts = [lines[number - 1].strip() for number in numbers if number not in skipped]
    return sum(1 for text in texts if text and not text.startswith("#"))


@cache
def docstrings(path: Path) -> set[int]:
    """Return the identities of the constants that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = [node.body for node in ast.walk(tree(path)) if isinstance(node, owners) and ast.get_docstring(node)]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def test_a_planner_imports_planners_and_pure_modules_only() -> None:
    def rule(path: Path) -> Iterator[str]:
        for module, name in imports(tree(path), path):
            allowed = (
                module.startswith("tasks.model")
                or ".plan" in module
                or module in PURE
                or name in PARTLY.get(module, set())
            )
            # `import sys` has no name: the next test checks what is used of it.
            if not allowed and not (module in PARTLY and not name):
                yield f"{module}.{name}" if name else module

    assert faults(PLAN, rule) == {}


def test_a_planner_reads_no_file_no_clock_and_no_environment() -> None:
    def rule(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                yield f"{node.lineno}: {node.func.id}()"
            elif isinstance(node, ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                partly = owner in PARTLY and node.attr not in PARTLY[owner] and owner != "datetime"
                if partly or node.attr in IMPURE_ATTRIBUTES:
                    yield f"{node.lineno}: {owner}.{node.attr}"

    assert faults(PLAN, rule) == {}


def test_processes_are_started_in_one_module() -> None:
    starts = ("system", "popen", "fork", "exec", "spawn", "posix_spawn")

    def rule(path: Path) -> Iterator[str]:
        if "subprocess" in modules(path):
            yield "subprocess"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and is_name(node.value, "os") and node.attr.startswith(starts):
                yield f"{node.lineno}: os.{node.attr}"

    assert list(faults(ALL, rule)) == ["tasks/host/runner.py"]


def is_name(node: ast.expr, name: str) -> bool:
    """Whether an expression is a name."""
    return isinstance(node, ast.Name) and node.id == name


SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}


def shell_uses(module: ast.Module) -> Iterator[int]:
    """Yield the lines in which a shell gets a string: by option, by Invoke, or as the words of a command."""
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg == "shell":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield node.value.lineno
        elif isinstance(node, ast.Attribute):
            if node.attr in {"run", "sudo"} and is_name(node.value, "c"):
                yield node.lineno
        elif isinstance(node, ast.Tuple | ast.List) and shell_words(node.elts):
            yield node.lineno


def shell_words(words: list[ast.expr]) -> bool:
    """Whether words of a command are a shell and, anywhere after it, an option by which it takes a string."""
    strings = [
        expression.value if isinstance(expression, ast.Constant) and isinstance(expression.value, str) else ""
        for expression in words
    ]
    first = next((at for at, word in enumerate(strings) if word.rpartition("/")[2] in SHELLS), len(strings))
    return any(re.fullmatch(r"-[a-z]*c", word) for word in strings[first:])


def test_no_process_gets_a_shell() -> None:
    # Without systemd, for a user who is not root: only a shell that root runs can open root's log. In the container of
    # a database: only there a password can be read from where the image reads it. In a container on Kubernetes: only
    # there are the files of an image, and the secrets that a check of its health needs; CMD-SHELL means a shell; and
    # only a program in the container can send it another signal than its image says, or read what a command left there.
    assert faults(ALL, lambda path: [1 for _ in shell_uses(tree(path))]) == {
        "tasks/db/inside.py": [1],
        "tasks/kube/plan/data/checks.py": [1],
        "tasks/kube/plan/mounts/prepare.py": [1],
        "tasks/setup/plan/setup.py": [1],
        "tasks/model/stack/presets/server.py": [1, 1],
        "tasks/kube/plan/workloads/probes.py": [1],
        "tasks/kube/plan/workloads/lifecycle.py": [1],
    }


@pytest.mark.parametrize(
    "text",
    [
        'Command(("sh", "-c", script))',
        'words = ["sudo", "/bin/bash", "-ec", f"rm {name}"]',
        'Command((*words, "busybox", "sh", "-c", script), cwd=cwd)',
        "Popen(line, shell=True)",
        "Popen(line, shell=wanted)",
        "c.run(line)",
    ],
)
def test_a_shell_is_seen_however_it_is_called(text: str) -> None:
    assert list(shell_uses(ast.parse(text))) == [1]


@pytest.mark.parametrize("text", ['Command(("git", "-c", "a=b"))', "Popen(words, shell=False)", 'which("sh")'])
def test_what_is_no_shell_is_not_reported(text: str) -> None:
    assert list(shell_uses(ast.parse(text))) == []


def test_the_engines_sdk_is_used_in_the_engine_modules_only() -> None:
    def rule(path: Path) -> list[str]:
        return [name for name in modules(path) if name.split(".")[0] == "docker"]

    assert {name for name in faults(ALL, rule) if not name.startswith("tasks/host/engine")} == set()


def test_the_connection_to_the_engine_is_the_engine_modules_own() -> None:
    def rule(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in ("_api", "_answering"):
                yield f"{node.lineno}: {node.attr}"

    assert {name for name in faults(ALL, rule) if not name.startswith("tasks/host/engine")} == set()


def test_a_task_module_imports_the_rest_inside_its_functions() -> None:
    def rule(path: Path) -> list[str]:
        at_import = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        return [module for node in at_import for module, _ in imports(node, path) if module != "invoke"]

    assert faults(THIN, rule) == {}


def test_a_task_body_is_short() -> None:
    def rule(path: Path) -> Iterator[str]:
        for node in functions(path):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if len([statement for statement in body if not isinstance(statement, ast.ImportFrom)]) > 3:
                yield node.name

    assert faults(THIN, rule) == {}


def test_the_tasks_import_each_other_relatively() -> None:
    def rule(path: Path) -> list[str]:
        absolute = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and not node.level]
        return [node.module for node in absolute if node.module and node.module.split(".")[0] == "tasks"]

    assert faults(ALL, rule) == {}


@cache
def installed_names() -> set[str]:
    """Return the top-level names of all installed packages."""
    return {name for name in importlib.metadata.packages_distributions() if not name.startswith("_")}


def test_no_module_shadows_another_one() -> None:
    # Invoke puts tasks/ first on sys.path; cli/program.py is run as a script, which puts cli/ there.
    candidates = [*TASKS.iterdir(), *(path for path in (TASKS / "cli").glob("*.py") if path.name != "__init__.py")]
    taken = sys.stdlib_module_names | installed_names()

    # The command line asks for a task `test`; no module imports the standard library's own tests.
    assert [shown(path) for path in candidates if path.stem in taken and path.name not in ("test", "__pycache__")] == []


@cache
def sample_services() -> set[str]:
    """Return the names of the services of the sample stack, read as text: two blanks, a name, a colon."""
    names: set[str] = set()
    for path in (ROOT / "docker_project").glob("docker-compose*.yml"):
        inside = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith((" ", "#")):
                inside = line.startswith("services:")
            elif inside and line.startswith("  ") and line[2:3].isalpha() and line.rstrip().endswith(":"):
                names.add(line.strip().rstrip(":"))
    return names


# Jobs and roles of x-slipway that are also names of services of the sample.
VOCABULARY = {"migrate", "seed", "database"}
LISTS = ("JOBS", "ROLES", "KINDS", "PRESETS", "DATABASE")  # of what may be said under x-slipway


def vocabulary_use(path: Path) -> set[int]:
    """Return the identities of the constants that are roles, jobs, kinds and keys of x-slipway, or in lists of them."""
    identities: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("role", "job", "run_job", "ExtensionKey"):
                identities.update(id(argument) for argument in node.args)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id in LISTS for target in targets):
                identities.update(id(part) for part in ast.walk(node.value))
    return identities


def texts(path: Path) -> list[tuple[ast.Constant, str]]:
    """Return the string constants of a module."""
    constants = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
    return [(node, node.value) for node in constants if isinstance(node.value, str)]


def test_the_sample_stack_has_services() -> None:
    assert {"app", "database", "nginx"} <= sample_services()


# It tells by the names of images which software a project runs.
RECOGNISES = {"tasks/model/stack/presets/images.py"}
# Packages of Debian that are called like a product.
PACKAGES = {"golang-go", "golang-src", "golang-go golang-src"}


def test_no_task_names_a_service_of_the_sample_stack() -> None:
    def rule(path: Path) -> list[str]:
        if shown(path) in RECOGNISES:
            return []
        allowed = docstrings(path) | vocabulary_use(path)
        return [text for node, text in texts(path) if text in sample_services() and id(node) not in allowed]

    assert faults(ALL, rule) == {}


def test_no_task_names_a_product_of_the_sample_stack() -> None:
    products = ("nginx", "golang", "goose", "pgx", "docker_project/app", "/api/users")

    def rule(path: Path) -> list[str]:
        if shown(path) in RECOGNISES:
            return []
        allowed = docstrings(path) | vocabulary_use(path)
        strings = [text for node, text in texts(path) if id(node) not in allowed and text not in PACKAGES]
        return [text for text in strings if any(product in text for product in products)]

    assert faults(ALL, rule) == {}


def test_a_service_with_the_name_of_a_job_is_no_job() -> None:
    shop = stack({"migrate": {}, "seed": {}, "database": {}, "app": {}})

    assert not any(shop.one_off(service) for service in shop.services.values())


def loaded(code: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter has loaded after some code."""
    program = f"{code}\nimport sys, json\njson.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_loading_the_tasks_loads_what_it_is_allowed_to() -> None:
    names = loaded("import tasks")

    assert (ours(names) - LISTING, packages(names) - LISTING_PACKAGES) == (set(), set())


def test_listing_the_tasks_loads_what_it_is_allowed_to(tmp_path: Path) -> None:
    names = loaded_by([str(PROGRAM), "--search-root", str(ROOT), "--list"], os.environ, tmp_path / "modules")

    assert (ours(names) - LISTING, packages(names) - LISTING_PACKAGES) == (set(), set())
    assert names & NOT_FOR_A_LISTING == set()


# tests/e2e/test_deploy.py runs these with an engine; here: what they import before they ask it.
def test_deploy_status_imports_what_it_is_allowed_to() -> None:
    names = loaded("from tasks.host import project; from tasks.deploy import maintenance, status")

    assert (ours(names) - STATUS, packages(names) - LISTING_PACKAGES) == (set(), set())
    assert "http.client" not in names


def test_a_deploy_with_nothing_to_do_imports_what_it_is_allowed_to() -> None:
    names = loaded("from tasks.host import project; from tasks.deploy import pending; from tasks.build import build")

    assert (ours(names) - NOTHING_TO_DO, packages(names) - LISTING_PACKAGES) == (set(), set())


def test_what_may_be_loaded_exists() -> None:
    files = {name: ROOT.joinpath(*name.split(".")) for name in STATUS | NOTHING_TO_DO}

    assert [n for n, path in files.items() if not (path.with_suffix(".py").is_file() or path.is_dir())] == []


def test_a_deploy_that_may_build_loads_no_registry() -> None:
    names = loaded("from tasks.build import build")

    assert sorted(module for module in ("registry", "sign", "transfers") if f"tasks.image.{module}" in names) == []


def breaches_by_task(rule: Callable[[str, Any], object]) -> dict[str, object]:
    """Return what breaks a rule in each task; empty when no task breaks it."""
    from tasks import ns

    return {name: breaches for name in sorted(ns.task_names) if (breaches := rule(name, ns[name]))}


def test_a_task_says_in_one_line_what_it_does() -> None:
    def rule(_name: str, task: Any) -> str:
        first = ((task.__doc__ or "").strip().splitlines() or [""])[0]
        good = 0 < len(first) <= 100 and first[0].isupper() and first.endswith((".", "?"))
        return "" if good else f"{len(first)} characters: {first}"

    assert breaches_by_task(rule) == {}


def test_every_option_of_a_task_has_help() -> None:
    """In a fresh interpreter: Invoke takes a help text from its task when it is asked for it."""
    program = """
import json
from tasks import ns
options = {name: [one.name for one in ns[name].get_arguments() if not one.help] for name in ns.task_names}
print(json.dumps({name: without for name, without in options.items() if without}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def test_no_option_of_a_task_gets_a_letter_by_itself() -> None:
    def rule(_name: str, task: Any) -> list[str]:
        return [flag for argument in task.get_arguments() for flag in argument.names if len(flag) == 1]

    assert breaches_by_task(rule) == {}


def test_an_option_is_of_one_kind_everywhere() -> None:
    kinds = {"json": bool, "yes": bool, "volumes": bool, "env": str, "service": list}
    special = {
        ("env.check", "env"): list,
        ("logs", "env"): list,
        **{
            (name, "service"): str
            for name in ("shell", "db.shell", "db.seed", "db.backup", "db.restore", "chaos.inject", "chaos.stop")
        },
    }

    def rule(name: str, task: Any) -> list[str]:
        options = {argument.name: argument.kind for argument in task.get_arguments()}
        return [
            option
            for option in kinds
            if option in options and options[option] is not special.get((name, option), kinds[option])
        ]

    assert breaches_by_task(rule) == {}


def test_a_function_has_less_than_40_lines_of_code() -> None:
    assert faults(ALL, lambda path: [node.name for node in functions(path) if code_lines(node, path) >= 40]) == {}


def test_a_module_says_what_it_is_for() -> None:
    assert [shown(path) for path in ALL if not ast.get_docstring(tree(path))] == []


def test_what_is_public_is_documented() -> None:
    def rule(path: Path) -> list[str]:
        public: list[ast.FunctionDef | ast.ClassDef] = []
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                methods = node.body if isinstance(node, ast.ClassDef) else []
                public += [node, *(method for method in methods if isinstance(method, ast.FunctionDef))]
        return [
            definition.name
            for definition in public
            if not definition.name.startswith("_") and not ast.get_docstring(definition)
        ]

    assert faults([*PLAN, *ACTING], rule) == {}


def test_everything_is_typed() -> None:
    def rule(path: Path) -> list[str]:
        return [
            node.name
            for node in functions(path)
            if node.returns is None
            or any(argument.annotation is None and argument.arg not in ("self", "cls") for argument in node.args.args)
        ]

    assert faults(ALL, rule) == {}


CONTAINERS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKERS = {"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "ChainMap", "count",
          "Lock", "RLock", "Event", "Queue", "local", "ContextVar", "WeakKeyDictionary", "WeakValueDictionary",
          "SimpleNamespace"}  # fmt: skip
CHANGES = {"append", "appendleft", "add", "update", "insert", "extend", "remove", "discard", "pop", "popleft",
           "popitem", "clear", "setdefault", "sort", "reverse", "set", "acquire", "put", "subtract"}  # fmt: skip


def called(node: ast.expr | None) -> str:
    """Return the name of what an expression calls, "" when it calls nothing."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def lasting(module: ast.Module) -> dict[str, int]:
    """Return the names that a module, or a class in it, binds to a mutable object, with their lines."""
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    own = {node.name for node in classes if not frozen(node)}
    names = {}
    for statement in (child for body in (module, *classes) for child in body.body):
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if isinstance(statement.value, CONTAINERS) or called(statement.value) in MAKERS | own:
                names.update({target.id: statement.lineno for target in targets if isinstance(target, ast.Name)})
    return names


def frozen(node: ast.ClassDef) -> bool:
    """Whether instances of a class are immutable: a record, a frozen dataclass, an enumeration, a named tuple."""
    options = [
        option for decorator in node.decorator_list if isinstance(decorator, ast.Call) for option in decorator.keywords
    ]
    bases = {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
    return any(option.arg == "frozen" for option in options) or bool(
        bases & {"Enum", "IntEnum", "StrEnum", "NamedTuple", "Record"}
    )


def owner(node: ast.expr, local: set[str]) -> str:
    """Return the name of the object that an expression is part of: ``NAMES`` of ``NAMES[0]`` or ``self.NAMES``.

    "" for a local variable of the function.
    """
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        beyond = isinstance(node.value, ast.Name) and (node.value.id in ("self", "cls") or node.value.id not in local)
        return node.attr if beyond else ""
    return node.id if isinstance(node, ast.Name) and node.id not in local else ""


def locals_of(function: ast.FunctionDef) -> set[str]:
    """Return the local names of a function and of the functions inside it."""
    nodes = list(ast.walk(function))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    taken = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return (bound | taken) - {name for node in nodes if isinstance(node, ast.Global) for name in node.names}


def changed(function: ast.FunctionDef) -> Iterator[tuple[str, bool]]:
    """Yield the names of objects that a function changes in place, and whether it binds an attribute of them."""
    local = locals_of(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            yield owner(node.func.value, local), False
        targets = getattr(node, "targets", []) or [
            candidate for candidate in [getattr(node, "target", None)] if candidate is not None
        ]
        for target in targets if isinstance(node, ast.Assign | ast.Delete | ast.AugAssign | ast.AnnAssign) else []:
            if isinstance(target, ast.Subscript) or isinstance(node, ast.AugAssign):
                yield owner(target, local), False
            elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                yield owner(target.value, local), True


def state(module: ast.Module, of_others: Iterable[str] = ()) -> list[str]:
    """Return the state that a module keeps between calls: names bound again or changed in place, ``of_others`` too."""
    inside = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    kept = {name for node in ast.walk(module) if isinstance(node, ast.Global) for name in node.names}
    imports_ = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    fixed = {alias.asname or alias.name for node in imports_ for alias in node.names}
    fixed |= {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own = {*lasting(module), *of_others}
    for name, attribute in (change for function in inside for change in changed(function)):
        if name in own or (attribute and name in fixed):
            kept.add(name)
    return sorted(kept)


def test_no_module_keeps_state_that_a_test_would_have_to_reset() -> None:
    lasting_names = {name for path in ALL for name in lasting(tree(path)) if name.isupper()}
    kept = faults(ALL, lambda path: state(tree(path), lasting_names))

    # There is one stderr: what is masked on it stays masked until the process ends, in every thread, and who speaks on
    # it, and how, is for the whole process; conftest.py resets them. The program owns its process, and sets whether the
    # interpreter keeps compiled files, and for the import of PyYAML that patterns are compiled when they are used.
    speech = ["_manner", "_masked", "_stages"]
    assert kept == {"tasks/host/output.py": speech, "tasks/cli/program.py": ["re", "sys"]}


@pytest.mark.parametrize(
    "text",
    [
        "seen = []\ndef f(x):\n    seen.append(x)",
        "_cache: dict[str, int] = {}\ndef f(x):\n    _cache[x] = 1",
        "from collections import defaultdict\nseen = defaultdict(list)\ndef f(x):\n    seen[x].append(1)",
        "import itertools\ntotals = {}\ndef f(x):\n    del totals[x]",
        "names = set()\ndef f(x):\n    names.update(x)",
        "last = None\ndef f(x):\n    global last\n    last = x",
        "class Seen:\n    names = []\n    def f(self, x):\n        self.names.append(x)",
        "class Kept:\n    value = 0\nkept = Kept()\ndef f(x):\n    kept.value = x",
        "def f(x):\n    f.calls = x",
        "from . import other\ndef f(x):\n    other.setting = x",
    ],
)
def test_state_is_seen_however_it_is_kept(text: str) -> None:
    assert len(state(ast.parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "PORTS = {'http': 80}\ndef f(x):\n    return PORTS.get(x)",
        "def f(x):\n    names = []\n    names.append(x)\n    return names",
        "class Box:\n    def __init__(self):\n        self.names = []\n    def f(self):\n        self.names.append(1)",
    ],
)
def test_what_does_not_last_is_no_state(text: str) -> None:
    assert state(ast.parse(text)) == []
