"""The rules of the house, read from the source: who imports whom, what is pure, how large things are, what has help."""

import ast
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from support import ROOT, stack

TASKS = ROOT / "tasks"
PLAN = sorted((TASKS / "plan").glob("*.py"))
HOST = sorted((TASKS / "host").glob("*.py"))
THIN = sorted(path for path in TASKS.glob("*.py") if path.name != "__init__.py")
ALL = [TASKS / "__init__.py", *THIN, *PLAN, *HOST]

# What a planner may use: nothing here reads a file, a clock, the environment, a process or the network.
PURE = {
    "collections",
    "collections.abc",
    "contextlib",
    "dataclasses",
    "difflib",
    "enum",
    "fnmatch",
    "functools",
    "hashlib",
    "hmac",
    "html",
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
    "urllib.parse",
    "xml.parsers",
}
# Of these only the names: paths as text, the interpreter that tests run with, arithmetic on times that were given.
PARTLY = {"pathlib": {"PurePosixPath", "PurePath"}, "sys": {"executable"}, "datetime": {"UTC", "datetime", "timedelta"}}
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
# Loading the tasks must cost what bare Invoke costs; each of these costs more than all of our own modules.
HEAVY = ("docker", "tabulate", "dotenv", "pydantic", "requests", "hypothesis", "pytest", "urllib.request")


def shown(path: Path) -> str:
    """Return a path as it is shown in a test's name."""
    return str(path.relative_to(ROOT))


def faults(paths: list[Path], rule: Callable[[Path], Iterable[object]]) -> dict[str, list[object]]:
    """Return what each module does against a rule; a rule is kept when this is empty."""
    return {shown(path): found for path in paths if (found := list(rule(path)))}


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(node: ast.AST, path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import in a part of a module; relative ones by their full name."""
    package = [*path.relative_to(ROOT).parts[:-1]]
    for one in ast.walk(node):
        if isinstance(one, ast.Import):
            yield from ((alias.name, "") for alias in one.names)
        elif isinstance(one, ast.ImportFrom):
            base = package[: len(package) - one.level + 1] if one.level else []
            module = ".".join([*base, *([one.module] if one.module else [])])
            yield from ((module, alias.name) for alias in one.names)


def modules(path: Path) -> set[str]:
    """Return the full names of what a module imports, anywhere in it: ``from .host import x`` is ``tasks.host.x``."""
    found = set()
    for module, name in imports(tree(path), path):
        package = TASKS.parent.joinpath(*module.split("."))
        found.add(f"{module}.{name}" if name and package.is_dir() and module.startswith("tasks") else module)
    return found


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
            allowed = module.startswith("tasks.plan") or module in PURE or name in PARTLY.get(module, set())
            # `import sys` names nothing: what is used of it is looked at below.
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


def test_the_host_imports_no_task_module() -> None:
    def rule(path: Path) -> list[str]:
        return [one for one in modules(path) if one.startswith("tasks.") and one.split(".")[1] not in ("plan", "host")]

    assert faults(HOST, rule) == {}


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


def test_no_process_gets_a_shell() -> None:
    def rule(path: Path) -> Iterator[int]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword) and node.arg == "shell" and isinstance(node.value, ast.Constant):
                yield node.value.lineno
            # Invoke's own way to run a shell string.
            elif isinstance(node, ast.Attribute) and node.attr in {"run", "sudo"} and is_name(node.value, "c"):
                yield node.lineno

    assert faults(ALL, rule) == {}


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
            if len([one for one in body if not isinstance(one, ast.ImportFrom)]) > 3:
                yield node.name

    assert faults(THIN, rule) == {}


def test_the_tasks_import_each_other_relatively() -> None:
    def rule(path: Path) -> list[str]:
        absolute = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and not node.level]
        return [node.module for node in absolute if node.module and node.module.split(".")[0] == "tasks"]

    assert faults(ALL, rule) == {}


@cache
def installed_names() -> set[str]:
    """Return the top-level names of all that is installed beside us."""
    return {name for name in importlib.metadata.packages_distributions() if not name.startswith("_")}


def test_no_module_shadows_another_one() -> None:
    # Invoke puts tasks/ first on sys.path; host/program.py is run as a script, which puts host/ there.
    beside = [*THIN, TASKS / "plan", TASKS / "host", *(path for path in HOST if path.name != "__init__.py")]
    taken = sys.stdlib_module_names | installed_names()

    # The command line asks for a task `test`; nobody imports the standard library's tests of itself.
    assert [shown(path) for path in beside if path.stem in taken and path.name != "test.py"] == []


@cache
def sample_services() -> set[str]:
    """Return the names of the services of the sample stack, read as text: two blanks, a name, a colon."""
    found: set[str] = set()
    for path in (ROOT / "docker_project").glob("docker-compose*.yml"):
        inside = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith((" ", "#")):
                inside = line.startswith("services:")
            elif inside and line.startswith("  ") and line[2:3].isalpha() and line.rstrip().endswith(":"):
                found.add(line.strip().rstrip(":"))
    return found


# The vocabulary of x-slipway: a service says of itself that it has this job or plays this role.
VOCABULARY = {"migrate", "seed", "database"}


def vocabulary_use(path: Path) -> set[int]:
    """Return the identities of the constants that are used as x-slipway words: a role, a job, the lists of both."""
    found: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("role", "job", "run_job"):
                found.update(id(one) for one in node.args)
        elif isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id in ("JOBS", "ROLES") for one in node.targets
        ):
            found.update(id(one) for one in ast.walk(node.value))
    return found


def texts(path: Path) -> list[tuple[ast.Constant, str]]:
    """Return the string constants of a module."""
    found = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
    return [(node, node.value) for node in found if isinstance(node.value, str)]


def test_the_sample_stack_has_services() -> None:
    assert {"app", "database", "nginx"} <= sample_services()


def test_no_task_names_a_service_of_the_sample_stack() -> None:
    def rule(path: Path) -> list[str]:
        allowed = docstrings(path) | vocabulary_use(path)
        return [text for node, text in texts(path) if text in sample_services() and id(node) not in allowed]

    assert faults(ALL, rule) == {}


def test_no_task_names_a_product_of_the_sample_stack() -> None:
    products = ("nginx", "golang", "goose", "pgx", "docker_project/app", "/api/users")

    def rule(path: Path) -> list[str]:
        found = [text for node, text in texts(path) if id(node) not in docstrings(path)]
        return [text for text in found if any(product in text for product in products)]

    assert faults(ALL, rule) == {}


def test_a_service_that_is_called_as_a_job_is_not_one() -> None:
    shop = stack({"migrate": {}, "seed": {}, "database": {}, "app": {}})

    assert not any(shop.one_off(service) for service in shop.services.values())


def loaded(code: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter has loaded after some code."""
    program = f"{code}\nimport sys, json\njson.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_loading_the_tasks_imports_nothing_heavy() -> None:
    found = loaded("import tasks")

    assert [name for name in HEAVY if name in found] == []


def test_loading_the_tasks_loads_no_planner_but_the_errors() -> None:
    ours = {name for name in loaded("import tasks") if name.startswith("tasks.")} - {
        f"tasks.{path.stem}" for path in THIN
    }

    assert ours == {"tasks.plan", "tasks.plan.errors", "tasks.host", "tasks.host.files", "tasks.host.namespace"}


def test_a_deploy_with_nothing_to_do_loads_what_it_takes_to_say_so() -> None:
    """What builds, releases, goes back, scans, backs up, signs and speaks to registries is loaded by who does."""
    unused = {
        "backups",
        "builds",
        "deploys",
        "dry",
        "execute",
        "gates",
        "hardening",
        "hooks",
        "kept_files",
        "locks",
        "promotions",
        "publishing",
        "redactions",
        "registry",
        "releases",
        "sboms",
        "scans",
        "signatures",
        "smoke_tests",
        "transfers",
        "verification",
    }

    found = loaded("from tasks.host import pending")

    assert sorted(name for name in unused if f"tasks.host.{name}" in found) == []


def test_a_deploy_that_may_build_loads_no_registry() -> None:
    found = loaded("from tasks.host import builds")

    assert sorted(one for one in ("registry", "signatures", "transfers") if f"tasks.host.{one}" in found) == []


def each_task(rule: Callable[[str, Any], object]) -> dict[str, object]:
    """Return what each task does against a rule."""
    from tasks import ns

    return {name: found for name in sorted(ns.task_names) if (found := rule(name, ns[name]))}


def test_a_task_says_in_one_line_what_it_does() -> None:
    def rule(_name: str, task: Any) -> str:
        first = ((task.__doc__ or "").strip().splitlines() or [""])[0]
        good = 0 < len(first) <= 100 and first[0].isupper() and first.endswith((".", "?"))
        return "" if good else f"{len(first)} characters: {first}"

    assert each_task(rule) == {}


def test_every_option_of_a_task_has_help() -> None:
    assert each_task(lambda _name, task: [one.name for one in task.get_arguments() if not one.help]) == {}


def test_no_option_of_a_task_gets_a_letter_by_itself() -> None:
    def rule(_name: str, task: Any) -> list[str]:
        return [flag for one in task.get_arguments() for flag in one.names if len(flag) == 1]

    assert each_task(rule) == {}


def test_an_option_is_of_one_kind_everywhere() -> None:
    kinds = {"json": bool, "yes": bool, "volumes": bool, "env": str, "service": list}
    special = {("env.check", "env"): list, ("shell", "service"): str}

    def rule(name: str, task: Any) -> list[str]:
        options = {one.name: one.kind for one in task.get_arguments()}
        return [one for one in kinds if one in options and options[one] is not special.get((name, one), kinds[one])]

    assert each_task(rule) == {}


def test_a_module_has_less_than_400_lines() -> None:
    assert {shown(path): lines for path in ALL if (lines := len(path.read_text("utf-8").splitlines())) >= 400} == {}


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
                public += [node, *(one for one in methods if isinstance(one, ast.FunctionDef))]
        return [one.name for one in public if not one.name.startswith("_") and not ast.get_docstring(one)]

    assert faults([*PLAN, *HOST], rule) == {}


def test_everything_is_typed() -> None:
    def rule(path: Path) -> list[str]:
        return [
            node.name
            for node in functions(path)
            if node.returns is None or any(one.annotation is None and one.arg != "self" for one in node.args.args)
        ]

    assert faults(ALL, rule) == {}


def test_no_module_keeps_state_that_a_test_would_have_to_reset() -> None:
    assert faults(ALL, lambda path: [one.lineno for one in ast.walk(tree(path)) if isinstance(one, ast.Global)]) == {}
