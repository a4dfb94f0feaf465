"""Regular expressions that are compiled when they are first used."""

import ast
import re

import pytest
from source import ROOT

from tasks.model.lazy_pattern import lazy_pattern


def test_it_does_what_a_compiled_one_does() -> None:
    words = lazy_pattern(r"(?P<word>[a-z]+)", re.I)
    assert [found["word"] for found in words.finditer("One two")] == ["One", "two"]
    assert words.sub("x", "a 1") == "x 1"
    assert (words.pattern, words.groups) == (r"(?P<word>[a-z]+)", 1)
    assert lazy_pattern(b"a+").fullmatch(b"aa")


def test_a_wrong_one_is_told_at_its_first_use() -> None:
    wrong = lazy_pattern("(")
    with pytest.raises(re.error):
        wrong.match("")


def test_every_pattern_of_a_module_is_lazy_and_right() -> None:
    compiled, count = [], 0
    for path in sorted(ROOT.joinpath("tasks").rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "re.compile":
                    compiled.append(f"{path.relative_to(ROOT)}:{call.lineno}")
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "lazy_pattern":
                    count += 1
                    if len(call.args) and isinstance(call.args[0], ast.Constant):
                        re.compile(call.args[0].value, *(eval(ast.unparse(flags)) for flags in call.args[1:]))
    assert compiled == []
    assert count > 150
