"""The rooms of tasks/: one direction of imports, no circle, one door each to processes, engine and terminal, sizes."""

import ast
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import source
from source import TASKS, shown, tree
from support import ROOT

# A room imports only from rooms on its left; a new capability adds a word here and a line in tasks/__init__.py.
ORDER = (
    *("model", "host", "cli", "env", "telemetry", "image", "build", "sandbox", "release", "reconcile"),
    *("kube", "helm", "mesh", "db", "scan", "test", "deploy"),
    *("monitor", "gitops", "chaos", "operate", "adopt", "setup"),
)
FILES, LINES = 18, 400
# The only places where these modules may be imported.
DOORS = {
    "subprocess": ("tasks/host/runner.py",),
    "docker": ("tasks/host/engine/",),
    "tabulate": ("tasks/host/output.py",),
}
# The only places where the standard streams of this process may be used.
TERMINAL = ("tasks/host/output.py", "tasks/host/listening.py", "tasks/host/runner.py", "tasks/cli/")


@cache
def files() -> dict[str, Path]:
    """Return every module of the tasks by its full name; a package goes by its own name."""
    paths = sorted(TASKS.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(name: str) -> set[str]:
    """Return the modules of tasks/ that a module imports, also inside functions; for a name, the module that has it."""
    path = files()[name]
    statements = source.imports(tree(path), path)
    imported = {f"{module}.{part}" if f"{module}.{part}" in files() else module for module, part in statements}
    return {other for other in imported if other in files() and other != name}


def room(name: str) -> str:
    """Return the room of a module, "" for the namespace."""
    return name.split(".")[1] if "." in name else ""


def pure(name: str) -> bool:
    """Whether a module has to be pure, by its path."""
    return room(name) == "model" or ".plan" in name


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(name) for name in files()} - {""} == set(ORDER)


def test_imports_go_one_way() -> None:
    def upward(name: str, other: str) -> bool:
        return not other.startswith("tasks.") or ORDER.index(room(other)) > ORDER.index(room(name))

    upward_imports = [
        (name, target) for name in files() if room(name) for target in imports(name) if upward(name, target)
    ]
    assert upward_imports == []


def test_what_is_pure_imports_only_what_is_pure() -> None:
    packages = {name for name, path in files().items() if path.name == "__init__.py"}
    impure = [
        (name, target) for name in files() if pure(name) for target in imports(name) - packages if not pure(target)
    ]
    assert impure == []


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that import each other, directly or not."""
    reach = {name: set(others) for name, others in graph.items()}
    for middle in graph:
        for name, others in reach.items():
            if middle in others:
                reach[name] = others | reach[middle]
    return [
        {name} | {other for other in reach[name] if name in reach.get(other, ())}
        for name in graph
        if name in reach[name]
    ]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [{"b", "c"}, {"b", "c"}]


def test_no_modules_import_each_other() -> None:
    # A package's __init__ is imported with each of its modules, and does not count.
    packages = {name for name, path in files().items() if path.name == "__init__.py"}
    assert circles({name: imports(name) - packages for name in files()}) == []


def test_a_room_has_at_most_18_files() -> None:
    count = Counter(path.parent for path in files().values())
    assert {shown(folder): number for folder, number in count.items() if number > FILES} == {}


def test_a_file_has_at_most_400_lines() -> None:
    lines = {shown(path): len(path.read_text("utf-8").splitlines()) for path in files().values()}
    assert {name: number for name, number in lines.items() if number > LINES} == {}


def test_a_class_lives_in_one_file() -> None:
    """No class inherits from a class of another file, except errors, which have the exit codes, and plain data."""
    subclasses, bases = [], ("errors", "record")
    for name, path in files().items():
        ours = {
            alias.asname or alias.name
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom) and node.level and not (node.module or "").endswith(bases)
            for alias in node.names
        }
        classes = [node for node in tree(path).body if isinstance(node, ast.ClassDef)]
        subclasses += [
            f"{name}.{definition.name}"
            for definition in classes
            if {getattr(base, "id", "") for base in definition.bases} & ours
        ]
    assert subclasses == []


def test_a_class_name_means_one_thing() -> None:
    count = Counter(
        node.name for path in files().values() for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)
    )
    assert {name: number for name, number in count.items() if number > 1} == {}


def modules(path: Path) -> set[str]:
    """Return the first part of every module that a file imports by its full name."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def outside(places: Iterable[str], used: Iterable[Path]) -> list[str]:
    """Return the files, of those that use something, that are outside of the places where it may be used."""
    return [shown(path) for path in used if not shown(path).startswith(tuple(places))]


def test_there_is_one_door_each_to_processes_the_engine_and_tables() -> None:
    for name, places in DOORS.items():
        assert outside(places, [path for path in files().values() if name in modules(path)]) == []


def test_there_is_one_door_to_the_terminal() -> None:
    streams = {"stdin", "stdout", "stderr"}

    def uses(path: Path) -> bool:
        return any(
            isinstance(node, ast.Attribute) and node.attr in streams and getattr(node.value, "id", "") == "sys"
            for node in ast.walk(tree(path))
        )

    assert outside(TERMINAL, filter(uses, files().values())) == []


def test_an_executor_does_not_ask_whether_it_runs_dry() -> None:
    """A dry run prints the plan and does not call the executors."""
    executors = [TASKS / "reconcile" / name for name in ("execute.py", "proxy.py", "kept_files.py")]
    uses = [
        f"{shown(path)}:{node.lineno}"
        for path in executors
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "dry"
    ]
    assert uses == []


def test_no_task_is_called_as_a_module_of_its_room() -> None:
    """`from . import x` finds the name x of a package before its module x."""
    clashes = []
    for path in TASKS.glob("*/__init__.py"):
        siblings = {entry.stem for entry in path.parent.iterdir() if entry.suffix == ".py" or entry.is_dir()}
        names = {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef)}
        clashes += [f"{shown(path)}: {name}" for name in sorted(names & siblings)]
    assert clashes == []
